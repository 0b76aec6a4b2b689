#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void filter_out(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const NetworkRecord& record = *v.network[i];
    if (record.accepts_all) continue;
    const fib::FilterVerdict verdict =
        fib::filter_out(record.network, v.member[i],
                        fib::rule_frame_out(record.network, v.frame[i], v.peer[i]->peer.address),
                        false, w.random());
    if (verdict.emissions != 0) {
      v.punt_lane(i, Message::kFrame);
    } else if (verdict.filter == fib::Filter::kDrop) {
      v.drop_lane(i, Drop::kRules);
    }
  }
}

}  // namespace orrery::dataplane
