#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void armor(WorkerContext& w, PacketVector& v) noexcept {
  std::array<crypto::ArmorJob, kVectorMax> jobs;
  for (unsigned i = 0; i < v.n; ++i) {
    jobs[i] = {v.data(i), rte_pktmbuf_data_len(v.mbuf[i]), v.peer[i]->peer.suite, &v.peer[i]->keys,
               0};
    v.peer[i]->note_use(w.now_ms);
  }
  w.armorer.armor({jobs.data(), v.n});
}

}  // namespace orrery::dataplane
