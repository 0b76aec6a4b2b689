// Rate limits that any number of threads may share: one atomic word, no lock. (The generic cell
// rate algorithm: the word is the time at which the bucket would be full again.)
//
// The clock of workers moves in steps of some milliseconds, so a bucket holds an eighth of a
// second.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/time.h"

namespace orrery::dataplane {

/// The word.
class Bucket {
 public:
  /// Whether it has room for `cost`, all in nanoseconds.
  [[nodiscard]] bool take(Millis now, std::uint64_t cost, std::uint64_t tolerance) noexcept {
    const std::uint64_t at = static_cast<std::uint64_t>(now) * 1'000'000u;
    std::uint64_t full = full_at_.load(std::memory_order_relaxed);
    std::uint64_t next;
    do {
      next = std::max(full, at) + cost;
      if (next > at + tolerance) return false;
    } while (!full_at_.compare_exchange_weak(full, next, std::memory_order_relaxed));
    return true;
  }

  /// What another one holds; before others use this one.
  void copy(const Bucket& other) noexcept {
    full_at_.store(other.full_at_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> full_at_{0};
};

/// So many things a second.
class RateLimit {
 public:
  static constexpr std::uint32_t kLeastBurst = 32;

  RateLimit() = default;

  /// 0: no limit.
  explicit RateLimit(std::uint32_t per_second) { set(per_second); }

  /// Before others use it.
  void set(std::uint32_t per_second) noexcept {
    interval_ns_ = per_second == 0 ? 0 : kSecond / per_second;
    tolerance_ns_ = interval_ns_ * std::max(per_second / 8, kLeastBurst);
  }

  [[nodiscard]] bool take(Millis now) noexcept {
    return interval_ns_ == 0 || bucket_.take(now, interval_ns_, tolerance_ns_);
  }

 private:
  static constexpr std::uint64_t kSecond = 1'000'000'000;

  std::uint64_t interval_ns_ = 0;
  std::uint64_t tolerance_ns_ = 0;
  Bucket bucket_;
};

/// So many bits a second. A bucket holds an eighth of a second, and four frames at least.
[[nodiscard]] inline bool take_bytes(Bucket& bucket, Millis now, std::size_t bytes,
                                     std::uint32_t kbit_per_second) noexcept {
  constexpr std::uint64_t kEighth = 125'000'000, kFourFrames = 12'000;
  const auto time_of = [&](std::uint64_t n) { return n * 8'000'000 / kbit_per_second; };
  return bucket.take(now, time_of(bytes), std::max(kEighth, time_of(kFourFrames)));
}

}  // namespace orrery::dataplane
