// Salsa20 over a lane type: x[word] holds that word of the state of every lane, and a lane is one
// block. What the lanes are (blocks of one stream or of several) is the business of the caller, who
// fills x and adds its initial value after the rounds.
//
// Included by the files of one instruction set only, inside ORRERY_TARGET_BEGIN/END: everything
// here is a template, static and inlined, so each of those files has its own copy, compiled for its
// own target, and no symbol of it is shared. What this header includes must have been included
// before the region began, or inline functions of the standard library would get its target, too.
// Source: D. J. Bernstein, "Salsa20 specification", sections 3 to 8.
#pragma once

#include <cstddef>
#include <cstdint>

namespace orrery::crypto {

using Lanes8 = std::uint32_t __attribute__((vector_size(32)));   // AVX2
using Lanes16 = std::uint32_t __attribute__((vector_size(64)));  // AVX-512

template <typename Lanes>
inline constexpr std::size_t kLanesOf = sizeof(Lanes) / sizeof(std::uint32_t);

#define ORRERY_LANES_INLINE [[gnu::always_inline]] static inline

template <int kBits, typename Lanes>
ORRERY_LANES_INLINE Lanes rotate(const Lanes& x) {
  return (x << kBits) | (x >> (32 - kBits));
}

/// One line of the quarterrounds (section 3) of rows or columns that do not depend on each other:
/// to ^= (a + b) <<< bits.
template <int kBits, typename Lanes, std::size_t kRounds>
ORRERY_LANES_INLINE void quarter_line(Lanes (&x)[16], const unsigned* to, const unsigned* a,
                                      const unsigned* b) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kRounds; ++i) x[to[i]] ^= rotate<kBits>(x[a[i]] + x[b[i]]);
}

/// The quarterrounds of y0, y1, y2, y3, each an index for four rows or columns. With the 32
/// registers of AVX-512 line by line keeps the units of the processor busier; with 16 it would cost
/// more in stores and loads than it gains, so there one quarterround follows the other.
template <typename Lanes>
ORRERY_LANES_INLINE void quarter_rounds(Lanes (&x)[16], const unsigned (&y0)[4],
                                        const unsigned (&y1)[4], const unsigned (&y2)[4],
                                        const unsigned (&y3)[4]) {
  constexpr std::size_t kAtOnce = kLanesOf<Lanes> == 16 ? 4 : 1;
#pragma GCC unroll 4
  for (std::size_t i = 0; i < 4; i += kAtOnce) {
    quarter_line<7, Lanes, kAtOnce>(x, y1 + i, y0 + i, y3 + i);
    quarter_line<9, Lanes, kAtOnce>(x, y2 + i, y1 + i, y0 + i);
    quarter_line<13, Lanes, kAtOnce>(x, y3 + i, y2 + i, y1 + i);
    quarter_line<18, Lanes, kAtOnce>(x, y0 + i, y3 + i, y2 + i);
  }
}

/// Section 5, columnround.
template <typename Lanes>
ORRERY_LANES_INLINE void column_round(Lanes (&x)[16]) {
  quarter_rounds(x, {0, 5, 10, 15}, {4, 9, 14, 3}, {8, 13, 2, 7}, {12, 1, 6, 11});
}

/// Section 4, rowround.
template <typename Lanes>
ORRERY_LANES_INLINE void row_round(Lanes (&x)[16]) {
  quarter_rounds(x, {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14});
}

/// Section 6, doubleround.
template <typename Lanes>
ORRERY_LANES_INLINE void double_round(Lanes (&x)[16]) {
  column_round(x);
  row_round(x);
}

/// `rounds` is 12 or 20.
template <typename Lanes>
ORRERY_LANES_INLINE void salsa_rounds(Lanes (&x)[16], int rounds) {
  for (int round = 0; round < rounds; round += 2) double_round(x);
}

/// Interleaves a and b within each 128 bits: a0 b0 a1 b1 (low) or a2 b2 a3 b3 (high).
template <typename Lanes>
ORRERY_LANES_INLINE Lanes low_words(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
  } else {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  }
}

template <typename Lanes>
ORRERY_LANES_INLINE Lanes high_words(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  } else {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15,
                                   31);
  }
}

/// The shuffles below move whole pairs of words.
using Pairs8 = std::uint64_t __attribute__((vector_size(32)));
using Pairs16 = std::uint64_t __attribute__((vector_size(64)));

#define ORRERY_SHUFFLE_PAIRS(pairs, ...)                                      \
  reinterpret_cast<Lanes>(__builtin_shufflevector(reinterpret_cast<pairs>(a), \
                                                  reinterpret_cast<pairs>(b), __VA_ARGS__))

/// a0 a1 b0 b1 of each 128 bits.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes low_pairs(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return ORRERY_SHUFFLE_PAIRS(Pairs8, 0, 4, 2, 6);
  } else {
    return ORRERY_SHUFFLE_PAIRS(Pairs16, 0, 8, 2, 10, 4, 12, 6, 14);
  }
}

/// a2 a3 b2 b3 of each 128 bits.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes high_pairs(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return ORRERY_SHUFFLE_PAIRS(Pairs8, 1, 5, 3, 7);
  } else {
    return ORRERY_SHUFFLE_PAIRS(Pairs16, 1, 9, 3, 11, 5, 13, 7, 15);
  }
}

