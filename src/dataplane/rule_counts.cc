#include "dataplane/rule_counts.h"

#include <algorithm>

namespace orrery::dataplane {

std::uint64_t RuleCountSlots::sum(std::uint32_t slot) const {
  std::uint64_t all = 0;
  for (const auto& counts : workers_) {
    if (counts) all += (*counts)[slot];
  }
  return all;
}

RuleCountSlot RuleCountSlots::take(std::uint32_t counts) {
  const auto it = std::ranges::find_if(
      free_, [&](const Range& range) { return range.end - range.begin >= counts; });
  if (it == free_.end()) return 0;
  const RuleCountSlot slot = it->begin;
  it->begin += counts;
  if (it->begin == it->end) free_.erase(it);
  for (std::uint32_t i = slot; i < slot + counts; ++i) base_[i] = sum(i);
  return slot;
}

void RuleCountSlots::give_back(RuleCountSlot slot, std::uint32_t counts) {
  if (slot == 0) return;
  const auto next =
      std::ranges::find_if(free_, [&](const Range& range) { return range.begin > slot; });
  const auto place = free_.insert(next, {slot, slot + counts});
  // Invariant 1
  if (place + 1 != free_.end() && place->end == (place + 1)->begin) {
    place->end = (place + 1)->end;
    free_.erase(place + 1);
  }
  if (place != free_.begin() && (place - 1)->end == place->begin) {
    (place - 1)->end = place->end;
    free_.erase(place);
  }
}

std::vector<std::uint64_t> RuleCountSlots::of(RuleCountSlot slot, std::uint32_t counts) const {
  std::vector<std::uint64_t> sums(counts);
  if (slot == 0) return sums;
  for (std::uint32_t i = 0; i < counts; ++i) sums[i] = sum(slot + i) - base_[slot + i];
  return sums;
}

}  // namespace orrery::dataplane
