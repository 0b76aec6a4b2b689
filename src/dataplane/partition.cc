#include "dataplane/partition.h"

#include <algorithm>

#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void partition(WorkerContext& w, PacketVector& v) noexcept {
  if (v.all_go_on()) return;
  if (std::find(v.next.begin(), v.next.begin() + v.n, Next::kPunt) != v.next.begin() + v.n)
    limit_punts(w, v);
  if (w.recorder != nullptr) [[unlikely]]
    w.recorder->leaving(v);
  Outcome& out = *w.out;
  std::array<rte_mbuf*, kVectorMax> dropped;
  unsigned drops = 0, kept = 0;
  for (unsigned i = 0; i < v.n; ++i) {
    switch (v.next[i]) {
      case Next::kGoOn:
        if (kept != i) v.move_lane(kept, i);
        ++kept;
        break;
      case Next::kTaken:
        break;
      case Next::kPunt:
        out.punt[out.punts++] = v.mbuf[i];
        break;
      case Next::kDeliver:
        out.deliver[out.delivers++] = v.mbuf[i];
        break;
      case Next::kTransmit:
        out.transmit[out.transmits++] = v.mbuf[i];
        break;
      case Next::kDrop:
        w.count(v.drop[i]);
        dropped[drops++] = v.mbuf[i];
        break;
    }
  }
  std::fill(v.next.begin() + kept, v.next.begin() + v.n, Next::kGoOn);
  v.n = kept;
  if (drops != 0) rte_pktmbuf_free_bulk(dropped.data(), drops);
}

}  // namespace orrery::dataplane
