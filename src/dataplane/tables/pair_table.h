// When control last heard of a pair, in a table of fixed size: sets of four under a keyed hash, the
// oldest of a set gives way, so whoever fills it only makes it forget. One worker's.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/layout.h"
#include "base/time.h"

namespace orrery::dataplane {

class PairTable {
 public:
  /// `pairs`: a power of two is made of it, at least 4.
  PairTable(std::size_t pairs, Millis interval)
      : interval_(static_cast<std::uint32_t>(interval)),
        mask_(std::bit_ceil(pairs / kWays) - 1),
        sets_(mask_ + 1) {}

  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&sets_[hash & mask_]); }

  /// Whether the interval is over since note().
  [[nodiscard]] bool due(std::uint64_t hash, Millis now) const noexcept {
    const std::uint32_t tag = tag_of(hash);
    const Set& set = sets_[hash & mask_];
    for (unsigned i = 0; i < kWays; ++i) {
      if (set.tag[i] == tag) return static_cast<std::uint32_t>(now) - set.at[i] >= interval_;
    }
    return true;
  }

  void note(std::uint64_t hash, Millis now) noexcept {
    const std::uint32_t tag = tag_of(hash);
    const auto at = static_cast<std::uint32_t>(now);
    Set& set = sets_[hash & mask_];
    unsigned place = 0;
    for (unsigned i = 0; i < kWays; ++i) {
      if (set.tag[i] == tag) {
        place = i;
        break;
      }
      if (set.tag[i] == 0 || at - set.at[i] > at - set.at[place]) place = i;
    }
    set.tag[place] = tag;
    set.at[place] = at;
  }

 private:
  static constexpr unsigned kWays = 4;

  struct alignas(32) Set {
    std::array<std::uint32_t, kWays> tag{};  // 0: free
    std::array<std::uint32_t, kWays> at{};   // ms
  };

  static std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 32) | 1;
  }

  std::uint32_t interval_;
  std::uint64_t mask_;
  std::vector<Set> sets_;
};

}  // namespace orrery::dataplane
