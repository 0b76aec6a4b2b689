#include "crypto/poly1305.h"

#include <algorithm>

namespace orrery::crypto {
namespace {

constexpr std::size_t kJobsMax = 64;

/// Whether n messages, the longest of `longest` bytes, are faster in lanes than one by one with
/// ipsec-mb. Measured: docs/performance.md, "Poly1305". The portable level has no lanes.
bool worth_lanes(Isa level, std::size_t n, std::uint32_t longest) {
  switch (level) {
    case Isa::kRef:
      return false;
    case Isa::kAvx2:
      return n >= 3 && longest > 300;
    case Isa::kAvx512:
      return n >= 4;
  }
  return false;
}

}  // namespace

void poly1305_ipsec(IMB_MGR* manager, PolyJob& job) noexcept {
  IMB_JOB* next = IMB_GET_NEXT_JOB(manager);
  next->cipher_mode = IMB_CIPHER_NULL;
  next->hash_alg = IMB_AUTH_POLY1305;
  next->chain_order = IMB_ORDER_HASH_CIPHER;
  next->u.POLY1305._key = job.key;
  next->src = job.data;
  next->hash_start_src_offset_in_bytes = 0;
  next->msg_len_to_hash_in_bytes = job.length;
  next->auth_tag_output = job.mac.data();
  next->auth_tag_output_len_in_bytes = job.mac.size();
  IMB_SUBMIT_JOB_NOCHECK(manager);
  while (IMB_FLUSH_JOB(manager) != nullptr) {
  }
}

void poly1305_batch(Isa level, IMB_MGR* manager, std::span<PolyJob> jobs) noexcept {
  // The longest first, so that a group has similar lengths.
  PolyJob* sorted[kJobsMax];
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::size_t at = i;
    for (; at > 0 && sorted[at - 1]->length < jobs[i].length; --at) sorted[at] = sorted[at - 1];
    sorted[at] = &jobs[i];
  }
  const std::size_t lanes = level == Isa::kAvx512 ? 8 : 4;
  for (std::size_t i = 0; i < jobs.size(); i += lanes) {
    const std::size_t n = std::min(lanes, jobs.size() - i);
    if (!worth_lanes(level, n, sorted[i]->length)) {
      for (std::size_t k = i; k < i + n; ++k) poly1305_ipsec(manager, *sorted[k]);
    } else if (level == Isa::kAvx512) {
      poly1305_avx512(sorted + i, n);
    } else {
      poly1305_avx2(sorted + i, n);
    }
  }
}

}  // namespace orrery::crypto
