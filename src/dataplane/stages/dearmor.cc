#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Lines of the set of seen ids come while the packets are decrypted; what is not authentic has
/// only had one fetched.
void fetch_seen(const WorkerContext& w, const PacketVector& v) {
  std::array<std::uint64_t, kVectorMax> ids, sources;
  alignas(64) std::array<std::uint64_t, kVectorMax> hash;
  for (unsigned i = 0; i < v.n; ++i) {
    std::memcpy(&ids[i], v.data(i), 8);
    sources[i] = v.peer[i]->peer.address.value;
  }
  w.seen->hash(ids.data(), sources.data(), v.n, hash.data());
  for (unsigned i = 0; i < v.n; ++i) w.seen->prefetch(hash[i]);
}

}  // namespace

void dearmor(WorkerContext& w, PacketVector& v) noexcept {
  if (w.seen != nullptr && v.n != 0) fetch_seen(w, v);
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
      ++w.traffic.refusals(v.peer[i]->traffic).rx;
    }
  }
}

}  // namespace orrery::dataplane
