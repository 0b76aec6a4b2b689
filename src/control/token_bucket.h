// A rate limit: `burst` tokens that come back at `per_second`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace orrery::control {

class TokenBucket {
 public:
  TokenBucket(unsigned burst, unsigned per_second)
      : burst_(std::int64_t{burst} * 1000), per_ms_(per_second), level_(burst_) {}

  [[nodiscard]] bool take(Millis now) {
    if (!any(now)) return false;
    level_ -= 1000;
    return true;
  }

  [[nodiscard]] bool any(Millis now) {
    if (last_ != 0 && now > last_) level_ = std::min(burst_, level_ + (now - last_) * per_ms_);
    last_ = std::max(last_, now);
    return level_ >= 1000;
  }

  /// What belongs together: may take more than there are, which must come back first.
  void take_all(std::size_t tokens) { level_ -= static_cast<std::int64_t>(tokens) * 1000; }

 private:
  std::int64_t burst_;   // thousandths of a token
  std::int64_t per_ms_;  // thousandths of a token per ms
  std::int64_t level_;   // negative: owed
  Millis last_ = 0;
};

/// The same with limits that are part of the type: eight bytes, for records of which there are
/// many. It keeps time modulo 2^32 ms: who takes nothing for a multiple of 49.7 days finds it as he
/// left it.
template <unsigned kBurst, unsigned kPerSecond>
class FixedBucket {
 public:
  [[nodiscard]] bool take(Millis now) {
    const auto at = static_cast<std::uint32_t>(now);
    const std::uint64_t back = std::uint64_t{at - last_} * kPerSecond;
    last_ = at;
    level_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(kFull, level_ + back));
    if (level_ < 1000) return false;
    level_ -= 1000;
    return true;
  }

 private:
  static constexpr std::uint64_t kFull = std::uint64_t{kBurst} * 1000;

  std::uint32_t level_ = kFull;  // thousandths of a token
  std::uint32_t last_ = 0;
};

}  // namespace orrery::control
