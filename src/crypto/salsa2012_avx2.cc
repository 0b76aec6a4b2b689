// Eight blocks of one stream side by side: lane i of every vector belongs to block counter + i.
#include <algorithm>

#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

using Lanes = std::uint32_t __attribute__((vector_size(32)));

constexpr std::size_t kLanes = 8;

}  // namespace

__attribute__((target("avx2"))) void salsa2012_xor_avx2(const SalsaKey& key,
                                                        const std::uint8_t nonce[8],
                                                        std::uint64_t counter, MutableBytes data) {
  // Short rests are cheaper one block at a time.
  while (data.size() > 128) {
    const SalsaState base = salsa_state(key, nonce, counter);
    Lanes s[16];
    for (std::size_t i = 0; i < 16; ++i) s[i] = Lanes{} + base[i];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      s[8][lane] = static_cast<std::uint32_t>(counter + lane);
      s[9][lane] = static_cast<std::uint32_t>((counter + lane) >> 32);
    }
    Lanes x[16];
    for (std::size_t i = 0; i < 16; ++i) x[i] = s[i];
#define ORRERY_STEP(to, a, b, n)             \
  {                                          \
    const Lanes sum = x[a] + x[b];           \
    x[to] ^= (sum << n) | (sum >> (32 - n)); \
  }
#define ORRERY_QUARTER(a, b, c, d) \
  ORRERY_STEP(b, a, d, 7) ORRERY_STEP(c, b, a, 9) ORRERY_STEP(d, c, b, 13) ORRERY_STEP(a, d, c, 18)
    for (int round = 0; round < 12; round += 2) {
      ORRERY_QUARTER(0, 4, 8, 12)
      ORRERY_QUARTER(5, 9, 13, 1)
      ORRERY_QUARTER(10, 14, 2, 6)
      ORRERY_QUARTER(15, 3, 7, 11)
      ORRERY_QUARTER(0, 1, 2, 3)
      ORRERY_QUARTER(5, 6, 7, 4)
      ORRERY_QUARTER(10, 11, 8, 9)
      ORRERY_QUARTER(15, 12, 13, 14)
    }
#undef ORRERY_QUARTER
#undef ORRERY_STEP
    // keystream[word][lane], turned into blocks while it is XORed in
    alignas(32) std::uint32_t words[16][kLanes];
    for (std::size_t i = 0; i < 16; ++i) {
      x[i] += s[i];
      std::memcpy(words[i], &x[i], sizeof x[i]);
    }
    const std::size_t n = std::min<std::size_t>(64 * kLanes, data.size());
    alignas(32) std::uint32_t stream[16 * kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      for (std::size_t i = 0; i < 16; ++i) stream[lane * 16 + i] = words[i][lane];
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(stream);
    for (std::size_t i = 0; i < n; ++i) data[i] ^= bytes[i];
    counter += kLanes;
    data = data.subspan(n);
  }
  if (!data.empty()) salsa2012_xor_ref(key, nonce, counter, data);
}

}  // namespace orrery::crypto
