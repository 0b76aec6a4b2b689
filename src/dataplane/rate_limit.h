// A rate limit that any number of threads may share: one atomic word, no lock. (The generic cell
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
    if (interval_ns_ == 0) return true;
    const std::uint64_t at = static_cast<std::uint64_t>(now) * 1'000'000u;
    std::uint64_t full = full_at_.load(std::memory_order_relaxed);
    std::uint64_t next;
    do {
      next = std::max(full, at) + interval_ns_;
      if (next > at + tolerance_ns_) return false;
    } while (!full_at_.compare_exchange_weak(full, next, std::memory_order_relaxed));
    return true;
  }

 private:
  static constexpr std::uint64_t kSecond = 1'000'000'000;

  std::uint64_t interval_ns_ = 0;
  std::uint64_t tolerance_ns_ = 0;
  std::atomic<std::uint64_t> full_at_{0};
};

}  // namespace orrery::dataplane
