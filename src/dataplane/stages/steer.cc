#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void steer(WorkerContext&, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const fib::Peer& peer = v.peer[i]->peer;
    if (!peer.path || peer.path.socket == 0) {
      v.punt_lane(i, Message::kFrame);
      continue;
    }
    const std::size_t size = wire::kHeaderSize + verb_head(v, i) + v.frame[i].payload.size();
    v.plan[i] = {};  // whole, as most are
    if (size > peer.mtu) {
      v.plan[i] = wire::plan_equal_fragments(size, peer.mtu);
      if (v.plan[i].pieces > wire::kMaxFragments) {
        v.drop_lane(i, Drop::kTooBig);
        continue;
      }
    }
    PacketMeta& meta = meta_of(v.mbuf[i]);
    meta.remote = peer.path.remote;
    meta.socket = peer.path.socket;
    meta.ttl = 0;
  }
}

}  // namespace orrery::dataplane