/// The low half of a, then that of b.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes low_halves(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return ORRERY_SHUFFLE_PAIRS(Pairs8, 0, 1, 4, 5);
  } else {
    return ORRERY_SHUFFLE_PAIRS(Pairs16, 0, 1, 2, 3, 8, 9, 10, 11);
  }
}

/// The high half of a, then that of b.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes high_halves(const Lanes& a, const Lanes& b) {
  if constexpr (kLanesOf<Lanes> == 8) {
    return ORRERY_SHUFFLE_PAIRS(Pairs8, 2, 3, 6, 7);
  } else {
    return ORRERY_SHUFFLE_PAIRS(Pairs16, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// The even 128-bit quarters of a, then those of b. Lanes16 only.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes even_quarters(const Lanes& a, const Lanes& b) {
  return ORRERY_SHUFFLE_PAIRS(Pairs16, 0, 1, 4, 5, 8, 9, 12, 13);
}

/// The odd 128-bit quarters of a, then those of b. Lanes16 only.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes odd_quarters(const Lanes& a, const Lanes& b) {
  return ORRERY_SHUFFLE_PAIRS(Pairs16, 2, 3, 6, 7, 10, 11, 14, 15);
}

/// Quarters 2n and 2n + 1 of a, each before that of b: a0 b0 a1 b1 or a2 b2 a3 b3. Lanes16 only.
template <typename Lanes>
ORRERY_LANES_INLINE Lanes low_quarters(const Lanes& a, const Lanes& b) {
  return ORRERY_SHUFFLE_PAIRS(Pairs16, 0, 1, 8, 9, 2, 3, 10, 11);
}

template <typename Lanes>
ORRERY_LANES_INLINE Lanes high_quarters(const Lanes& a, const Lanes& b) {
  return ORRERY_SHUFFLE_PAIRS(Pairs16, 4, 5, 12, 13, 6, 7, 14, 15);
}

#undef ORRERY_SHUFFLE_PAIRS

/// 4x4 words within each 128 bits: afterwards y[j], in its quarter q, has the four words of lane
/// 4q + j.
template <typename Lanes>
ORRERY_LANES_INLINE void transpose_quarters(Lanes& y0, Lanes& y1, Lanes& y2, Lanes& y3) {
  const Lanes a = low_words(y0, y1);
  const Lanes b = low_words(y2, y3);
  const Lanes c = high_words(y0, y1);
  const Lanes d = high_words(y2, y3);
  y0 = low_pairs(a, b);
  y1 = high_pairs(a, b);
  y2 = low_pairs(c, d);
  y3 = high_pairs(c, d);
}

/// x[word][lane] becomes block after block: x[lane] is the block of a lane (Lanes16), or
/// x[2 * lane] and x[2 * lane + 1] are its halves (Lanes8).
template <typename Lanes>
ORRERY_LANES_INLINE void transpose_to_blocks(Lanes (&x)[16]) {
  for (std::size_t g = 0; g < 16; g += 4) transpose_quarters(x[g], x[g + 1], x[g + 2], x[g + 3]);
  // x[4g + j], quarter q: words 4g .. 4g + 3 of lane 4q + j
  Lanes y[16];
  for (std::size_t j = 0; j < 4; ++j) {
    const Lanes& w0 = x[j];
    const Lanes& w4 = x[4 + j];
    const Lanes& w8 = x[8 + j];
    const Lanes& w12 = x[12 + j];
    if constexpr (kLanesOf<Lanes> == 8) {
      y[2 * j] = low_halves(w0, w4);
      y[2 * j + 1] = low_halves(w8, w12);
      y[2 * j + 8] = high_halves(w0, w4);
      y[2 * j + 9] = high_halves(w8, w12);
    } else {
      const Lanes even_low = even_quarters(w0, w4);  // words 0..7: w0 of q 0, 2; w4 of q 0, 2
      const Lanes even_high = even_quarters(w8, w12);
      const Lanes odd_low = odd_quarters(w0, w4);
      const Lanes odd_high = odd_quarters(w8, w12);
      y[j] = even_quarters(even_low, even_high);
      y[4 + j] = even_quarters(odd_low, odd_high);
      y[8 + j] = odd_quarters(even_low, even_high);
      y[12 + j] = odd_quarters(odd_low, odd_high);
    }
  }
  for (std::size_t i = 0; i < 16; ++i) x[i] = y[i];
}

/// x[word][lane] becomes halves of blocks, of two lanes in a register: x[8p + 2j + h] has half h of
/// lane 8p + j, then of lane 8p + 4 + j. Lanes16 only.
template <typename Lanes>
ORRERY_LANES_INLINE void transpose_to_halves(Lanes (&x)[16]) {
  for (std::size_t g = 0; g < 16; g += 4) transpose_quarters(x[g], x[g + 1], x[g + 2], x[g + 3]);
  Lanes y[16];
  for (std::size_t j = 0; j < 4; ++j) {
    y[2 * j] = low_quarters(x[j], x[4 + j]);
    y[2 * j + 1] = low_quarters(x[8 + j], x[12 + j]);
    y[8 + 2 * j] = high_quarters(x[j], x[4 + j]);
    y[8 + 2 * j + 1] = high_quarters(x[8 + j], x[12 + j]);
  }
  for (std::size_t i = 0; i < 16; ++i) x[i] = y[i];
}

}  // namespace orrery::crypto
