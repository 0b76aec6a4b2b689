#include "dataplane/stages/judge.h"

namespace orrery::dataplane {

void filter_out(WorkerContext& w, PacketVector& v) noexcept {
  const auto ends = [&](unsigned i) { return Ends{w.self, v.peer[i]->peer.address, v.member[i]}; };
  judge_lanes(w, v, lanes_to_judge(w, v), false, true, ends,
              [&](unsigned i, fib::Filter filter, const fib::FilterVerdict* verdict) {
                if (verdict != nullptr && verdict->emissions != 0 && !copy_out(w, v, i, *verdict)) {
                  v.punt_lane(i, Message::kFrame);
                } else if (filter == fib::Filter::kDrop) {
                  v.drop_lane(i, drop_of_rules(verdict));
                  count_refused(w, v, i, false);
                }
              });
}

}  // namespace orrery::dataplane
