// Rate limits on members of a network, as an operator wants them: for one member or for all, and by
// a tag, whose value is the controller's to give.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

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

}  // namespace orrery::control
