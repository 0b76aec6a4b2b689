// The rules' word on lanes of a vector, network by network; shared by the stages that ask.
#pragma once

#include <bit>

#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

/// Lanes that go on and whose network does not simply accept everything; of the others the hit is
/// counted.
[[nodiscard]] inline std::uint64_t lanes_to_judge(WorkerContext& w,
                                                  const PacketVector& v) noexcept {
  std::uint64_t lanes = 0;
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.next[i] != Next::kGoOn) continue;
    if (!v.network[i]->accepts_all) {
      lanes |= std::uint64_t{1} << i;
    } else {
      ++w.rule_counts[v.network[i]->hits];  // of the first entry
    }
  }
  return lanes;
}

/// Of a frame that rules do not let through.
[[nodiscard]] inline Drop drop_of_rules(const fib::FilterVerdict* verdict) noexcept {
  return verdict != nullptr && verdict->emissions != 0 ? Drop::kRedirected : Drop::kRules;
}

/// Between whom a frame goes.
struct Ends {
  wire::Address source;
  wire::Address destination;           // zero: not decided yet
  const fib::Member* other = nullptr;  // null: nobody in particular
};

/// Takes the lanes of one network out of `lanes`. `lane_of[k]`: where the k-th of them comes from.
template <typename EndsOf>
void fill_lanes(fib::RuleLanes& asked, const PacketVector& v, const NetworkRecord& record,
                std::uint64_t& lanes, std::array<std::uint8_t, kVectorMax>& lane_of,
                EndsOf ends) noexcept {
  fib::RuleLanes::Filling filling(asked);
  for (std::uint64_t left = lanes; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    if (v.network[i] != &record) continue;
    lanes &= ~(left & -left);
    lane_of[filling.size()] = static_cast<std::uint8_t>(i);
    const Ends between = ends(i);
    fib::set_rule_frame(filling.frame(), record.network, v.frame[i], between.source,
                        between.destination);
    filling.add(between.other);
  }
}

/// Asks about the lanes in `lanes` and calls `act(lane, filter, verdict)` for each; `verdict` is
/// null unless it may have copies or redirects. `copies`: false in a pass whose copies were made
/// before. `ends(lane)`: its Ends. Reads: network, frame. Cost: docs/performance.md, "Rules".
template <typename EndsOf, typename Act>
void judge_lanes(WorkerContext& w, const PacketVector& v, std::uint64_t lanes, bool inbound,
                 bool copies, EndsOf ends, Act act) noexcept {
  std::array<std::uint8_t, kVectorMax> lane_of;
  while (lanes != 0) {
    // Those of one network, as most are.
    const NetworkRecord& record = *v.network[static_cast<unsigned>(std::countr_zero(lanes))];
    const fib::Network& network = record.network;
    fib::RuleLanes& asked = *w.rule_lanes;
    fill_lanes(asked, v, record, lanes, lane_of, ends);
    fib::RuleHits hits;
    fib::Judged& said = *w.judged;
    w.judge.judge(network, record.rules, inbound, copies, asked, said, hits,
                  [&] { return w.random(); });
    w.rule_counts.add(record.hits, hits);
    for (unsigned k = 0; k < asked.n; ++k) {
      const std::uint64_t bit = std::uint64_t{1} << k;
      if ((said.asked & bit) != 0) {
        act(lane_of[k], said.verdict[k].filter, &said.verdict[k]);
      } else {
        act(lane_of[k],
            (said.accept & bit) != 0         ? fib::Filter::kAccept
            : (said.super_accept & bit) != 0 ? fib::Filter::kSuperAccept
                                             : fib::Filter::kDrop,
            nullptr);
      }
    }
  }
}

}  // namespace orrery::dataplane
