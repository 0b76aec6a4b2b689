// Outbound stages: resolve, filter_out, credentials, steer, encap, armor, fragment.
//
// Reads: networks, members, peers, bridge routes. Writes: headers into the mbuf's headroom. Exits:
// transmit, punt (multicast, unknown member, stale credentials, no path, copies), drop. Headroom:
// 37 bytes of headers in front of an Ethernet frame. Source: docs/protocol/06-networks-and-mac.md
// section 8.
#include <algorithm>

#include "dataplane/fast_path.h"
#include "fib/forward.h"
#include "wire/fragment.h"
#include "wire/verbs/frame.h"

namespace orrery::dataplane {
namespace {

static_assert(wire::kHeaderSize + wire::kExtFrameHead + 62 <=
                  RTE_PKTMBUF_HEADROOM + fib::EthernetFrame::kHead,
              "headers of the overlay and of the underlay fit the headroom");

std::uint8_t* data_of(rte_mbuf* m) {
  return rte_pktmbuf_mtod(m, std::uint8_t*);
}

void drop(rte_mbuf* m, Drop reason, std::uint64_t* drops) {
  ++drops[static_cast<std::size_t>(reason)];
  rte_pktmbuf_free(m);
}

void punt(rte_mbuf* m, std::uint64_t network, Outcome& out) {
  meta_of(m).message = Message::kFrame;
  meta_of(m).network = network;
  out.punt[out.punts++] = m;
}

/// A frame that has its recipient and waits for its armor.
struct Sealing {
  rte_mbuf* m = nullptr;
  const PeerRecord* peer = nullptr;
};

}  // namespace

void FastPath::outbound(wire::NetworkId id, rte_mbuf** burst, unsigned n, Outcome& out,
                        std::uint64_t* drops) noexcept {
  const NetworkRecord* record = tables_.networks.find({id.value});
  Sealing sealing[kBurst];
  crypto::ArmorJob jobs[kBurst];
  wire::FragmentPlan plans[kBurst];
  unsigned count = 0;
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* m = burst[i];
    const auto frame = fib::read_ethernet({data_of(m), rte_pktmbuf_data_len(m)});
    if (record == nullptr || !frame) {
      punt(m, id.value, out);
      continue;
    }
    const fib::Network& network = record->network;
    const bool bridged = frame->source != network.mac;
    if (frame->destination.is_multicast() || frame->destination == network.mac ||
        (bridged && !network.active_bridge)) {
      punt(m, id.value, out);
      continue;
    }
    wire::Address to;
    bool ext = bridged;
    if (fib::is_member_mac(network, frame->destination)) {
      to = wire::address_of(frame->destination, network.id);
    } else {
      ext = true;
      const fib::BridgeRoute* route =
          tables_.bridge_routes.find({id.value, frame->destination.value});
      if (route != nullptr && fib::is_active_bridge(network, route->behind)) to = route->behind;
    }
    const fib::Member* member = to ? tables_.members.find({id.value, to.value}) : nullptr;
    const PeerRecord* peer = member != nullptr ? tables_.peers.find({to.value}) : nullptr;
    // Stale credentials: control pushes them, sends this frame behind them, and publishes the
    // member anew.
    if (peer == nullptr || !peer->peer.path || peer->peer.path.socket == 0 ||
        !member->credentials_pushed) {
      punt(m, id.value, out);
      continue;
    }
    if (!record->accepts_all) {
      random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
      const fib::FilterVerdict verdict =
          fib::filter_out(network, member, fib::rule_frame_out(network, *frame, to), false,
                          static_cast<std::uint32_t>(random_ >> 32));
      if (verdict.emissions != 0) {
        punt(m, id.value, out);
        continue;
      }
      if (verdict.filter == fib::Filter::kDrop) {
        drop(m, Drop::kRules, drops);
        continue;
      }
    }
    // FRAME implies both MACs; the ethertype in front of the payload serves both verbs where it
    // stands.
    const std::size_t front = wire::kHeaderSize + (ext ? 9 : 8);
    if (!ext) rte_pktmbuf_adj(m, 12);
    auto* p =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(m, static_cast<std::uint16_t>(front)));
    if (p == nullptr) {
      drop(m, Drop::kTooBig, drops);
      continue;
    }
    const std::uint32_t length = rte_pktmbuf_data_len(m);
    const wire::FragmentPlan plan = wire::plan_equal_fragments(length, peer->peer.mtu);
    if (plan.pieces > wire::kMaxFragments) {
      drop(m, Drop::kTooBig, drops);
      continue;
    }
    wire::PacketHeader header;
    header.id = next_id(peer->peer.suite);
    header.destination = to;
    header.source = options_.self;
    header.flags = plan.pieces > 1 ? wire::kFlagFragmented : std::uint8_t{0};
    header.verb = static_cast<std::uint8_t>(ext ? wire::Verb::kExtFrame : wire::Verb::kFrame);
    wire::encode_packet_header({p, wire::kHeaderSize}, header);
    store_be64(p + wire::kHeaderSize, id.value);
    if (ext) p[wire::kHeaderSize + 8] = 0;
    sealing[count] = {m, peer};
    plans[count] = plan;
    jobs[count++] = {p, length, peer->peer.suite, &peer->keys, 0};
  }
  armorer_.armor({jobs, count});
  for (unsigned i = 0; i < count; ++i) {
    rte_mbuf* m = sealing[i].m;
    const fib::PathKey& path = sealing[i].peer->peer.path;
    PacketMeta& meta = meta_of(m);
    meta.remote = path.remote;
    meta.socket = path.socket;
    meta.ttl = 0;
    out.transmit[out.transmits++] = m;
    const wire::FragmentPlan& plan = plans[i];
    if (plan.pieces == 1) continue;
    const Bytes packet{data_of(m), rte_pktmbuf_data_len(m)};
    bool whole = true;
    for (std::uint8_t number = 1; number < plan.pieces; ++number) {
      // A path of jumbo datagrams: pieces beyond a `wire` object.
      const bool large =
          wire::kFragmentHeaderSize + plan.data_size + RTE_PKTMBUF_HEADROOM > kWireRoom;
      rte_mbuf* piece = rte_pktmbuf_alloc(large ? pools_.frame : pools_.wire);
      if (piece == nullptr) {
        whole = false;
        break;
      }
      auto* room = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(
          piece, static_cast<std::uint16_t>(wire::kFragmentHeaderSize + plan.data_size)));
      const std::size_t size = wire::write_fragment(
          {room, wire::kFragmentHeaderSize + plan.data_size}, packet, plan, number);
      rte_pktmbuf_trim(
          piece, static_cast<std::uint16_t>(wire::kFragmentHeaderSize + plan.data_size - size));
      meta_of(piece) = meta;
      out.transmit[out.transmits++] = piece;
      ++out.copies;
    }
    if (!whole) ++drops[static_cast<std::size_t>(Drop::kNoMbuf)];
    rte_pktmbuf_trim(m, static_cast<std::uint16_t>(packet.size() - plan.head_size));
  }
}

}  // namespace orrery::dataplane
