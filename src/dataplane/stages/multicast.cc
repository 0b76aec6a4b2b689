#include "dataplane/stages/judge.h"

namespace orrery::dataplane {

void multicast(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const fib::EthernetFrame& frame = v.frame[i];
    if (!frame.destination.is_multicast() || w.multicasts.full()) continue;
    const NetworkRecord& record = *v.network[i];
    const fib::Network& network = record.network;
    // What is refused, answered here or for a group that nobody has published goes on, to control.
    const fib::Resolution where = fib::resolve(network, frame);
    if (where.to != fib::Outbound::kMulticast) continue;
    if (meta_of(v.mbuf[i]).neighbour.mac && suppress(w, v, i)) {
      v.drop_lane(i, Drop::kSuppressed);
      continue;
    }
    const GroupRecord* group = w.tables.groups.find(
        {network.id.value, where.group.mac.value, std::uint64_t{where.group.adi}});
    if (group == nullptr) continue;
    if (!record.accepts_all) {
      const fib::FilterVerdict verdict = fib::filter_out(
          network, nullptr, fib::rule_frame_out(network, frame, {}), false, w.random());
      if (verdict.emissions != 0 && !copy_out(w, v, i, verdict)) continue;
      if (verdict.filter == fib::Filter::kDrop) {
        v.drop_lane(i, drop_of_rules(&verdict));
        ++w.traffic.refusals(record.traffic).tx;
        continue;
      }
    }
    raise_group_used(w, v, i, *group, where.bridged);
    PendingMulticast& pending = w.multicasts.add();
    pending.mbuf = v.mbuf[i];
    pending.network = &record;
    pending.group = group;
    pending.frame = frame;
    pending.adi = where.group.adi;
    pending.next = pending.sent = pending.left = 0;
    pending.start = w.random();
    v.next[i] = Next::kTaken;
  }
}

}  // namespace orrery::dataplane
