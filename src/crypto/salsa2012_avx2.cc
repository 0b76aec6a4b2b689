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

  static void mix(Lanes (&x)[16], unsigned lane, const std::uint8_t* p) {
    for (unsigned half = 0; half < 2; ++half) {
      x[2 * lane + half] ^= reinterpret_cast<Lanes>(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * half)));
    }
  }

  static void put(const Lanes (&x)[16], unsigned lane, std::uint8_t* p) {
    for (unsigned half = 0; half < 2; ++half) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32 * half),
                          reinterpret_cast<__m256i>(x[2 * lane + half]));
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
