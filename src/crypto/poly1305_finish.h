// The end of a Poly1305: from an accumulator in limbs of 44, 44 and 42 bits to the MAC, for one
// message (Word is std::uint64_t) or one to a lane (Word is a vector of them). Included inside a
// stretch of target.h where Word is a vector. Private to crypto.
#pragma once

#include <cstdint>

namespace orrery::crypto {

template <typename Word>
struct PolyMac {
  Word low, high;
};

/// (h + s) mod 2^128, h reduced modulo 2^130 - 5. Each limb of h below 2^63.
template <typename Word>
[[gnu::always_inline]] static inline PolyMac<Word> poly1305_finish(Word h0, Word h1, Word h2,
                                                                   Word s_low, Word s_high) {
  constexpr std::uint64_t kMask44 = (1ULL << 44) - 1;
  constexpr std::uint64_t kMask42 = (1ULL << 42) - 1;
  // Two rounds of carries and a half bring every limb into its bits.
  for (int round = 0; round < 2; ++round) {
    h1 += h0 >> 44;
    h0 &= kMask44;
    h2 += h1 >> 44;
    h1 &= kMask44;
    h0 += (h2 >> 42) * 5;
    h2 &= kMask42;
  }
  h1 += h0 >> 44;
  h0 &= kMask44;
  // g = h + 5 - 2^130; h >= p exactly if that is not negative
  Word g0 = h0 + 5;
  Word g1 = h1 + (g0 >> 44);
  g0 &= kMask44;
  const Word g2 = h2 + (g1 >> 44) - (1ULL << 42);
  g1 &= kMask44;
  const Word keep = 0 - (g2 >> 63);  // all ones: h is below p
  h0 = (h0 & keep) | (g0 & ~keep);
  h1 = (h1 & keep) | (g1 & ~keep);
  h2 = (h2 & keep) | (g2 & ~keep);
  const Word low = h0 | (h1 << 44);
  const Word high = (h1 >> 20) | (h2 << 24);
  const Word sum = low + s_low;
  const Word carry = ((low & s_low) | ((low | s_low) & ~sum)) >> 63;
  return {sum, high + s_high + carry};
}

}  // namespace orrery::crypto
