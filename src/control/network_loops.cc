// Probes of bridges: what LoopGuard asks for is sent, and what it found becomes an effect.
#include "control/network_state.h"

namespace orrery::control {

void Networks::set_lan_ports(wire::NetworkId id, std::vector<unsigned> ports) {
  state_->lan_ports[id] = std::move(ports);
}

void Networks::on_bridge_probe(Now now, wire::NetworkId id, unsigned side, Bytes payload,
                               Effects& out) {
  Joined* net = state_->find(id);
  if (net != nullptr && net->guard) state_->on_bridge_probe(now, *net, side, payload, out);
}

void Networks::State::guard_loops(Joined& net) {
  const auto ports = lan_ports.find(net.id);
  if (ports == lan_ports.end() || ports->second.empty()) return;
  net.guard.emplace(net.id, self(), fresh_key(), transport.random_u64(), ports->second);
}

template <typename Step>
void Networks::State::with_guard(Now now, Joined& net, Effects& out, Step step) {
  const LoopGuard::Authenticate authenticate = [&](wire::Address bridge, Bytes message) {
    auto tag = transport.authenticate(bridge, message);
    if (!tag) transport.request_identity(now, bridge, out);
    return tag;
  };
  LoopGuard::Output found;
  step(LoopGuard::Context{now, net.config && net.record.active_bridge, net.record.active_bridges,
                          authenticate},
       found);
  for (LoopGuard::Probe& probe : found.probes) {
    out.frames.push_back({net.id, wire::kBridgeProbeGroup, net.guard->source(),
                          wire::kBridgeProbeEthertype, std::move(probe.payload), probe.port});
  }
  for (LoopGuard::Change& change : found.changes) {
    out.blocks.push_back({net.id, change.port, change.blocked, std::move(change.reason)});
  }
}

void Networks::State::watch_loops(Now now, Effects& out) {
  for (auto& [id, net] : joined) {
    if (!net.guard || now.mono < net.guard->next_deadline()) continue;
    with_guard(now, net, out, [&](const LoopGuard::Context& context, LoopGuard::Output& found) {
      net.guard->tick(context, found);
    });
  }
}

void Networks::State::on_bridge_probe(Now now, Joined& net, unsigned side, Bytes payload,
                                      Effects& out) {
  with_guard(now, net, out, [&](const LoopGuard::Context& context, LoopGuard::Output& found) {
    net.guard->on_probe(context, side, payload, found);
  });
}

}  // namespace orrery::control
