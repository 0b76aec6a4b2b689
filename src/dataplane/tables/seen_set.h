// Ids of authenticated packets, against replay: one set for all workers and control, of a fixed
// size, without locks.
//
// A cache line holds the tags of sixteen packets, 31 bits each, and is a ring: the top bit of a tag
// says in which round of the ring it was written, so where the rounds meet is where the next one
// goes, over the oldest. One compare-and-swap enters a packet.
//
//   Invariant 1: slots of a line are written in order, each by a compare-and-swap of the value that
//                the writer has read.
//   So a writer whose swap at the place where the rounds meet succeeds has read every slot before
//   it as it is in this round, and every slot behind it as of the last: had anybody entered
//   anything meanwhile, it would stand in that very slot. Of several threads that enter the same
//   packet, exactly one is told that it is new.
//
// The order in which packets come does not matter. A set of n ids remembers n packets, but lines
// fill unevenly: before n/8 others came none is forgotten, before n/4 two in a million. Two packets
// are taken for one with a chance of 16 / 2^31 = 7.5e-9. Names are hashed under a key of the
// process: nobody can aim at a line. Weak spot: a thread that sleeps between its reads while the
// same line takes sixteen packets.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/layout.h"
#include "base/result.h"
#include "base/siphash.h"
#include "fib/seen.h"

namespace orrery::dataplane {

class SeenSet final : public fib::SeenIds {
 public:
  static constexpr unsigned kBatch = 64;
  static constexpr std::size_t kIdsPerLine = 16;
  static constexpr std::size_t kFewest = std::size_t{1} << 16;  // ids
  static constexpr std::size_t kMost = std::size_t{1} << 28;    // 1 GiB

  /// What the daemon takes by itself: 1/512 of the memory, 1 Mi to 16 Mi ids (4 to 64 MiB).
  [[nodiscard]] static std::size_t default_ids(std::size_t memory_bytes);

  /// Room for at least `ids` packets, four bytes each: kFewest to kMost, a power of two. Touches
  /// all of it. An error when there is no memory.
  static Result<std::unique_ptr<SeenSet>> make(std::size_t ids, SipKey key);

  // --- by vector: hash all, fetch all, then enter one after another
  /// hash[i] for i < n <= kBatch; `hash` has room for kBatch.
  void hash(const std::uint64_t* ids, const std::uint64_t* sources, unsigned n,
            std::uint64_t* hash) const noexcept;

  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&lines_[hash & mask_], 1); }

  /// Whether it was there already; it is from now on.
  [[nodiscard]] bool insert(std::uint64_t hash) noexcept;

  [[nodiscard]] bool insert(std::uint64_t id, wire::Address source) noexcept override;

  /// Packets that it has room for.
  [[nodiscard]] std::size_t ids() const noexcept { return (mask_ + 1) * kIdsPerLine; }

 private:
  struct alignas(kCacheLine) Line {
    std::atomic<std::uint32_t> tag[kIdsPerLine];
  };

  static_assert(sizeof(Line) == kCacheLine);

  struct Free {
    void operator()(Line* lines) const noexcept;
  };

  SeenSet(Line* lines, std::size_t count, SipKey key)
      : lines_(lines), mask_(count - 1), key_(key) {}

  std::unique_ptr<Line[], Free> lines_;
  std::uint64_t mask_;
  SipKey key_;
};

}  // namespace orrery::dataplane
