// Sixteen blocks side by side.
#include <immintrin.h>

#include <cstddef>
#include <cstring>

#include "crypto/poly1305.h"
#include "crypto/salsa20.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX512_FEATURES)
#if !defined(__clang__)  // in the order of the source: what rides along is spread over the rounds
#pragma GCC optimize("no-schedule-insns", "no-schedule-insns2")
#endif
#include "crypto/poly1305_rider.h"
#include "crypto/salsa2012_lanes.h"

namespace orrery::crypto {
namespace {

struct Sixteen {
  using Lanes = Lanes16;

  /// One line of a quarterround (salsa_lanes.h).
  template <int kBits>
  [[gnu::always_inline]] static inline void line(Lanes& to, const Lanes& a, const Lanes& b) {
    to ^= rotate<kBits>(a + b);
  }

  /// Spelt out, so that no word leaves its register for what the rider does in between.
  template <typename Rider>
  [[gnu::always_inline]] static inline void double_round(Rider& rider, Lanes& x0, Lanes& x1,
                                                         Lanes& x2, Lanes& x3, Lanes& x4, Lanes& x5,
                                                         Lanes& x6, Lanes& x7, Lanes& x8, Lanes& x9,
                                                         Lanes& x10, Lanes& x11, Lanes& x12,
                                                         Lanes& x13, Lanes& x14, Lanes& x15) {
    line<7>(x4, x0, x12);
    line<7>(x9, x5, x1);
    line<7>(x14, x10, x6);
    line<7>(x3, x15, x11);
    line<9>(x8, x4, x0);
    line<9>(x13, x9, x5);
    line<9>(x2, x14, x10);
    line<9>(x7, x3, x15);
    rider.template at<0>();
    line<13>(x12, x8, x4);
    line<13>(x1, x13, x9);
    line<13>(x6, x2, x14);
    line<13>(x11, x7, x3);
    line<18>(x0, x12, x8);
    line<18>(x5, x1, x13);
    line<18>(x10, x6, x2);
    line<18>(x15, x11, x7);
    rider.template at<1>();
    line<7>(x1, x0, x3);
    line<7>(x6, x5, x4);
    line<7>(x11, x10, x9);
    line<7>(x12, x15, x14);
    line<9>(x2, x1, x0);
    line<9>(x7, x6, x5);
    line<9>(x8, x11, x10);
    line<9>(x13, x12, x15);
    rider.template at<2>();
    line<13>(x3, x2, x1);
    line<13>(x4, x7, x6);
    line<13>(x9, x8, x11);
    line<13>(x14, x13, x12);
    line<18>(x0, x3, x2);
    line<18>(x5, x4, x7);
    line<18>(x10, x9, x8);
    line<18>(x15, x14, x13);
    rider.template at<3>();
  }

  template <typename Rider>
  [[gnu::always_inline]] static inline void rounds(Lanes (&x)[16], Rider& rider) {
    Lanes x0 = x[0];
    Lanes x1 = x[1];
    Lanes x2 = x[2];
    Lanes x3 = x[3];
    Lanes x4 = x[4];
    Lanes x5 = x[5];
    Lanes x6 = x[6];
    Lanes x7 = x[7];
    Lanes x8 = x[8];
    Lanes x9 = x[9];
    Lanes x10 = x[10];
    Lanes x11 = x[11];
    Lanes x12 = x[12];
    Lanes x13 = x[13];
    Lanes x14 = x[14];
    Lanes x15 = x[15];
#pragma GCC unroll 1
    for (int round = 0; round < 12; round += 2) {
      if (!rider.begin()) [[unlikely]]
        rider.edge();
      double_round(rider, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15);
      rider.end();
    }
    x[0] = x0;
    x[1] = x1;
    x[2] = x2;
    x[3] = x3;
    x[4] = x4;
    x[5] = x5;
    x[6] = x6;
    x[7] = x7;
    x[8] = x8;
    x[9] = x9;
    x[10] = x10;
    x[11] = x11;
    x[12] = x12;
    x[13] = x13;
    x[14] = x14;
    x[15] = x15;
  }

  /// The blocks of two lanes meet the data by halves: putting two halves together while loading is
  /// done by any vector unit, and on some processors only one of them shuffles.
  [[gnu::always_inline]] static inline void mix(Lanes (&x)[16],
                                                std::uint8_t* const (&targets)[16]) {
    transpose_to_halves(x);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; ++i) {
      const unsigned lane = 8 * (i / 8) + i / 2 % 4;
      auto* a = reinterpret_cast<__m256i*>(targets[lane] + 32 * (i % 2));
      auto* b = reinterpret_cast<__m256i*>(targets[lane + 4] + 32 * (i % 2));
      const __m512i data = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(a)),
                                              _mm256_loadu_si256(b), 1);
      const __m512i mixed = data ^ reinterpret_cast<__m512i>(x[i]);
      _mm256_storeu_si256(a, _mm512_castsi512_si256(mixed));
      _mm256_storeu_si256(b, _mm512_extracti64x4_epi64(mixed, 1));
    }
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
  NoRider none;
  SalsaLanes<Sixteen>::batch(jobs, none);
}

std::size_t salsa2012_poly1305_avx512(std::span<const SalsaJob> jobs, PolyJob* macs,
                                      std::size_t limit) noexcept {
  PolyRider rider(macs, limit);
  SalsaLanes<Sixteen>::batch(jobs, rider);
  return rider.finish();
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
