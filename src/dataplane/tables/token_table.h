// Rates per source in a table of fixed size: one bucket of tokens for each hash of a name. One
// worker's; no growth, no allocation after construction.
//
// Names that meet share a bucket; under a keyed hash nobody can choose whom to meet. A name costs
// nothing to whoever invents it, so this limits what one source takes, not what all together do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace orrery::dataplane {

/// `per_second` tokens, of which `burst` are kept. 0 a second: no limit.
struct Rate {
  std::uint32_t per_second = 0;
  std::uint32_t burst = 0;  // at most 4,000,000
};

/// One bucket. A new one is full.
class TokenBucket {
 public:
  [[nodiscard]] bool has(const Rate& rate, Millis now) noexcept {
    refill(rate, now);
    return spent_ + kToken <= std::uint64_t{rate.burst} * kToken;
  }

  [[nodiscard]] bool take(const Rate& rate, Millis now) noexcept {
    if (!has(rate, now)) return false;
    spent_ += kToken;
    return true;
  }

 private:
  static constexpr std::uint32_t kToken = 1000;  // thousandths

  void refill(const Rate& rate, Millis now) noexcept {
    const auto at = static_cast<std::uint32_t>(now);
    const std::uint32_t passed = at - at_;  // wraps after 49 days, and then gives tokens
    if (passed == 0) return;
    at_ = at;
    const std::uint64_t back = std::uint64_t{passed} * rate.per_second;
    spent_ = back >= spent_ ? 0 : spent_ - static_cast<std::uint32_t>(back);
  }

  std::uint32_t spent_ = 0;  // tokens that are gone, so that zeroes are a full bucket
  std::uint32_t at_ = 0;     // ms
};

static_assert(sizeof(TokenBucket) == 8);

class TokenTable {
 public:
  /// `buckets`: at least; a power of two is made of it.
  TokenTable(std::size_t buckets, Rate rate)
      : rate_(rate), mask_(std::bit_ceil(buckets) - 1), buckets_(mask_ + 1) {}

  [[nodiscard]] bool limits() const noexcept { return rate_.per_second != 0; }

  void prefetch(std::uint64_t hash) const noexcept {
    __builtin_prefetch(&buckets_[hash & mask_], 1);
  }

  [[nodiscard]] bool take(std::uint64_t hash, Millis now) noexcept {
    return buckets_[hash & mask_].take(rate_, now);
  }

 private:
  Rate rate_;
  std::uint64_t mask_;
  std::vector<TokenBucket> buckets_;
};

}  // namespace orrery::dataplane
