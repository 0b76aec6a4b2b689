#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void credentials(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.member[i]->revoked) [[unlikely]] {
      raise_stale(w, v, i);
      v.drop_lane(i, Drop::kRevoked);
      count_refused(w, v, i, false);
      continue;
    }
    if (!v.member[i]->credentials_pushed) raise_stale(w, v, i);
    if (v.member[i]->rate_out != 0 && !v.member[i]->admits_out(w.now_ms, frame_bytes(v, i)))
        [[unlikely]] {
      v.drop_lane(i, Drop::kMemberRate);
      count_refused(w, v, i, false);
    }
  }
}

}  // namespace orrery::dataplane
