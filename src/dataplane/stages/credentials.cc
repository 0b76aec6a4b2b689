#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void credentials(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    if (!v.member[i]->credentials_pushed) raise_stale(w, v, i);
  }
}

}  // namespace orrery::dataplane
