#include "crypto/poly1305.h"
#include "crypto/poly1305_finish.h"

namespace orrery::crypto {
namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t kMask44 = (1ULL << 44) - 1;
constexpr std::uint64_t kMask42 = (1ULL << 42) - 1;

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

}  // namespace orrery::crypto
