// What follows an introduction when the first question finds nobody.
//
// Both ends hear of each other at about the same time. What comes before the other end has sent is
// dropped by the NAT there, so the question is asked once more, a second later. A peer behind a NAT
// that lets in whole addresses is met so by one whose port nobody can know, without waiting a
// quarter of a minute for the next exchange of addresses.
//
// Then port prediction, between two of ours. Where two seconds later no path has answered, and the
// peer says in HELLO that it does the same, each sends its burst (port_prediction.h). A root's word
// makes us send there, as with every introduction, so there is a budget for all peers together and
// ten minutes between bursts to one.
// Source: docs/architecture.md, "Port prediction".
#include <algorithm>

#include "control/node_state.h"
#include "control/port_prediction.h"

namespace orrery::control {

namespace {

constexpr Millis kAgain = ProbeGate::kPerTarget;
constexpr Millis kPlainWay = 2'000;       // so long the usual probes have their chance
constexpr Millis kBetween = 600'000;      // bursts to one peer
constexpr std::size_t kMostWaiting = 64;  // introductions that wait for their time

}  // namespace

void Node::State::follow_introductions(Now now, Effects& out) {
  ask_again(now, out);
  predict(now, out);
}

void Node::State::ask_again_later(Now now, const Peer& peer, const fib::PathKey& told) {
  if (introduced.size() < kMostWaiting && peer.best(now.mono, false) == nullptr)
    introduced.push_back({now.mono + kAgain, peer.address(), told});
}

void Node::State::ask_again(Now now, Effects& out) {
  while (!introduced.empty() && introduced.front().due <= now.mono) {
    const Introduction due = introduced.front();
    introduced.pop_front();
    Peer* peer = topology.find(due.peer);
    if (peer == nullptr || peer->best(now.mono, false) != nullptr ||
        !probes.allow_target(now.mono, due.told.remote)) {
      continue;
    }
    contact(now, *peer, due.told, false, out);
  }
}

void Node::State::predict_later(Now now, Peer& peer, const fib::PathKey& told, Effects& out) {
  if (!options.port_prediction || told.remote.family != 4 || is_tunnel(told.socket)) return;
  if (peer.best(now.mono, false) != nullptr ||
      (peer.predicted != 0 && now.mono - peer.predicted < kBetween)) {
    return;
  }
  const bool waits = std::any_of(predictions.begin(), predictions.end(),
                                 [&](const Introduction& p) { return p.peer == peer.address(); });
  if (waits) return;
  if (predictions.size() >= kMostWaiting) return count(Count::kPredictionRefused);
  predictions.push_back({now.mono + kPlainWay, peer.address(), told});
  // Who is only spoken to through a root has not said what he can.
  if (peer.features) return;
  if (const std::optional<Route> route = route_to(now, peer); route && !route->direct)
    hello(now, peer, route->key, out);
}

void Node::State::predict(Now now, Effects& out) {
  while (!predictions.empty() && predictions.front().due <= now.mono) {
    const Introduction due = predictions.front();
    predictions.pop_front();
    Peer* peer = topology.find(due.peer);
    if (peer == nullptr || !peer->established() || peer->best(now.mono, false) != nullptr ||
        (peer->features.value_or(0) & kFeaturePortPrediction) == 0) {
      continue;
    }
    if (!prediction_budget.take(now.mono)) {
      count(Count::kPredictionRefused);
      continue;
    }
    peer->predicted = now.mono;
    const bool steps = options.identity.address() > peer->address();
    for (const std::uint16_t port : PortPrediction::ports(due.told.remote.port, steps)) {
      const wire::Endpoint target = due.told.remote.with_port(port);
      if (!probes.allow_target(now.mono, target)) continue;
      contact(now, *peer, {due.told.socket, target}, false, out);
      count(Count::kPredictionProbes);
    }
  }
}

}  // namespace orrery::control
