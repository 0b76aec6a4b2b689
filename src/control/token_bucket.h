// A rate limit: `burst` tokens that come back at `per_second`.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace orrery::control {

class TokenBucket {
 public:
  TokenBucket(unsigned burst, unsigned per_second)
      : burst_(std::int64_t{burst} * 1000), per_ms_(per_second), level_(burst_) {}

  [[nodiscard]] bool take(Millis now) {
    if (last_ != 0 && now > last_) level_ = std::min(burst_, level_ + (now - last_) * per_ms_);
    last_ = std::max(last_, now);
    if (level_ < 1000) return false;
    level_ -= 1000;
    return true;
  }

 private:
  std::int64_t burst_;   // thousandths of a token
  std::int64_t per_ms_;  // thousandths of a token per ms
  std::int64_t level_;
  Millis last_ = 0;
};

}  // namespace orrery::control
