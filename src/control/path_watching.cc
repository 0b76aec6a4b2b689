// The watch over paths of peers that exchange frames with us: probes, what follows from answers and
// from their absence, and which path carries the frames.
//
// Workers carry the frames and tell once a second in each direction that they do; so an idle node
// asks nothing here. A path that carries relayed frames is a path of the root, and is watched as
// one. Source: docs/architecture.md, "Paths".
#include <algorithm>

#include "control/node_state.h"

namespace orrery::control {

namespace {

constexpr unsigned kMostSpares = 8;        // watched beside the one in use
constexpr Millis kFresh = 2'000;           // an answer of then needs no confirmation
constexpr Millis kRootHeartbeat = 20'000;  // below the 30 s after which NATs forget

}  // namespace

void Node::State::look_at(Peer& peer, Millis at) {
  Steering& steering = *peer.steering;
  if (steering.due != 0) watched.erase({steering.due, peer.address()});
  steering.due = at == PathWatch::kNever ? 0 : at;
  if (steering.due != 0) watched.emplace(steering.due, peer.address());
}

void Node::State::look_soon(Peer& peer, Millis at) {
  if (peer.steering == nullptr) return;
  if (peer.steering->due == 0 || peer.steering->due > at) look_at(peer, at);
}

void Node::State::unwatch(Peer& peer) {
  if (peer.steering != nullptr) look_at(peer, PathWatch::kNever);
}

void Node::State::frame_passed(Now now, Peer& peer) {
  if (options.low_bandwidth || !peer.established()) return;
  if (!peer.answers_echo()) {
    // Who was only ever relayed has not told what he knows; the way to the root is watched for him.
    Peer* const root = peer.paths.empty() ? topology.relay_to(now.mono, peer) : nullptr;
    if (root != nullptr && root->answers_echo()) frame_passed(now, *root);
    return;
  }
  if (peer.steering == nullptr) peer.steering = std::make_unique<Steering>();
  Steering& steering = *peer.steering;
  const bool begins = !steering.in_use(now.mono);
  steering.last_frame = now.mono;
  if (!begins) return;
  for (PeerPath& entry : peer.paths) {
    if (entry.watch != nullptr && now.mono - entry.watch->last_answer() >= kFresh)
      entry.watch->hurry();
  }
  look_soon(peer, now.mono);
}

void Node::State::heard_directly(Now now, Peer& peer, PeerPath& entry) {
  if (entry.watch == nullptr) return;
  entry.watch->heard(now.mono);
  // Where packets come from again answers are likely again.
  if (!entry.failed() || entry.watch->last_probe() + PathWatch::kPress > now.mono) return;
  entry.watch->hurry();
  look_soon(peer, now.mono);
}

void Node::State::heard_relayed(Now now, Peer& peer) {
  PeerPath* direct = peer.best(now.mono, false);
  if (peer.steering == nullptr || direct == nullptr || direct->watch == nullptr ||
      now.mono - direct->watch->last_answer() < kFresh) {
    return;
  }
  direct->watch->hurry();
  look_soon(peer, now.mono);
}

void Node::State::heard_from_port(Now now, Peer& peer, const fib::PathKey& via) {
  for (PeerPath& entry : peer.paths) {
    const fib::PathKey& key = entry.path->key;
    if (key.socket != via.socket || !key.remote.same_ip(via.remote) || entry.watch == nullptr ||
        entry.watch->last_probe() + PathWatch::kPress > now.mono) {
      continue;
    }
    entry.watch->hurry();
    look_soon(peer, now.mono);
  }
}

void Node::State::path_learned(Now now, Peer& peer, const fib::PathKey& via, Effects& out) {
  const bool asks = peer.established() && peer.answers_echo() && !options.low_bandwidth;
  if (asks && (peer.steering == nullptr || !peer.steering->in_use(now.mono))) {
    // Who comes from somewhere else may be gone from where he was. Frames that we relay to him tell
    // us nothing of that, so his other paths are asked.
    unsigned asked = 0;
    for (PeerPath& entry : peer.paths) {
      if (entry.path->key == via || !entry.usable(now.mono) || !entry.alive(now.mono)) continue;
      if (asked++ == kMostSpares || !watch_budget.take(now.mono)) break;
      if (peer.steering == nullptr) peer.steering = std::make_unique<Steering>();
      if (entry.watch == nullptr) entry.watch = std::make_unique<PathWatch>();
      echo(now, peer, entry.path->key, out);
      look_soon(peer, now.mono + entry.path->measured.wait());
    }
  }
  if (peer.steering != nullptr && peer.steering->in_use(now.mono)) {
    PeerPath& entry = *peer.entry_of(via);
    entry.watch = std::make_unique<PathWatch>();
    entry.watch->answered(now.mono, now.mono);
    look_soon(peer, now.mono + PathWatch::kPress);
    if (peer.reconsider(now.mono)) route_changed(now, peer, out);
  }
  recall_size(peer, via);
  if (!sends.empty()) next_queue = now.mono;
}

void Node::State::path_answered(Now now, Peer& peer, const fib::PathKey& via, Millis sent,
                                Effects& out) {
  PeerPath* entry = peer.entry_of(via);
  if (entry == nullptr || entry->watch == nullptr) return;
  const bool back = entry->watch->answered(now.mono, sent);
  if (back) count(Count::kPathBack);
  if (entry->failed()) look_soon(peer, now.mono + PathWatch::kPress);
  if (peer.reconsider(now.mono) || (back && bond_of(peer) != nullptr))
    route_changed(now, peer, out);
}

void Node::State::watch_paths(Now now, Effects& out) {
  while (!watched.empty() && watched.begin()->first <= now.mono) {
    Peer* peer = topology.find(watched.begin()->second);
    if (peer == nullptr || peer->steering == nullptr) {
      watched.erase(watched.begin());
      continue;
    }
    watch_peer(now, *peer, out);
  }
}

void Node::State::watch_peer(Now now, Peer& peer, Effects& out) {
  Steering& steering = *peer.steering;
  const BondSettings* bond = bond_of(peer);
  const std::vector<fib::PathKey> shared_before = steering.shared;
  if (bond != nullptr) {
    apply_bond(peer);
    share(now, peer);
  }
  // Links of a bond are watched as long as the peer is somebody we talk with.
  const bool in_use = steering.in_use(now.mono) || (bond != nullptr && peer.active(now.mono));
  const PeerPath* current = peer.best(now.mono, false);
  const Millis doubted =
      current == nullptr || current->watch == nullptr ? 0 : current->watch->doubted_since();
  const bool pressed = current == nullptr || doubted != 0;
  const auto carries = [&](const PeerPath& entry) {
    return std::find(steering.shared.begin(), steering.shared.end(), entry.path->key) !=
           steering.shared.end();
  };
  bool failed = false, starved = false;
  unsigned spares = 0;
  Millis due = PathWatch::kNever;
  for (PeerPath& entry : peer.paths) {
    if (!entry.unexpired(now.mono)) continue;
    if (entry.watch == nullptr) {
      if (!in_use) continue;
      entry.watch = std::make_unique<PathWatch>();
    }
    PathWatch& watch = *entry.watch;
    using Role = PathWatch::Role;
    const Role role = !in_use                                     ? Role::kIdle
                      : &entry == current || carries(entry)       ? Role::kCurrent
                      : spares++ >= kMostSpares                   ? Role::kIdle
                      : pressed && watch.last_answer() <= doubted ? Role::kPressed
                                                                  : Role::kSpare;
    const PathWatch::Turn turn = watch.turn(now.mono, role, entry.path->measured.wait());
    for (unsigned i = 0; i < turn.lost; ++i) entry.path->measured.lost();
    counters.add(Count::kPathProbesLost, turn.lost);
    if (turn.failed) {
      failed = true;
      count(Count::kPathFailed);
    }
    if (turn.probe && !watch_budget.take(now.mono)) {
      // So many peers are in use that each is asked more rarely.
      starved = true;
    } else if (turn.probe) {
      count(Count::kPathProbes);
      echo(now, peer, entry.path->key, out);
    }
    due = std::min(due, watch.due(role, entry.path->measured.wait()));
  }
  bool changed = steering.shared != shared_before;
  if (in_use && current == nullptr) {
    changed |= watch_relay(now, peer, out);
    due = std::min(due, now.mono + kRelayLook);
  }
  if (steering.in_use(now.mono)) {
    due = std::min(due, steering.last_frame + kTrafficRecent);
  } else if (in_use) {
    due = std::min(due, now.mono + PathWatch::kSpare);
  }
  // A probe that could not be sent is no reason to spin.
  const Millis soonest = now.mono + (starved ? PathWatch::kCalm : PathWatch::kPress / 4);
  look_at(peer, due == PathWatch::kNever ? due : std::max(due, soonest));
  changed |= peer.reconsider(now.mono);
  if (changed || failed) route_changed(now, peer, out);
}

bool Node::State::watch_relay(Now now, Peer& peer, Effects& out) {
  if (Peer* root = topology.relay_to(now.mono, peer)) frame_passed(now, *root);
  return check_relay(now, peer, out);
}

void Node::State::route_changed(Now now, Peer& peer, Effects& out) {
  if (!topology.is_upstream(peer)) return publish(now, peer, out);
  topology.for_each([&](Peer& other) { publish(now, other, out); });
}

void Node::State::keep_root_open(Now now, Peer& root, Effects& out) {
  if (options.low_bandwidth || !root.answers_echo()) return;
  if (root.steering == nullptr) root.steering = std::make_unique<Steering>();
  Millis due = PathWatch::kNever;
  for (PeerPath& entry : root.paths) {
    // What we send is no sign that it is there: a root that has forgotten us, as by a restart,
    // opens nothing of ours and answers nothing but HELLO.
    const Millis quiet = now.mono - std::min(entry.path->last_out, entry.last_authenticated);
    if (!entry.unexpired(now.mono) || quiet < kRootHeartbeat) continue;
    if (entry.watch == nullptr) entry.watch = std::make_unique<PathWatch>();
    echo(now, root, entry.path->key, out);
    due = std::min(due, now.mono + entry.path->measured.wait());
  }
  if (due != PathWatch::kNever) look_soon(root, due);
}

}  // namespace orrery::control
