// Inbound stages: classify, reassemble, dearmor, inflate, dispatch, gate, filter, deliver.
//
// Reads: peers, networks, members, bridge routes. Writes: the packet in place, the reassembly
// table. Exits: deliver, punt (raw: HELLO, unknown sender, not for us; plaintext: other verbs,
// gate, copies), drop. Source: docs/protocol/02-packet.md; docs/protocol/06-networks-and-mac.md
// section 9.
#include <algorithm>

#include "dataplane/fast_path.h"
#include "fib/forward.h"
#include "wire/compression.h"
#include "wire/verbs/frame.h"

namespace orrery::dataplane {

/// A packet on its way through the inbound stages.
struct FastPath::Opened {
  rte_mbuf* m = nullptr;
  const PeerRecord* peer = nullptr;
};

namespace {

constexpr Millis kEventInterval = 1'000;  // control hears of an active peer this often

std::uint8_t* data_of(rte_mbuf* m) {
  return rte_pktmbuf_mtod(m, std::uint8_t*);
}

Bytes bytes_of_mbuf(rte_mbuf* m) {
  return {data_of(m), rte_pktmbuf_data_len(m)};
}

void drop(rte_mbuf* m, Drop reason, std::uint64_t* drops) {
  ++drops[static_cast<std::size_t>(reason)];
  rte_pktmbuf_free(m);
}

void punt(rte_mbuf* m, Message message, Outcome& out) {
  meta_of(m).message = message;
  out.punt[out.punts++] = m;
}

wire::Address address_at(const std::uint8_t* p) {
  return wire::Address{(std::uint64_t{p[0]} << 32) | load_be32(p + 1)};
}

Drop drop_of(fib::Refusal refusal) {
  switch (refusal) {
    case fib::Refusal::kRules:
      return Drop::kRules;
    case fib::Refusal::kSourceMac:
    case fib::Refusal::kLoop:
      return Drop::kSourceMac;
    case fib::Refusal::kDestinationMac:
    case fib::Refusal::kMulticastOff:
      return Drop::kDestinationMac;
    default:
      return Drop::kMalformed;
  }
}

}  // namespace

void FastPath::inbound(rte_mbuf** burst, unsigned n, Outcome& out, std::uint64_t* drops) noexcept {
  Opened opened[kBurst];
  unsigned count = 0;
  for (unsigned i = 0; i < n; ++i) {
    rte_mbuf* m = burst[i];
    const Bytes datagram = bytes_of_mbuf(m);
    const wire::DatagramKind kind = wire::kind_of(datagram);
    const bool ours =
        (kind == wire::DatagramKind::kPacket || kind == wire::DatagramKind::kFragment) &&
        address_at(datagram.data() + wire::kDestinationOffset) == options_.self;
    if (!ours) {
      punt(m, Message::kDatagram, out);
      continue;
    }
    const bool fragment = kind == wire::DatagramKind::kFragment;
    if (!fragment) {
      const std::uint8_t flags = datagram[wire::kFlagsOffset];
      const unsigned cipher = (flags >> 3) & 7;
      if (cipher != 1 && cipher != 3) {
        punt(m, Message::kDatagram, out);  // HELLO, trusted paths, what control counts as refused
        continue;
      }
      if ((flags & wire::kFlagFragmented) == 0) {
        const PeerRecord* peer =
            tables_.peers.find({address_at(datagram.data() + wire::kSourceOffset).value});
        if (peer == nullptr) {
          punt(m, Message::kDatagram, out);
        } else {
          meta_of(m).wire_size = static_cast<std::uint16_t>(datagram.size());
          opened[count++] = {m, peer};
        }
        continue;
      }
    }
    const Reassembly::Outcome r = reassembly_.add(m, now_ms_);
    out.merged += r.merged;
    if (r.drop != Drop::kNone) {
      ++drops[static_cast<std::size_t>(r.drop)];
    } else if (r.whole == nullptr) {
      ++out.parked;
    } else {
      const PeerRecord* peer =
          tables_.peers.find({address_at(data_of(r.whole) + wire::kSourceOffset).value});
      if (peer == nullptr) {
        // Control takes whole packets too: the fragmented flag stays, since it is authenticated.
        punt(r.whole, Message::kReassembled, out);
      } else {
        opened[count++] = {r.whole, peer};
      }
    }
  }
  drops[static_cast<std::size_t>(Drop::kFragmentTimeout)] += reassembly_.expire(now_ms_);
  dearmor(opened, count, out, drops);
}

void FastPath::dearmor(Opened* opened, unsigned n, Outcome& out, std::uint64_t* drops) noexcept {
  crypto::DearmorJob jobs[kBurst];
  for (unsigned i = 0; i < n; ++i) {
    jobs[i] = {data_of(opened[i].m), rte_pktmbuf_data_len(opened[i].m), &opened[i].peer->keys,
               false};
  }
  armorer_.dearmor({jobs, n});
  for (unsigned i = 0; i < n; ++i) {
    if (!jobs[i].ok) {
      drop(opened[i].m, Drop::kMac, drops);
    } else {
      dispatch(opened[i], out, drops);
    }
  }
}

rte_mbuf* FastPath::inflated(rte_mbuf* m) noexcept {
  rte_mbuf* large = rte_pktmbuf_alloc(pools_.frame);
  if (large == nullptr) return nullptr;
  meta_of(large) = meta_of(m);
  auto* room = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(large, wire::kMaxPacket));
  std::memcpy(room, data_of(m), wire::kHeaderSize);
  room[wire::kVerbOffset] &= static_cast<std::uint8_t>(~wire::kVerbCompressed);
  const Bytes packed = bytes_of_mbuf(m).subspan(wire::kHeaderSize);
  const std::size_t size =
      packed.empty()
          ? 0
          : wire::inflate(packed, {room + wire::kHeaderSize, wire::kMaxPacket - wire::kHeaderSize});
  if (size == 0 && !packed.empty()) {
    rte_pktmbuf_free(large);
    return nullptr;
  }
  rte_pktmbuf_trim(large, static_cast<std::uint16_t>(wire::kMaxPacket - wire::kHeaderSize - size));
  return large;
}

