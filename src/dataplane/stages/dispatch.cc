#include "dataplane/stages/stages.h"
#include "wire/verbs/frame.h"

namespace orrery::dataplane {

void dispatch(WorkerContext&, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const Bytes packet = v.bytes(i);
    const auto verb = static_cast<wire::Verb>(packet[wire::kVerbOffset] & wire::kVerbMask);
    const Bytes payload = packet.subspan(wire::kHeaderSize);
    fib::EthernetFrame& frame = v.frame[i];
    if (verb == wire::Verb::kFrame && payload.size() > wire::kFrameHead) {
      // [8] network, [2] ethertype, payload
      v.verb[i] = fib::Carrier::kFrame;
      frame.ethertype = load_be16(payload.data() + 8);
      frame.payload = payload.subspan(wire::kFrameHead);
    } else if (verb == wire::Verb::kExtFrame && payload.size() > wire::kExtFrameHead &&
               payload[8] == 0) {
      // [8] network, [1] flags, [6] destination, [6] source, [2] ethertype, payload. Flags ask for
      // more than delivery.
      v.verb[i] = fib::Carrier::kExtFrame;
      frame.destination = wire::Mac::load(payload.data() + 9);
      frame.source = wire::Mac::load(payload.data() + 15);
      frame.ethertype = load_be16(payload.data() + 21);
      frame.payload = payload.subspan(wire::kExtFrameHead);
    } else {
      v.punt_lane(i, Message::kAuthenticated);
    }
  }
}

}  // namespace orrery::dataplane
