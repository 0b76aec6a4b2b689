// Salsa20/12 over the blocks of a batch, one block to a lane. Included inside a stretch of target.h
// by one file for each instruction set, which brings the lane type L:
//
//   Lanes                   a 32-bit word of each lane
//   rounds(x, rider)        Salsa20's rounds, and the rider's work in between
//   mix(x, targets)         XORs the block of each lane, x[word][lane], into targets[lane][64]
//   take(block, from, n), give(to, block, n)  n < 64 bytes into or out of an aligned block
#pragma once

#include "crypto/salsa20.h"
#include "crypto/salsa_lanes.h"

namespace orrery::crypto {

/// Nothing beside the rounds; poly1305_rider.h tells what the calls mean.
struct NoRider {
  static bool begin() { return true; }

  template <int kAt>
  void at() {}

  void end() {}

  void edge() {}

  void ready(std::size_t) {}
};

template <typename L>
struct SalsaLanes {
  using Lanes = typename L::Lanes;
  static constexpr unsigned kLanes = kLanesOf<Lanes>;

  /// The end of a stream that does not fill its block is worked on in a copy, so that every lane
  /// is XORed alike, without a branch.
  struct Tail {
    std::uint8_t* data;
    std::uint32_t bytes;
    unsigned lane;
  };

  /// Where the blocks of a round of lanes go.
  struct Round {
    std::uint8_t* targets[kLanes];  // 64 bytes each
    unsigned used = 0;
    unsigned tails_n = 0;
    Tail tails[kLanes];
    alignas(64) std::uint8_t scratch[kLanes][64];
  };

  /// Walks the blocks of all jobs, job after job.
  struct Cursor {
    std::span<const SalsaJob> jobs;
    std::size_t job = 0;
    std::uint32_t block = 0;  // of this job: block 0 of the stream comes first if it is wanted

    static std::uint32_t lead(const SalsaJob& j) { return j.one_time != nullptr ? 1 : 0; }

    static std::uint32_t blocks(const SalsaJob& j) { return lead(j) + (j.length + 63) / 64; }

    /// To the next job that has blocks left; false at the end.
    bool more() {
      while (job < jobs.size() && block == blocks(jobs[job])) {
        ++job;
        block = 0;
      }
      return job < jobs.size();
    }
  };

  static Lanes ordinals() {
    Lanes v;
    for (unsigned i = 0; i < kLanes; ++i) v[i] = i;
    return v;
  }

  /// Fills the lanes with the next blocks: s[word].
  [[gnu::always_inline]] static inline void fill(Cursor& cursor, Lanes (&s)[16], Round& round) {
    unsigned lane = 0;
    round.tails_n = 0;
    const Lanes ordinal = ordinals();
    while (lane < kLanes && cursor.more()) {
      const SalsaJob& job = cursor.jobs[cursor.job];
      const std::uint32_t lead = Cursor::lead(job);
      const std::uint32_t left = Cursor::blocks(job) - cursor.block;
      const unsigned end = left < kLanes - lane ? lane + left : kLanes;
      const Lanes counters = ordinal + (job.block - lead + cursor.block - lane);
      if (lane == 0) {
        for (unsigned i = 0; i < 16; ++i) s[i] = Lanes{} + job.state[i];
        s[8] = counters;
      } else {
        const auto here = ordinal >= Lanes{} + lane;
        for (unsigned i : {1U, 2U, 3U, 4U, 6U, 7U, 11U, 12U, 13U, 14U})
          s[i] = here ? Lanes{} + job.state[i] : s[i];
        s[8] = here ? counters : s[8];
      }
      std::uint32_t offset = (cursor.block - lead) * 64;  // wraps at block 0, not used then
      cursor.block += end - lane;
      if (offset + 64 == 0) {
        round.targets[lane++] = job.one_time;
        offset = 0;
      }
      for (; lane < end; ++lane, offset += 64) round.targets[lane] = job.data + offset;
      if (offset > job.length) {
        const Tail tail = {job.data + (offset - 64), 64 - (offset - job.length), end - 1};
        L::take(round.scratch[tail.lane], tail.data, tail.bytes);
        round.targets[tail.lane] = round.scratch[tail.lane];
        round.tails[round.tails_n++] = tail;
      }
    }
    round.used = lane;
    for (; lane < kLanes; ++lane) round.targets[lane] = round.scratch[lane];
  }

  template <typename Rider>
  [[gnu::always_inline]] static inline void batch(std::span<const SalsaJob> jobs,
                                                  Rider& rider) noexcept {
    Cursor cursor{jobs};
    Round round;
    for (;;) {
      Lanes s[16], x[16];
      fill(cursor, s, round);
      if (round.used == 0) return;
      for (unsigned i = 0; i < 16; ++i) x[i] = s[i];
      L::rounds(x, rider);
      for (unsigned i = 0; i < 16; ++i) x[i] += s[i];
      L::mix(x, round.targets);
      for (unsigned i = 0; i < round.tails_n; ++i) {
        const Tail& tail = round.tails[i];
        L::give(tail.data, round.scratch[tail.lane], tail.bytes);
      }
      rider.ready(cursor.job);  // all before it are written
    }
  }
};

}  // namespace orrery::crypto
