// Chance that a seed decides: SplitMix64 (Steele, Lea, Flood 2014), eight bytes of state for each
// who throws dice, so that one more throw of one does not change those of another.
//
// The same numbers on every compiler: no distributions of the standard library, no floating point.
// Nothing secret comes from here outside simulations.
#pragma once

#include "base/bytes.h"

namespace orrery::sim {

/// Parts of a million, for chances.
inline constexpr std::uint32_t kMillion = 1'000'000;

class Random {
 public:
  explicit Random(std::uint64_t seed = 0) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  /// 0 to `n` - 1; the bias is below 2^-32 for the small numbers of scenes. REQUIRES: n > 0.
  std::uint64_t below(std::uint64_t n) { return next() % n; }

  /// `low` to `high`, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }

  bool chance(std::uint32_t of_a_million) {
    return of_a_million != 0 && below(kMillion) < of_a_million;
  }

  void fill(MutableBytes out) {
    for (std::size_t i = 0; i < out.size(); i += 8) {
      std::uint8_t word[8];
      store_be64(word, next());
      std::memcpy(out.data() + i, word, std::min<std::size_t>(8, out.size() - i));
    }
  }

  /// Another source that this one decides: one for every host, link and box.
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace orrery::sim
