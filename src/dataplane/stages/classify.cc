#include "dataplane/stages/stages.h"
#include "wire/header.h"

namespace orrery::dataplane {

void classify(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const Bytes datagram = v.bytes(i);
    const wire::DatagramKind kind = wire::kind_of(datagram);
    const bool fragment = kind == wire::DatagramKind::kFragment;
    if (kind != wire::DatagramKind::kPacket && !fragment) [[unlikely]] {
      v.drop_lane(i, kind == wire::DatagramKind::kBeacon ? Drop::kBeacon : Drop::kShort);
      continue;
    }
    if (load_address(datagram.data() + wire::kDestinationOffset) != w.self) {
      v.foreign[i] = true;
      continue;
    }
    v.piece[i] = fragment || (datagram[wire::kFlagsOffset] & wire::kFlagFragmented) != 0;
    meta_of(v.mbuf[i]).message = Message::kDatagram;
  }
}

}  // namespace orrery::dataplane
