// How long answers of a peer took, as a histogram: for those who watch from outside.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/time.h"

namespace orrery::control {

class RoundTrips {
 public:
  /// ms, inclusive. Source: docs/protocol/12-local-service.md section 9.
  static constexpr std::array<Millis, 10> kBounds{1, 3, 6, 10, 30, 60, 100, 300, 600, 1000};

  void add(Millis took) {
    const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), took) - kBounds.begin();
    ++buckets_[static_cast<std::size_t>(bucket)];
    ++count_;
    sum_ += static_cast<std::uint64_t>(std::max<Millis>(took, 0));
  }

  /// Answers that took at most kBounds[i].
  [[nodiscard]] std::uint64_t within(std::size_t i) const {
    std::uint64_t sum = 0;
    for (std::size_t bucket = 0; bucket <= i; ++bucket) sum += buckets_[bucket];
    return sum;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }

  [[nodiscard]] std::uint64_t sum() const { return sum_; }

 private:
  std::array<std::uint32_t, kBounds.size() + 1> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;  // ms
};

}  // namespace orrery::control
