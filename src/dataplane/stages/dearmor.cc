#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void dearmor(WorkerContext& w, PacketVector& v) noexcept {
  std::array<crypto::DearmorJob, kVectorMax> jobs;
  for (unsigned i = 0; i < v.n; ++i)
    jobs[i] = {v.data(i), rte_pktmbuf_data_len(v.mbuf[i]), &v.peer[i]->keys, false, 0};
  w.armorer.dearmor({jobs.data(), v.n});
  for (unsigned i = 0; i < v.n; ++i) {
    if (jobs[i].ok) {
      v.peer[i]->note_use(w.now_ms);
      v.sent_id[i] = jobs[i].id;
    } else {
      v.drop_lane(i, Drop::kMac);
    }
  }
}

}  // namespace orrery::dataplane
