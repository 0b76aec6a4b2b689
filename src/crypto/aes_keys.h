// AES-256 schedules of one peer, and ipsec-mb's manager of one thread. Private to crypto.
#pragma once

#include <intel-ipsec-mb.h>

#include <memory>

#include "crypto/cpu.h"
#include "crypto/peer_keys.h"

namespace orrery::crypto {

/// Schedules that our own kernels read for GMAC.
struct GmacKeys {
  static constexpr unsigned kPowers = 18;  // 16 blocks a step, a step's header and lengths
  /// GHASH operands H^18 .. H^1, bytes reversed, times x; two rows of zeros for loads of four rows.
  alignas(64) std::uint8_t powers[kPowers + 2][16];
  /// The sum of the two halves of each, in both, for Karatsuba's product.
  std::uint8_t power_halves[kPowers + 2][16];
  alignas(16) std::uint32_t rounds[15 * 4];  // K0

  /// H^n and, behind it, the lower powers.
  [[nodiscard]] const std::uint8_t* power(std::size_t n) const { return powers[kPowers - n]; }

  [[nodiscard]] const std::uint8_t* halves(std::size_t n) const {
    return power_halves[kPowers - n];
  }
};

struct AesKeys {
  alignas(16) std::uint32_t encrypt[15 * 4];  // K1: CTR and the id/MAC block
  alignas(16) std::uint32_t decrypt[15 * 4];

  union {
    GmacKeys own;        // every kernel but ref
    gcm_key_data ipsec;  // ref: ipsec-mb's round keys and powers of H
  };
};

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

/// A manager for an instruction set. Aborts without memory.
[[nodiscard]] Manager make_manager(Isa isa);

}  // namespace orrery::crypto
