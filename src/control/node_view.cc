// What operators see of peers and their paths, and why packets go where they go.
#include <algorithm>

#include "control/node_state.h"

namespace orrery::control {

namespace {

PathStatus::State state_of(const PeerPath& entry, Millis now) {
  using State = PathStatus::State;
  if (entry.last_authenticated == 0) return State::kUntested;
  if (!entry.unexpired(now)) return State::kExpired;
  if (entry.failed()) return State::kFailed;
  if (entry.doubt() != 0) return State::kDoubtful;
  return entry.alive(now) ? State::kWorks : State::kSilent;
}

}  // namespace

PathStatus Node::State::status_of(Now now, const PeerPath& entry) const {
  const Path& path = *entry.path;
  PathStatus status;
  status.key = path.key;
  status.last_in = entry.last_in();
  status.last_out = path.last_out;
  status.active = entry.alive(now.mono);
  status.expired = !entry.unexpired(now.mono);
  status.state = state_of(entry, now.mono);
  if (path.measured.known()) status.latency_ms = path.measured.latency_ms();
  status.jitter_ms = path.measured.jitter_ms();
  status.loss_permille = path.measured.loss_permille();
  status.cost = entry.quality(now.mono);
  status.unanswered = entry.doubt();
  if (entry.watch != nullptr) status.last_answer = entry.watch->last_answer();
  if (entry.failed()) status.trial_ms = entry.watch->trial();
  status.trusted_path_id = trusted_id_of(path.key.remote);
  status.mtu = datagram_size({path.key, true});
  const PathSizes::Entry* size = sizes.find(path.key);
  if (size != nullptr && size->size.known()) {
    status.mtu_state = PathStatus::Mtu::kProbed;
  } else if (size != nullptr && size->size.searching()) {
    status.mtu_state = PathStatus::Mtu::kSearching;
  }
  return status;
}

PeerStatus Node::State::status_of(Now now, const Peer& peer) const {
  PeerStatus status;
  status.identity = peer.identity;
  if (peer.protocol != 0) {
    status.version_major = peer.version_major;
    status.version_minor = peer.version_minor;
    status.version_revision = peer.version_revision;
    status.protocol = peer.protocol;
  }
  const int latency = peer.latency(now.mono);
  status.latency_ms = latency == kLatencyUnknown ? -1 : latency;
  if (topology.is_upstream(peer)) {
    status.role = topology.upstream(peer.address())->planet ? PeerStatus::Role::kPlanet
                                                            : PeerStatus::Role::kMoon;
  }
  status.suite = peer.suite();
  status.features = peer.features;
  const PeerPath* best = peer.best(now.mono, false);
  status.bond = bond_status(now, peer);
  std::optional<fib::Spread> spread;
  if (status.bond && peer.steering != nullptr && peer.steering->shared.size() > 1) {
    std::vector<fib::SharedPath> shared;
    for (const fib::PathKey& key : peer.steering->shared) shared.push_back({key, 0});
    spread.emplace(std::move(shared));
  }
  for (const PeerPath& entry : peer.paths) {
    PathStatus path = status_of(now, entry);
    path.preferred = &entry == best;
    path.interface = interface_of(path.key.socket);
    path.flow_share = spread                          ? spread->buckets_of(path.key)
                      : status.bond && path.preferred ? fib::Spread::kBuckets
                                                      : 0;
    path.bonded = path.flow_share != 0;
    status.paths.push_back(std::move(path));
  }
  status.received = peer.counts.received;
  status.sent = peer.counts.sent;
  status.refused = peer.counts.refused;
  if (peer.counts.round_trips) status.round_trips = *peer.counts.round_trips;
  return status;
}

std::optional<RouteStatus> Node::route_of(Now now, wire::Address address) const {
  const State& s = *state_;
  Peer* peer = state_->topology.find(address);
  if (peer == nullptr) return std::nullopt;
  using Kind = RouteStatus::Kind;
  RouteStatus status;
  status.peer = s.status_of(now, *peer);
  if (const auto route = s.route_to(now, *peer)) {
    status.path = route->key;
    if (!route->direct) {
      status.kind = Kind::kRelayed;
      status.relay = state_->topology.relay_to(now.mono, *peer)->address();
    } else {
      status.kind = peer->best(now.mono, false) != nullptr ? Kind::kDirect : Kind::kLastResort;
    }
  }
  if (peer->steering != nullptr) {
    status.in_use = peer->steering->in_use(now.mono);
    status.last_frame = peer->steering->last_frame;
    if (status.kind == Kind::kDirect && peer->chosen(now.mono) != nullptr) {
      status.reason = peer->steering->reason;
      status.chosen_at = peer->steering->chosen_at;
    }
  }
  for (const Candidate& candidate : peer->candidates.items()) {
    const bool became_path =
        std::any_of(peer->paths.begin(), peer->paths.end(), [&](const PeerPath& entry) {
          return entry.path->key.remote == candidate.endpoint && entry.unexpired(now.mono);
        });
    if (!became_path) status.candidates.push_back(candidate);
  }
  return status;
}

bool Node::rotate_bond(Now now, wire::Address address, Effects& out) {
  state_->start(now, out);
  Peer* peer = state_->topology.find(address);
  return peer != nullptr && state_->rotate(now, *peer, out);
}

std::optional<unsigned> Node::ping(Now now, wire::Address address, Effects& out) {
  State& s = *state_;
  s.start(now, out);
  Peer* peer = s.peer_of(now, address, out);
  if (peer == nullptr) {
    s.request_identity(now, address, false, out);
    return std::nullopt;
  }
  const std::optional<State::Route> route = s.route_to(now, *peer);
  if (!route || !s.ping_budget.take(now.mono)) return std::nullopt;
  const unsigned sequence = s.ping_sequence + 1;
  if (!s.echo(now, *peer, route->key, route->direct ? route->key : fib::PathKey{}, sequence, out))
    return std::nullopt;
  s.ping_sequence = sequence;
  if (s.pings.size() >= State::kMostPings) s.pings.pop_front();
  s.pings.emplace_back(address, PingStatus{sequence, now.mono, 0, route->key, !route->direct});
  return sequence;
}

void Node::State::ping_answered(Now now, const Incoming& in, std::uint64_t sequence) {
  for (auto& [address, ping] : pings) {
    if (ping.sequence != sequence) continue;
    ping.answered = now.mono;
    ping.path = in.via;
    ping.relayed = in.hops != 0;
  }
}

std::vector<PingStatus> Node::pings(wire::Address address) const {
  std::vector<PingStatus> all;
  for (const auto& [of, ping] : state_->pings) {
    if (of == address) all.push_back(ping);
  }
  return all;
}

}  // namespace orrery::control
