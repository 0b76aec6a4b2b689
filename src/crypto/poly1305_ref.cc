#include <algorithm>

#include "crypto/poly1305.h"
#include "crypto/poly1305_finish.h"

namespace orrery::crypto {
namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t kMask44 = (1ULL << 44) - 1;
constexpr std::uint64_t kMask42 = (1ULL << 42) - 1;

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

void poly1305_ref(PolyJob& job) noexcept {
  const std::uint64_t t0 = load_le64(job.key) & 0x0ffffffc0fffffffULL;
  const std::uint64_t t1 = load_le64(job.key + 8) & 0x0ffffffc0ffffffcULL;
  const std::uint64_t r0 = t0 & kMask44;
  const std::uint64_t r1 = ((t0 >> 44) | (t1 << 20)) & kMask44;
  const std::uint64_t r2 = t1 >> 24;
  // 2^132 = 20 mod p
  const std::uint64_t s1 = 20 * r1;
  const std::uint64_t s2 = 20 * r2;
  std::uint64_t h0 = 0, h1 = 0, h2 = 0;
  for (std::uint32_t at = 0; at < job.length; at += 16) {
    std::uint8_t block[16] = {};
    const std::uint8_t* p = job.data + at;
    std::uint64_t top = 1ULL << 40;  // 2^128
    if (job.length - at < 16) {
      std::memcpy(block, p, job.length - at);
      block[job.length - at] = 1;
      p = block;
      top = 0;
    }
    const std::uint64_t low = load_le64(p);
    const std::uint64_t high = load_le64(p + 8);
    h0 += low & kMask44;
    h1 += ((low >> 44) | (high << 20)) & kMask44;
    h2 += (high >> 24) | top;
    const Wide d0 = Wide{h0} * r0 + Wide{h1} * s2 + Wide{h2} * s1;
    Wide d1 = Wide{h0} * r1 + Wide{h1} * r0 + Wide{h2} * s2;
    Wide d2 = Wide{h0} * r2 + Wide{h1} * r1 + Wide{h2} * r0;
    h0 = static_cast<std::uint64_t>(d0) & kMask44;
    d1 += static_cast<std::uint64_t>(d0 >> 44);
    h1 = static_cast<std::uint64_t>(d1) & kMask44;
    d2 += static_cast<std::uint64_t>(d1 >> 44);
    h2 = static_cast<std::uint64_t>(d2) & kMask42;
    h0 += 5 * static_cast<std::uint64_t>(d2 >> 42);
    h1 += h0 >> 44;
    h0 &= kMask44;
  }
  const auto mac = poly1305_finish(h0, h1, h2, load_le64(job.key + 16), load_le64(job.key + 24));
  std::memcpy(job.mac.data(), &mac, 16);
}

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
