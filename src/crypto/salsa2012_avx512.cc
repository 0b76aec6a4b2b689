// Sixteen blocks side by side.
#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "crypto/salsa20.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX512_FEATURES)
#include "crypto/salsa2012_lanes.h"

namespace orrery::crypto {
namespace {

struct Sixteen {
  using Lanes = Lanes16;

  static void mix(Lanes (&x)[16], unsigned lane, const std::uint8_t* p) {
    x[lane] ^= reinterpret_cast<Lanes>(_mm512_loadu_si512(p));
  }

  static void put(const Lanes (&x)[16], unsigned lane, std::uint8_t* p) {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(x[lane]));
  }

  // Whole vectors to and from the block: a masked store would not be forwarded to the load.
  static void take(std::uint8_t* block, const std::uint8_t* from, std::uint32_t n) {
    _mm512_store_si512(block, _mm512_maskz_loadu_epi8(_bzhi_u64(~0ULL, n), from));
  }

  static void give(std::uint8_t* to, const std::uint8_t* block, std::uint32_t n) {
    _mm512_mask_storeu_epi8(to, _bzhi_u64(~0ULL, n), _mm512_load_si512(block));
  }
};

}  // namespace

void salsa2012_batch_avx512(std::span<const SalsaJob> jobs) noexcept {
  SalsaLanes<Sixteen>::batch(jobs);
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
