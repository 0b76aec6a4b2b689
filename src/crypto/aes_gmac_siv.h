// AES-GMAC-SIV, cipher 3, over a batch: GMAC of header and payload under K0, one AES block for id
// and MAC under K1, CTR under K1.
//
// One kernel for each kind of processor: `ref` is composed from ipsec-mb and is the definition; the
// others are ours (aes_gmac_siv_lanes.h over 1, 2 or 4 blocks side by side) and must equal it.
// Source: docs/protocol/02-packet.md section 6; tests/vectors/armor.json; NIST SP 800-38D.
#pragma once

#include <span>

#include "crypto/aes_keys.h"
#include "crypto/cpu.h"

namespace orrery::crypto {

/// One packet of the batch; `ok` is the outcome when opening.
struct SivJob {
  std::uint8_t* packet = nullptr;  // contiguous, header and payload
  std::uint32_t length = 0;        // bytes, at least wire::kHeaderSize
  const AesKeys* keys = nullptr;   // in the form of the kernel
  bool ok = false;
  std::uint64_t id = 0;  // out, of an authentic packet: as its sender chose it
};

struct SivKernel {
  const char* name;
  /// Schedules of K0 and K1 in the form that this kernel reads.
  void (*expand)(IMB_MGR* manager, const std::uint8_t k0[32], const std::uint8_t k1[32],
                 AesKeys& keys);
  /// REQUIRES: at most Armorer::kBatchMax jobs; flags final (cipher bits 3, bit 7 clear).
  void (*seal)(IMB_MGR* manager, std::span<SivJob> jobs) noexcept;
  /// Decrypts in place; a job that does not verify has its payload burned.
  void (*open)(IMB_MGR* manager, std::span<SivJob> jobs) noexcept;
};

extern const SivKernel kSivRef, kSivAesni, kSivVaes256, kSivVaes512;

/// The kernel of an instruction set on this processor. REQUIRES: isa <= best_isa().
[[nodiscard]] const SivKernel& siv_kernel(Isa isa);

}  // namespace orrery::crypto