void FastPath::tell_control(const PeerRecord& peer, rte_mbuf* like, std::uint8_t verb,
                            std::uint64_t network, std::uint8_t hops, Outcome& out) noexcept {
  const PacketMeta& from = meta_of(like);
  const bool elsewhere =
      hops == 0 && (peer.peer.path.remote != from.remote || peer.peer.path.socket != from.socket);
  const Millis last = peer.last_event.load(std::memory_order_relaxed);
  if (now_ms_ - last < (elsewhere ? kEventInterval / 10 : kEventInterval)) return;
  rte_mbuf* m = rte_pktmbuf_alloc(pools_.wire);
  if (m == nullptr) return;
  peer.last_event.store(now_ms_, std::memory_order_relaxed);
  PacketMeta& meta = meta_of(m);
  meta = {};
  meta.remote = from.remote;
  meta.socket = from.socket;
  meta.network = network;
  // [5] peer, [1] verb, [1] hops
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 7));
  std::memcpy(p, data_of(like) + wire::kSourceOffset, 5);
  p[5] = verb;
  p[6] = hops;
  punt(m, Message::kReceived, out);
  ++out.copies;
}

void FastPath::dispatch(Opened& opened, Outcome& out, std::uint64_t* drops) noexcept {
  rte_mbuf* m = opened.m;
  if ((data_of(m)[wire::kVerbOffset] & wire::kVerbCompressed) != 0) {
    rte_mbuf* plain = inflated(m);
    if (plain == nullptr) {
      drop(m, Drop::kMalformed, drops);
      return;
    }
    rte_pktmbuf_free(m);
    m = plain;
  }
  std::uint8_t* d = data_of(m);
  const std::uint8_t verb = d[wire::kVerbOffset] & wire::kVerbMask;
  const Bytes payload = bytes_of_mbuf(m).subspan(wire::kHeaderSize);
  const bool is_frame = verb == static_cast<std::uint8_t>(wire::Verb::kFrame);
  const bool is_ext = verb == static_cast<std::uint8_t>(wire::Verb::kExtFrame);
  // EXT_FRAME with flags asks for more than delivery.
  const std::size_t head = is_frame ? wire::kFrameHead : wire::kExtFrameHead;
  if ((!is_frame && !is_ext) || payload.size() <= head || (is_ext && payload[8] != 0)) {
    punt(m, Message::kAuthenticated, out);
    return;
  }
  const std::uint64_t network_id = load_be64(payload.data());
  const wire::Address source = opened.peer->peer.address;
  const NetworkRecord* record = tables_.networks.find({network_id});
  const fib::Member* sender = tables_.members.find({network_id, source.value});
  if (record == nullptr || fib::gate(sender) != fib::Gate::kPass) {
    punt(m, Message::kAuthenticated, out);
    return;
  }
  const fib::Network& network = record->network;
  fib::InboundFrame in;
  if (is_frame) {
    in.carrier = fib::Carrier::kFrame;
    in.frame.ethertype = load_be16(payload.data() + 8);
  } else {
    in.carrier = fib::Carrier::kExtFrame;
    in.frame.destination = wire::Mac::load(payload.data() + 9);
    in.frame.source = wire::Mac::load(payload.data() + 15);
    in.frame.ethertype = load_be16(payload.data() + 21);
  }
  in.frame.payload = payload.subspan(head);
  if (is_frame && record->accepts_all) {
    in.frame.destination = network.mac;
    in.frame.source = wire::mac_of(source, network.id);
  } else {
    random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
    const fib::InboundDecision decision =
        fib::accept_inbound(network, *sender, in, static_cast<std::uint32_t>(random_ >> 32));
    if (decision.verdict.emissions != 0) {
      punt(m, Message::kAuthenticated, out);  // copies and redirects are control's
      return;
    }
    if (decision.learn) {
      const fib::BridgeRoute* known =
          tables_.bridge_routes.find({network_id, in.frame.source.value});
      if (known == nullptr || known->behind != source) {
        punt(m, Message::kAuthenticated, out);  // control learns it and delivers
        return;
      }
    }
    if (!decision.deliver) {
      drop(m, drop_of(decision.refusal), drops);
      return;
    }
    in.frame.destination = decision.frame.destination;
    in.frame.source = decision.frame.source;
  }
  tell_control(*opened.peer, m, verb, network_id, d[wire::kFlagsOffset] & wire::kHopsMask, out);
  // The ethertype stands right before the payload in both verbs: the MACs go in front of it.
  constexpr std::size_t kMacs = 12;
  auto* ethernet = reinterpret_cast<std::uint8_t*>(
      rte_pktmbuf_adj(m, static_cast<std::uint16_t>(wire::kHeaderSize + head - 2 - kMacs)));
  in.frame.destination.store(ethernet);
  in.frame.source.store(ethernet + 6);
  meta_of(m).network = network_id;
  out.deliver[out.delivers++] = m;
}

}  // namespace orrery::dataplane
