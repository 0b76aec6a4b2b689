// SipHash-2-4 over a lane type of 64-bit words, two vectors of messages side by side so that one
// works while the other waits. Included by the files of one instruction set only, as salsa_lanes.h.
// Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF", section 2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crypto/siphash_batch.h"

namespace orrery::crypto {
namespace {

template <typename Lanes, int kPairs>
struct SipLanes {
  Lanes v0[kPairs], v1[kPairs], v2[kPairs], v3[kPairs];

  [[gnu::always_inline]] static inline Lanes rotate(Lanes x, int bits) {
    return (x << bits) | (x >> (64 - bits));
  }

  [[gnu::always_inline]] inline void round() {
#pragma GCC unroll 4
    for (int i = 0; i < kPairs; ++i) {
      v0[i] += v1[i];
      v2[i] += v3[i];
      v1[i] = rotate(v1[i], 13) ^ v0[i];
      v3[i] = rotate(v3[i], 16) ^ v2[i];
      v0[i] = rotate(v0[i], 32);
      v2[i] += v1[i];
      v0[i] += v3[i];
      v1[i] = rotate(v1[i], 17) ^ v2[i];
      v3[i] = rotate(v3[i], 21) ^ v0[i];
      v2[i] = rotate(v2[i], 32);
    }
  }
};

template <typename Lanes, int kPairs>
[[gnu::always_inline]] inline void siphash_lanes(const SipKey& key, const SipBatch& in,
                                                 unsigned words, unsigned n, std::uint64_t* hash) {
  constexpr unsigned kEach = sizeof(Lanes) / 8;
  const Lanes zero = {};
  const sip_detail::State initial(key);
  for (unsigned at = 0; at < n; at += kEach * kPairs) {
    SipLanes<Lanes, kPairs> s;
    for (int i = 0; i < kPairs; ++i) {
      s.v0[i] = zero + initial.v0;
      s.v1[i] = zero + initial.v1;
      s.v2[i] = zero + initial.v2;
      s.v3[i] = zero + initial.v3;
    }
    for (unsigned w = 0; w < words; ++w) {
      Lanes m[kPairs];
      for (int i = 0; i < kPairs; ++i) {
        __builtin_memcpy(&m[i], &in.word[w][at + kEach * static_cast<unsigned>(i)], sizeof(Lanes));
        s.v3[i] ^= m[i];
      }
      s.round();
      s.round();
      for (int i = 0; i < kPairs; ++i) s.v0[i] ^= m[i];
    }
    for (int i = 0; i < kPairs; ++i) s.v2[i] ^= zero + 0xff;
    for (int r = 0; r < 4; ++r) s.round();
    for (int i = 0; i < kPairs; ++i) {
      const Lanes sum = s.v0[i] ^ s.v1[i] ^ s.v2[i] ^ s.v3[i];
      __builtin_memcpy(hash + at + kEach * static_cast<unsigned>(i), &sum, sizeof(Lanes));
    }
  }
}

}  // namespace
}  // namespace orrery::crypto
