// AES-256 schedules of one peer in ipsec-mb's forms, and the manager of one thread. Private to
// crypto.
#pragma once

#include <intel-ipsec-mb.h>

#include <memory>

#include "crypto/peer_keys.h"

namespace orrery::crypto {

struct AesKeys {
  alignas(64) gcm_key_data gmac;              // K0: GMAC (round keys and powers of H)
  alignas(16) std::uint32_t encrypt[15 * 4];  // K1: CTR and the id/MAC block
  alignas(16) std::uint32_t decrypt[15 * 4];
};

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

/// A manager for the instruction set that cpu.h allows. Aborts without memory.
[[nodiscard]] Manager make_manager();

}  // namespace orrery::crypto
