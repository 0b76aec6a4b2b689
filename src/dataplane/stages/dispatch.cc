#include "dataplane/stages/stages.h"
#include "wire/verbs/frame.h"
#include "wire/verbs/multicast.h"

namespace orrery::dataplane {
namespace {

constexpr std::uint8_t kGatherLimit = 0x02, kSource = 0x04;  // flags of MULTICAST_FRAME

}  // namespace

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
               (payload[8] & (wire::kExtFrameCom | wire::kExtFrameWantsOk)) == 0) {
      // [8] network, [1] flags, [6] destination, [6] source, [2] ethertype, payload. Certificates
      // and what wants an answer are control's; the other flags say which rule made a copy.
      v.verb[i] = fib::Carrier::kExtFrame;
      frame.destination = wire::Mac::load(payload.data() + 9);
      frame.source = wire::Mac::load(payload.data() + 15);
      frame.ethertype = load_be16(payload.data() + 21);
      frame.payload = payload.subspan(wire::kExtFrameHead);
    } else if (const auto multicast = verb == wire::Verb::kMulticastFrame
                                          ? wire::decode_multicast_frame(payload)
                                          : std::nullopt;
               multicast && (payload[8] & ~(kGatherLimit | kSource)) == 0 &&
               !multicast->payload.empty()) {
      // Certificates and frames to replicate are control's.
      v.verb[i] = fib::Carrier::kMulticastFrame;
      frame.destination = multicast->group.mac;
      frame.source = multicast->source ? multicast->source
                                       : wire::mac_of(v.peer[i]->peer.address, multicast->network);
      frame.ethertype = multicast->ethertype;
      frame.payload = multicast->payload;
    } else {
      v.punt_lane(i, Message::kAuthenticated);
    }
  }
}

}  // namespace orrery::dataplane
