// What workers hand to control.
#include "service/control_loop.h"

namespace orrery::service {
namespace {

constexpr unsigned kPuntBurst = 64;
constexpr unsigned kRawShare = 16;  // of a burst: raw datagrams, beside what the others leave
constexpr unsigned kPuntBurstsPerTurn = 16;  // then timers and commands get their turn

}  // namespace

void ControlLoop::take_punt(Now at, const rte_mbuf* m) {
  const dataplane::PacketMeta& meta =
      *static_cast<const dataplane::PacketMeta*>(rte_mbuf_to_priv(const_cast<rte_mbuf*>(m)));
  const Bytes bytes{rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)};
  const fib::PathKey via{meta.socket, meta.remote};
  switch (meta.message) {
    case dataplane::Message::kDatagram:
      node_.on_datagram(at, via, bytes, effects_);
      break;
    case dataplane::Message::kReassembled:
      node_.on_packet(at, via, bytes, effects_);
      break;
    case dataplane::Message::kAuthenticated:
      node_.on_authenticated(at, via, bytes, meta.wire_size, effects_);
      break;
    case dataplane::Message::kFrame:
      node_.on_frame(at, wire::NetworkId{meta.network}, bytes, effects_);
      break;
    case dataplane::Message::kReceived: {
      Reader r(bytes);
      fib::Received received;
      received.peer = wire::Address{r.u40()};
      received.via = via;
      received.verb = r.u8();
      received.hops = r.u8();
      received.network = wire::NetworkId{meta.network};
      node_.on_event(at, received, effects_);
      break;
    }
    case dataplane::Message::kLearned: {
      Reader r(bytes);
      fib::BridgeLearned learned;
      learned.network = wire::NetworkId{meta.network};
      learned.mac = wire::Mac::load(r.bytes(6).data());
      learned.behind = wire::Address{r.u40()};
      node_.on_event(at, learned, effects_);
      break;
    }
    case dataplane::Message::kMulticastRest: {
      // frame, [5] each, [1] how many
      if (bytes.empty() || bytes.size() < 1 + std::size_t{bytes.back()} * wire::Address::kSize)
        break;
      const std::size_t listed = std::size_t{bytes.back()} * wire::Address::kSize;
      const std::size_t size = bytes.size() - 1 - listed;
      node_.on_event(at,
                     fib::MulticastRest{wire::NetworkId{meta.network}, bytes.first(size),
                                        bytes.subspan(size, listed)},
                     effects_);
      break;
    }
    case dataplane::Message::kGroupUsed: {
      Reader r(bytes);
      fib::GroupUsed used;
      used.network = wire::NetworkId{meta.network};
      used.group.mac = wire::Mac::load(r.bytes(6).data());
      used.group.adi = r.u32();
      used.bridged = r.u8() != 0;
      node_.on_event(at, used, effects_);
      break;
    }
    case dataplane::Message::kRelayed: {
      Reader r(bytes);
      fib::Relayed relayed;
      relayed.source = wire::Address{r.u40()};
      relayed.destination = wire::Address{r.u40()};
      relayed.hops = r.u8();
      relayed.via = via;
      node_.on_event(at, relayed, effects_);
      break;
    }
    case dataplane::Message::kFullSize: {
      Reader r(bytes);
      node_.on_event(at, fib::FullSizeSent{wire::Address{r.u40()}}, effects_);
      break;
    }
    case dataplane::Message::kSent: {
      Reader r(bytes);
      node_.on_event(at, fib::Sent{wire::Address{r.u40()}}, effects_);
      break;
    }
    case dataplane::Message::kProbe:
      networks_.on_bridge_probe(at, wire::NetworkId{meta.network}, meta.side - 1u,
                                wire::bridge_probe_payload(bytes), effects_);
      break;
    case dataplane::Message::kStale: {
      Reader r(bytes);
      node_.on_event(at,
                     fib::CredentialsStale{wire::NetworkId{meta.network}, wire::Address{r.u40()}},
                     effects_);
      break;
    }
  }
}

bool ControlLoop::take_punts() {
  rte_mbuf* burst[kPuntBurst];
  for (unsigned turn = 0; turn < kPuntBurstsPerTurn; ++turn) {
    unsigned all = 0;
    for (unsigned worker = 0; worker < workers_.size(); ++worker) {
      // What is authentic comes first, and strangers are never shut out.
      dataplane::ControlLink& link = workers_.link(worker);
      unsigned n = link.punt.pop(burst, kPuntBurst - kRawShare);
      n += link.raw.pop(burst + n, kPuntBurst - n);
      if (n == 0) continue;
      all += n;
      const Now at = now();
      for (unsigned i = 0; i < n; ++i) {
        take_punt(at, burst[i]);
      }
      rte_pktmbuf_free_bulk(burst, n);
      carry_out();
    }
    if (all == 0) return false;
  }
  return true;
}

}  // namespace orrery::service
