// A rate limit: `burst` tokens that come back at `per_second`.
#pragma once

#include <algorithm>
#include <cstddef>

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

}  // namespace orrery::control
