// AES-GMAC-SIV, cipher 3, composed over a batch from ipsec-mb: GMAC, one AES block for id and MAC,
// CTR. Source: docs/protocol/02-packet.md section 6; tests/vectors/armor.json.
#pragma once

#include <span>

#include "crypto/aes_keys.h"
#include "crypto/armor.h"

namespace orrery::crypto {

/// One packet of the batch; `ok` is the outcome when opening.
struct SivJob {
  std::uint8_t* packet = nullptr;
  std::uint32_t length = 0;
  const AesKeys* keys = nullptr;
  bool ok = false;
};

/// REQUIRES: at most Armorer::kBatchMax jobs; flags final (cipher bits 3, bit 7 clear).
void siv_seal(IMB_MGR* manager, std::span<SivJob> jobs) noexcept;
/// Decrypts in place; a job that does not verify has its payload burned.
void siv_open(IMB_MGR* manager, std::span<SivJob> jobs) noexcept;

}  // namespace orrery::crypto
