// The roots of our worlds: which we use, how they do, and what follows from a new world.
// Source: docs/protocol/05-planet-and-moons.md section 5; docs/protocol/04-paths-and-roots.md
// section 7.
#include <algorithm>

#include "control/node_state.h"

namespace orrery::control {

namespace {

bool contains(const std::vector<wire::Address>& list, wire::Address address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

}  // namespace

void Node::State::refresh_upstreams(Now now, Effects& out) {
  std::vector<Upstream> upstreams = worlds.upstreams(options.identity.identity());
  std::erase_if(upstreams, [&](const Upstream& root) {
    return contains(options.excluded_roots, root.identity.address);
  });
  for (Upstream& root : upstreams)
    root.preferred = contains(options.preferred_roots, root.identity.address);
  std::erase_if(root_answers, [&](const auto& entry) {
    return std::none_of(upstreams.begin(), upstreams.end(),
                        [&](const Upstream& root) { return root.identity.address == entry.first; });
  });
  topology.set_upstreams(std::move(upstreams), worlds.lists(options.identity.identity()));
  if (topology.self_is_root() != relaying) {
    relaying = !relaying;
    out.updates.push_back(fib::Relaying{relaying});
  }
  for (const Upstream& root : topology.upstreams()) {
    const Peer* known = topology.find(root.identity.address);
    if (known != nullptr && known->identity == root.identity) {
      establish(now, *topology.find(root.identity.address), out);
      continue;
    }
    if (!pin_allows(now, root.identity, out, AlarmKind::kWorldNamesOtherKey, {})) continue;
    if (known != nullptr && !known->established()) {
      // Whoever came first with that address has proven nothing; the world is our word.
      forget(now, *topology.find(root.identity.address), out);
      known = nullptr;
    }
    if (known != nullptr) {
      refuse_key(now, root.identity, AlarmKind::kWorldNamesOtherKey, {},
                 "a world names another key for known peer ", out);
      continue;
    }
    add_peer(now, root.identity, Peer::Standing::kEstablished, out);
  }
  next_ping = now.mono;
}

void Node::State::world_accepted(Now now, const wire::World& world, Effects& out) {
  const bool planet = world.type == wire::World::Type::kPlanet;
  out.saves.push_back({planet ? StateKind::kPlanet : StateKind::kMoon, planet ? 0 : world.id,
                       wire::encode_world(world), false});
  notice(now, Notice::Level::kWarning,
         std::string(planet ? "planet " : "moon ") + wire::to_string(wire::NetworkId{world.id}) +
             " is now the revision of " + std::to_string(world.timestamp),
         out);
  refresh_upstreams(now, out);
}

std::size_t Node::State::check_roots(Now now, std::uint64_t world, Effects& out) {
  std::size_t asked = 0;
  for (const Upstream& root : topology.upstreams()) {
    Peer* peer = topology.find(root.identity.address);
    if (peer == nullptr || !topology.is_upstream(*peer) ||
        (world != 0 && !worlds.names(world, root.identity))) {
      continue;
    }
    ++asked;
    for (const wire::Endpoint& endpoint : root.endpoints) hello(now, *peer, {0, endpoint}, out);
    for (const PeerPath& entry : peer->paths) hello(now, *peer, entry.path->key, out);
    // A root knows itself, so this has an answer whatever else it knows.
    send_whois(now, *peer, peer->address(), out);
  }
  return asked;
}

std::vector<RootStatus> Node::State::root_status(Now now) const {
  std::vector<RootStatus> all;
  for (const Upstream& listed : worlds.upstreams(options.identity.identity())) {
    RootStatus status;
    status.identity = listed.identity;
    status.endpoints = listed.endpoints;
    status.worlds = worlds.naming(listed.identity);
    status.preferred = contains(options.preferred_roots, listed.identity.address);
    status.excluded = contains(options.excluded_roots, listed.identity.address);
    if (const Peer* peer = topology.find(listed.identity.address);
        peer != nullptr && topology.is_upstream(*peer)) {
      status.alive = peer->alive(now.mono);
      const int latency = peer->latency(now.mono);
      if (latency != kLatencyUnknown) status.latency_ms = latency;
    }
    if (const auto answers = root_answers.find(listed.identity.address);
        answers != root_answers.end()) {
      status.answered_hello = answers->second.hello;
      status.answered_whois = answers->second.whois;
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace orrery::control
