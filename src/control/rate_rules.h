// Rate limits on members of a network, as an operator wants them: for one member or for all, and by
// a tag, whose value is the controller's to give.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "fib/records.h"

namespace orrery::control {

struct RateRule {
  wire::Address member;                // zero: all members
  std::uint32_t from = 0, to = 0;      // kbit/s of its frames, and of those to it; 0: no limit
  std::optional<std::uint32_t> tag{};  // whoever has this tag: its value both ways instead
};

/// Puts the limits into the record: of the rule that names the member, else of the last one for
/// all.
inline void apply_rates(const std::vector<RateRule>& rules, fib::Member& member) {
  const RateRule* rule = nullptr;
  for (const RateRule& r : rules) {
    if (r.member == member.address) {
      rule = &r;
      break;
    }
    if (!r.member) rule = &r;
  }
  if (rule == nullptr) return;
  member.rate_in = rule->from;
  member.rate_out = rule->to;
  if (!rule->tag) return;
  const auto tag = std::ranges::find(member.tags, *rule->tag, &fib::Tag::id);
  if (tag != member.tags.end()) member.rate_in = member.rate_out = tag->value;
}

/// A member's frames one way, as far as control carries them: so many bits a second, an eighth of a
/// second at once and four frames at least. Workers have buckets of their own, of the same size
/// (dataplane/rate_limit.h).
class RateBucket {
 public:
  /// Whether there is room for so many bytes. `kbit` a second; 0: always.
  [[nodiscard]] bool take(Millis now, std::size_t bytes, std::uint32_t kbit) {
    if (kbit == 0) return true;
    constexpr std::uint64_t kEighth = 125'000'000, kFourFrames = 12'000;
    const auto time_of = [&](std::uint64_t n) { return n * 8'000'000 / kbit; };
    const std::uint64_t at = static_cast<std::uint64_t>(now) * 1'000'000;
    const std::uint64_t next = std::max(full_at_, at) + time_of(bytes);
    if (next > at + std::max(kEighth, time_of(kFourFrames))) return false;
    full_at_ = next;
    return true;
  }

 private:
  std::uint64_t full_at_ = 0;  // when it will be full again, ns
};

}  // namespace orrery::control
