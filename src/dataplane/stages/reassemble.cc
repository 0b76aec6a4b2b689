#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void reassemble(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    if (!v.piece[i]) continue;
    const Reassembly::Outcome r = w.reassembly.add(v.mbuf[i], w.now_ms);
    w.out->merged += r.merged;
    if (r.drop != Drop::kNone) {
      v.drop_lane(i, r.drop);
      continue;
    }
    if (r.whole == nullptr) {
      v.next[i] = Next::kTaken;
      continue;
    }
    v.mbuf[i] = r.whole;
    v.piece[i] = false;
    v.peer[i] = opens(v.bytes(i))
                    ? w.tables.peers.find({load_address(v.data(i) + wire::kSourceOffset).value})
                    : nullptr;
    // Control takes whole packets, too: the fragmented flag stays, since it is authenticated.
    if (v.peer[i] == nullptr || !v.peer[i]->can_use(suite_of(v.bytes(i))))
      v.punt_lane(i, Message::kReassembled);
  }
  w.count(Drop::kFragmentTimeout, w.reassembly.expire(w.now_ms));
}

}  // namespace orrery::dataplane
