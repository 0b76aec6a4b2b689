// The memory-hard function over a lane type: lanes are consecutive blocks of one stream.
//
// With K[n] block n of the keystream and X[n] = K[0] ^ ... ^ K[n], the specification says:
//   fill:  block n of the memory = X[n], n < 32768
//   mix:   step i swaps a word of the memory with word a of D, then D ^= K[32768 + i]
// Only word a of D is looked at in a step. So D is kept as stored ^ X, where X is the one before
// the step: X comes from the lanes, whatever the data, and a step changes one word of `stored`:
//   D[a] = stored[a] ^ X[a];  out of the memory comes w;  D[a] = w, so stored[a] = w ^ X[a]
// A step waits for no other step, but where both meet by chance. Steps of one chunk of blocks are
// put between the rounds of the next: those occupy the vector units alone, these all the rest.
//
// Included inside a region of one target, like salsa_lanes.h.
#pragma once

#include "crypto/identity_work_isa.h"
#include "crypto/salsa_lanes.h"
#include "crypto/target.h"

namespace orrery::crypto {

// Unrolled, x stays in registers: 15 % of the whole with AVX2.
#define ORRERY_FOR_EACH_PART \
  ORRERY_PRAGMA(GCC unroll 16) for (std::size_t part = 0; part < 16; ++part)

template <typename Lanes>
ORRERY_LANES_INLINE void store(std::uint64_t* words, const Lanes& lanes) {
  __builtin_memcpy(words, &lanes, sizeof lanes);
}

/// The stream, a chunk of kLanesOf<Lanes> blocks at a time.
template <typename Lanes>
struct WorkStream {
  Lanes initial[16];  // state of the next chunk before its rounds
};

template <typename Lanes>
ORRERY_LANES_INLINE void begin_stream(WorkStream<Lanes>& stream, const std::uint32_t* state) {
  for (std::size_t i = 0; i < 16; ++i) stream.initial[i] = Lanes{} + state[i];
  for (std::uint32_t lane = 0; lane < kLanesOf<Lanes>; ++lane) stream.initial[8][lane] += lane;
}

/// x becomes the next blocks. between(0) .. between(7) are called between the double rounds.
template <typename Lanes, typename Between>
ORRERY_LANES_INLINE void next_chunk(WorkStream<Lanes>& stream, Lanes (&x)[16],
                                    const Between& between) {
  for (std::size_t i = 0; i < 16; ++i) x[i] = stream.initial[i];
  // Two thirds of the first double round do not depend on the counter. Standing apart it lets the
  // compiler take them out of the loop over the chunks: 5 % of the whole.
  double_round(x);
  for (std::size_t i = 0; i < 8; ++i) {
    double_round(x);
    between(i);
  }
  double_round(x);
  for (std::size_t i = 0; i < 16; ++i) x[i] += stream.initial[i];
  stream.initial[8] += static_cast<std::uint32_t>(kLanesOf<Lanes>);  // 163,840 fits 32 bits
  transpose_to_blocks(x);
}

/// at[2]: the two words that say where; before[8]: X before this step.
ORRERY_LANES_INLINE void swap_step(WorkMemory& memory, const std::uint64_t* at,
                                   const std::uint64_t* before, std::uint64_t* stored) {
  const std::size_t a = __builtin_bswap64(at[0]) % 8;
  const std::size_t b = __builtin_bswap64(at[1]) % kWorkWords;
  const std::uint64_t word = memory.word[b];
  memory.word[b] = stored[a] ^ before[a];
  stored[a] = word ^ before[a];
}

template <typename Lanes>
ORRERY_LANES_INLINE void work(const std::uint32_t* state, std::uint64_t* digest,
                              WorkMemory& memory) {
  constexpr std::size_t kLanes = kLanesOf<Lanes>;
  constexpr std::size_t kStepsBetween = kLanes / 8;
  WorkStream<Lanes> stream;
  begin_stream(stream, state);
  Lanes x[16];
  // A block is one register of 16 lanes or two of 8.
  constexpr std::size_t kParts = 64 / sizeof(Lanes);
  constexpr std::size_t kPartWords = 8 / kParts;
  Lanes sum[kParts]{};  // X

  for (std::size_t i = 0; i < kWorkWords; i += 8 * kLanes) {
    next_chunk(stream, x, [](std::size_t) {});
    ORRERY_FOR_EACH_PART {
      sum[part % kParts] ^= x[part];
      store(&memory.word[i + kPartWords * part], sum[part % kParts]);
    }
  }

  // X before each step: of the chunk that is stepped through and of the one that is made meanwhile
  alignas(64) std::uint64_t before[2][kLanes][8];
  const auto next_sums = [&](std::uint64_t* to) {
    ORRERY_FOR_EACH_PART {
      store(to + kPartWords * part, sum[part % kParts]);
      sum[part % kParts] ^= x[part];
    }
  };
  std::uint64_t stored[8];
  for (std::size_t a = 0; a < 8; ++a) stored[a] = digest[a] ^ memory.word[kWorkWords - 8 + a];
  next_chunk(stream, x, [](std::size_t) {});
  next_sums(before[0][0]);
  std::size_t now = 0;
  for (std::size_t i = 0; i < kWorkWords; i += 2 * kLanes) {
    // Where the steps of the next chunk will look, as far as is known: a word may yet be swapped.
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::size_t at = (i + 2 * (kLanes + lane) + 1) % kWorkWords;
      __builtin_prefetch(&memory.word[__builtin_bswap64(memory.word[at]) % kWorkWords], 1);
    }
    next_chunk(stream, x, [&](std::size_t part) {
      for (std::size_t lane = kStepsBetween * part; lane < kStepsBetween * (part + 1); ++lane)
        swap_step(memory, &memory.word[i + 2 * lane], before[now][lane], stored);
    });
    now ^= 1;
    next_sums(before[now][0]);
  }
  // The last chunk has no steps; X before its first would-be step is X after the last.
  for (std::size_t a = 0; a < 8; ++a) digest[a] = stored[a] ^ before[now][0][a];
}

#undef ORRERY_FOR_EACH_PART

}  // namespace orrery::crypto
