// Eight blocks side by side.
#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "crypto/salsa20.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX2_FEATURES)
#include "crypto/salsa2012_lanes.h"

namespace orrery::crypto {
namespace {

struct Eight {
  using Lanes = Lanes8;

  static void rounds(Lanes (&x)[16], NoRider&) { salsa_rounds(x, 12); }

  [[gnu::always_inline]] static inline void mix(Lanes (&x)[16], std::uint8_t* const (&targets)[8]) {
    transpose_to_blocks(x);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; ++i) {
      auto* half = reinterpret_cast<__m256i*>(targets[i / 2] + 32 * (i % 2));
      _mm256_storeu_si256(half, _mm256_loadu_si256(half) ^ reinterpret_cast<__m256i>(x[i]));
    }
  }

  static void take(std::uint8_t* block, const std::uint8_t* from, std::uint32_t n) {
    std::memcpy(block, from, n);
  }

  static void give(std::uint8_t* to, const std::uint8_t* block, std::uint32_t n) {
    std::memcpy(to, block, n);
  }
};

}  // namespace

void salsa2012_batch_avx2(std::span<const SalsaJob> jobs) noexcept {
  NoRider none;
  SalsaLanes<Eight>::batch(jobs, none);
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
