#include "dataplane/stages/judge.h"

namespace orrery::dataplane {
namespace {

Drop drop_of(fib::Refusal refusal) {
  switch (refusal) {
    case fib::Refusal::kRules:
      return Drop::kRules;
    case fib::Refusal::kSourceMac:
    case fib::Refusal::kLoop:
      return Drop::kSourceMac;
    case fib::Refusal::kDestinationMac:
    case fib::Refusal::kMulticastOff:
      return Drop::kDestinationMac;
    default:
      return Drop::kMalformed;
  }
}

}  // namespace

void filter(WorkerContext& w, PacketVector& v) noexcept {
  bool learn = false;  // the stage behind looks for itself
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.verb[i] == fib::Carrier::kFrame) {  // implies its MACs, and is never empty here
      v.frame[i].destination = v.network[i]->network.mac;
      v.frame[i].source = wire::mac_of(v.member[i]->address, v.network[i]->network.id);
      continue;
    }
    const fib::Refusal refusal =
        fib::before_rules(v.network[i]->network, *v.member[i], v.verb[i], v.frame[i], learn);
    if (refusal != fib::Refusal::kNone) v.drop_lane(i, drop_of(refusal));
  }
  const auto finish = [&](unsigned i, fib::Filter filter, const fib::FilterVerdict* verdict) {
    if (verdict != nullptr && verdict->emissions != 0 && !copy_out(w, v, i, *verdict)) {
      v.punt_lane(i, Message::kAuthenticated);
      return;
    }
    if (v.verb[i] != fib::Carrier::kExtFrame && filter != fib::Filter::kDrop) return;
    const fib::Refusal refusal =
        fib::after_rules(v.network[i]->network, *v.member[i], v.verb[i], v.frame[i], filter, learn);
    if (refusal == fib::Refusal::kRules) {
      v.drop_lane(i, drop_of_rules(verdict));
    } else if (refusal != fib::Refusal::kNone) {
      v.drop_lane(i, drop_of(refusal));
    }
  };
  const std::uint64_t judged = lanes_to_judge(w, v);
  for (unsigned i = 0; i < v.n; ++i) {
    if ((judged >> i & 1) == 0 && v.next[i] == Next::kGoOn)
      finish(i, fib::Filter::kAccept, nullptr);
  }
  const auto ends = [&](unsigned i) { return Ends{v.member[i]->address, w.self, v.member[i]}; };
  judge_lanes(w, v, judged, true, true, ends, finish);
  if (v.all_go_on()) return;
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.next[i] == Next::kDrop && v.drop[i] != Drop::kMalformed) count_refused(w, v, i, true);
  }
}

}  // namespace orrery::dataplane
