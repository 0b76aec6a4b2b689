#include "control/loop_guard.h"

#include <algorithm>

namespace orrery::control {
namespace {

std::string port_name(unsigned number) {
  return "LAN port " + std::to_string(number);
}

}  // namespace

LoopGuard::LoopGuard(wire::NetworkId network, wire::Address self, SipKey key, std::uint64_t source,
                     std::vector<unsigned> ports)
    : network_(network), self_(self), key_(key) {
  const std::uint64_t octet = wire::mac_first_octet(network) == 0x02 ? 0x06 : 0x02;
  source_ = wire::Mac{(octet << 40) | (source & 0xffffffffffULL)};
  std::sort(ports.begin(), ports.end());
  for (const unsigned number : ports) ports_.emplace_back().number = number;
}

std::uint64_t LoopGuard::own_tag(Bytes signed_part) const {
  return siphash(key_, signed_part);
}

LoopGuard::Port* LoopGuard::find(unsigned number) {
  const auto it = std::find_if(ports_.begin(), ports_.end(),
                               [&](const Port& port) { return port.number == number; });
  return it == ports_.end() ? nullptr : &*it;
}

bool LoopGuard::recent(const Port& port, std::uint64_t nonce, Millis now) {
  return nonce != 0 && std::any_of(port.sent.begin(), port.sent.end(), [&](const Nonce& n) {
           return n.value == nonce && now - n.sent <= kRecent;
         });
}

void LoopGuard::send(const Context& context, Port& port, wire::Address first, Output& out) {
  wire::BridgeProbe probe;
  probe.flags = context.forwards && !port.blocked ? wire::BridgeProbe::kForwards : 0;
  probe.network = network_;
  probe.node = self_;
  probe.port = static_cast<std::uint8_t>(port.number);
  // Time in front, so that old nonces are known for old; strictly rising.
  probe.nonce = std::max(static_cast<std::uint64_t>(context.now.wall) << 12, last_nonce_ + 1);
  last_nonce_ = probe.nonce;
  port.sent[port.next++ % port.sent.size()] = {probe.nonce, context.now.mono};

  // Who is heard here first, then as many others as fit.
  std::vector<wire::Address> to;
  if (first) to.push_back(first);
  for (const auto& [address, neighbour] : port.neighbours) {
    if (address != first && context.now.mono - neighbour.heard <= kSilence) to.push_back(address);
  }
  const std::size_t heard = to.size();
  const std::size_t n = context.bridges.size();
  const std::size_t start = n == 0 ? 0 : static_cast<std::size_t>(probe.nonce % n);
  for (std::size_t i = 0; i < n; ++i) {
    const wire::Address bridge = context.bridges[(start + i) % n];
    if (bridge == self_ || std::find(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(heard),
                                     bridge) != to.begin() + static_cast<std::ptrdiff_t>(heard))
      continue;
    to.push_back(bridge);
  }

  Probe made{port.number, ByteVector(wire::BridgeProbe::kLargest)};
  Writer w(made.payload);
  wire::encode_bridge_probe(w, probe);
  const Bytes signed_part = Bytes(made.payload).first(wire::BridgeProbe::kSigned);
  w.u64(own_tag(signed_part));
  w.u8(0);
  std::uint8_t count = 0;
  for (const wire::Address bridge : to) {
    if (count == wire::BridgeProbe::kMostEntries) break;
    const auto known = port.neighbours.find(bridge);
    const std::uint64_t echo = known == port.neighbours.end() ? 0 : known->second.nonce;
    const auto tag =
        context.authenticate(bridge, wire::bridge_probe_claim(signed_part, bridge, echo));
    if (!tag) continue;
    w.u40(bridge.value);
    w.u64(echo);
    w.bytes(*tag);
    ++count;
  }
  made.payload[wire::BridgeProbe::kHead - 1] = count;
  made.payload.resize(std::max<std::size_t>(w.size(), 46));  // Ethernet's least
  out.probes.push_back(std::move(made));
}

void LoopGuard::tick(const Context& context, Output& out) {
  const Millis now = now_ = context.now.mono;
  for (Port& port : ports_) {
    std::erase_if(port.neighbours,
                  [&](const auto& n) { return now - n.second.heard > 10 * kSilence; });
    judge(context, port, out);
  }
  if (now < next_) return;
  next_ = now + kInterval;
  for (Port& port : ports_) send(context, port, {}, out);
}

void LoopGuard::own_returned(const Context& context, unsigned side, const wire::BridgeProbe& probe,
                             Output& out) {
  Port* sent_by = find(probe.port);
  if (sent_by == nullptr || !recent(*sent_by, probe.nonce, context.now.mono)) return;
  Port* loser = sent_by;
  std::string reason;
  if (side == kOverlay) {
    reason = "another bridge brings this LAN into the network";
  } else if (side == sent_by->number) {
    reason = "its own probes come back: the LAN has a loop";
  } else if (Port* heard_by = find(side)) {
    loser = heard_by->number > sent_by->number ? heard_by : sent_by;
    const Port* other = loser == heard_by ? sent_by : heard_by;
    reason = port_name(other->number) + " is on the same LAN";
  } else {
    reason = "the host bridges its TAP to the same LAN";
  }
  loser->own_until = context.now.mono + kSilence;
  loser->own_reason = std::move(reason);
  judge(context, *loser, out);
}

void LoopGuard::on_probe(const Context& context, unsigned side, Bytes payload, Output& out) {
  now_ = context.now.mono;
  const auto view = wire::decode_bridge_probe(payload);
  if (!view || view->probe.network != network_) return;
  const wire::BridgeProbe& probe = view->probe;
  if (probe.node == self_) {
    if (own_tag(view->signed_part) == probe.own_tag) own_returned(context, side, probe, out);
    return;
  }
  Port* port = find(side);
  if (port == nullptr || std::find(context.bridges.begin(), context.bridges.end(), probe.node) ==
                             context.bridges.end()) {
    return;
  }
  const Millis now = context.now.mono;
  const auto answer = [&] {
    if (now - port->answered < kAnswer) return;
    port->answered = now;
    send(context, *port, probe.node, out);
  };
  const auto entry = view->find(self_);
  if (!entry) return answer();  // it does not know us yet
  const auto tag = context.authenticate(
      probe.node, wire::bridge_probe_claim(view->signed_part, self_, entry->echo));
  if (!tag || !constant_time_equal(*tag, entry->tag)) return;
  const auto known = port->neighbours.find(probe.node);
  if (known == port->neighbours.end() && port->neighbours.size() >= kMostNeighbours) return;
  Neighbour& neighbour =
      known != port->neighbours.end() ? known->second : port->neighbours[probe.node];
  // A recording; but a clock that was set back is believed in the end.
  if (probe.nonce <= neighbour.nonce && now - neighbour.heard <= 3 * kSilence) return;
  neighbour.nonce = probe.nonce;
  neighbour.heard = now;
  neighbour.forwards = (probe.flags & wire::BridgeProbe::kForwards) != 0;
  const bool news = neighbour.present == 0 || now - neighbour.present > kInterval + kInterval / 2;
  if (recent(*port, entry->echo, now)) neighbour.present = now;
  // Who has not heard us of late is told at once, and so is who is new: it needs the echo.
  if (news) answer();
  judge(context, *port, out);
}

void LoopGuard::judge(const Context& context, Port& port, Output& out) {
  const Millis now = context.now.mono;
  std::string reason;
  if (now < port.own_until) {
    reason = port.own_reason;
  } else {
    for (const auto& [address, n] : port.neighbours) {
      if (address < self_ && n.forwards && n.present != 0 && now - n.present <= kSilence) {
        reason = "bridge " + wire::to_string(address) + " of the network is on the same LAN";
        break;
      }
    }
  }
  const bool blocked = !reason.empty();
  if (blocked == port.blocked) {
    port.reason = reason;
    return;
  }
  out.changes.push_back({port.number, blocked, blocked ? reason : port.reason});
  port.blocked = blocked;
  port.reason = reason;
}

std::vector<LoopGuard::Status> LoopGuard::status() const {
  std::vector<Status> all;
  for (const Port& port : ports_) {
    Status status{port.number, port.blocked, port.reason, {}};
    for (const auto& [address, n] : port.neighbours) {
      if (n.present != 0 && now_ - n.present <= kSilence) status.neighbours.push_back(address);
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace orrery::control
