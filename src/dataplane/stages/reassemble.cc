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
    // The fragmented flag stays, since it is authenticated.
    meta_of(r.whole).message = Message::kReassembled;
  }
  w.count(Drop::kFragmentTimeout, w.reassembly.expire(w.now_ms));
}

}  // namespace orrery::dataplane
