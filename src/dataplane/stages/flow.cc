#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void flow(WorkerContext&, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const auto frame = fib::read_ethernet(v.bytes(i));
    if (v.network[i] == nullptr || !frame) {
      v.punt_lane(i, Message::kFrame);
    } else {
      v.frame[i] = *frame;
    }
  }
}

}  // namespace orrery::dataplane
