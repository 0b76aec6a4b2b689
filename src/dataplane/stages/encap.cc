#include <algorithm>

#include "dataplane/stages/stages.h"
#include "wire/verbs/multicast.h"

namespace orrery::dataplane {
namespace {

// The headers of the overlay take the place of the Ethernet header; those of the underlay
// (Ethernet, IPv6, UDP) go in front of them.
constexpr std::size_t kOuterMost = 62;
static_assert(wire::kHeaderSize +
                      std::max(wire::kExtFrameHead,
                               wire::kMulticastFrameHead + wire::kMulticastFrameSource) +
                      kOuterMost <=
                  RTE_PKTMBUF_HEADROOM + fib::EthernetFrame::kHead,
              "headers of the overlay and of the underlay fit the headroom");

constexpr std::uint16_t kMacs = 12;      // bytes
constexpr std::uint16_t kEthertype = 2;  // bytes; stands right before the payload in both verbs

}  // namespace

void encap(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const bool ext = v.verb[i] == fib::Carrier::kExtFrame;
    const bool group = v.verb[i] == fib::Carrier::kMulticastFrame;
    const std::size_t head = verb_head(v, i);
    if (!ext) rte_pktmbuf_adj(v.mbuf[i], kMacs);  // FRAME implies both, the other has its own order
    const auto front =
        static_cast<std::uint16_t>(wire::kHeaderSize + head - kEthertype - (ext ? kMacs : 0));
    auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(v.mbuf[i], front));
    if (p == nullptr) {
      if (!ext) rte_pktmbuf_prepend(v.mbuf[i], kMacs);  // as it was, for a capture
      v.drop_lane(i, Drop::kTooBig);
      continue;
    }
    const fib::Peer& peer = v.peer[i]->peer;
    wire::PacketHeader header;
    header.id = w.next_id(peer.suite);
    header.destination = peer.address;
    header.source = w.self;
    header.flags = v.plan[i].pieces > 1 ? wire::kFlagFragmented : std::uint8_t{0};
    header.verb = static_cast<std::uint8_t>(ext     ? wire::Verb::kExtFrame
                                            : group ? wire::Verb::kMulticastFrame
                                                    : wire::Verb::kFrame);
    wire::encode_packet_header({p, wire::kHeaderSize}, header);
    if (group) {
      // Never with a gather limit: control gathers by itself.
      const fib::Network& network = v.network[i]->network;
      wire::MulticastFrame frame;
      frame.network = network.id;
      if (v.frame[i].source != network.mac) frame.source = v.frame[i].source;
      frame.group = {v.frame[i].destination, v.adi[i]};
      frame.ethertype = v.frame[i].ethertype;
      Writer writer({p + wire::kHeaderSize, head});
      wire::encode_multicast_frame(writer, frame);
      continue;
    }
    store_be64(p + wire::kHeaderSize, v.network[i]->network.id.value);
    if (ext) p[wire::kHeaderSize + 8] = v.ext_flags[i];
  }
}

}  // namespace orrery::dataplane
