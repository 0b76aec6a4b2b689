// Bonds at work: which paths are links of one, which of them carry.
#include <algorithm>

#include "control/node_state.h"

namespace orrery::control {

namespace {

const LocalEndpoint* local_of(const std::vector<LocalEndpoint>& locals, fib::LocalSocket socket) {
  const auto it = std::find_if(locals.begin(), locals.end(),
                               [&](const LocalEndpoint& local) { return local.socket == socket; });
  return it == locals.end() ? nullptr : &*it;
}

}  // namespace

const BondSettings* Node::State::bond_of(const Peer& peer) const {
  if (!options.bonds.any() || !peer.established() || topology.is_upstream(peer)) return nullptr;
  const auto own = options.bonds.peers.find(peer.address());
  const BondSettings& settings =
      own == options.bonds.peers.end() ? options.bonds.everybody : own->second;
  return settings.policy == BondPolicy::kNone ? nullptr : &settings;
}

std::string Node::State::interface_of(fib::LocalSocket socket) const {
  const LocalEndpoint* local = local_of(locals, socket);
  return local == nullptr ? std::string() : local->interface;
}

std::vector<Node::State::Link> Node::State::links_of(Now now, const Peer& peer) const {
  std::vector<Link> links;
  bool several = false;  // local interfaces
  for (const PeerPath& entry : peer.paths) {
    const fib::PathKey& key = entry.path->key;
    if (is_tunnel(key.socket)) continue;
    std::string interface = interface_of(key.socket);
    if (interface.empty()) interface = "#" + std::to_string(key.socket);
    links.push_back({&entry, std::move(interface), entry.usable(now.mono)});
    several |= links.front().name != links.back().name;
  }
  if (!several) {
    for (Link& link : links) link.name = wire::ip_to_string(link.entry->path->key.remote);
  }
  return links;
}

void Node::State::apply_bond(Peer& peer) const {
  Steering& steering = *peer.steering;
  const BondSettings* bond = bond_of(peer);
  steering.sticky = bond != nullptr && bond->policy == BondPolicy::kActiveBackup &&
                    bond->reselect != BondReselect::kBetter;
  steering.primary.clear();
  if (bond == nullptr || steering.rotated) return;
  steering.returns = bond->reselect == BondReselect::kAlways;
  for (const LocalEndpoint& local : locals) {
    if (std::find(bond->primary.begin(), bond->primary.end(), local.interface) !=
        bond->primary.end()) {
      steering.primary.push_back(local.socket);
    }
  }
}

void Node::State::share(Now now, Peer& peer) const {
  const BondSettings* bond = bond_of(peer);
  if (peer.steering == nullptr) return;
  std::vector<fib::PathKey>& shared = peer.steering->shared;
  if (bond == nullptr || bond->policy != BondPolicy::kBalanceXor) return shared.clear();
  std::vector<Link> links = links_of(now, peer);
  std::erase_if(links, [&](const Link& link) {
    // Frames are carried by workers, who do not speak the cipher of trusted paths.
    return !link.usable || trusted_id_of(link.entry->path->key.remote) != 0;
  });
  const auto rank = [&](const Link& link) {
    return std::pair(link.entry->quality(now.mono), link.entry->path->key);
  };
  std::sort(links.begin(), links.end(),
            [&](const Link& a, const Link& b) { return rank(a) < rank(b); });
  // Those that carry go on; links without one get theirs. Only so does no flow change for nothing.
  const auto link_named = [&](const fib::PathKey& key) {
    return std::find_if(links.begin(), links.end(),
                        [&](const Link& link) { return link.entry->path->key == key; });
  };
  std::vector<std::string> covered;
  std::erase_if(shared, [&](const fib::PathKey& key) {
    const auto link = link_named(key);
    const bool gone = link == links.end() ||
                      std::find(covered.begin(), covered.end(), link->name) != covered.end();
    if (!gone) covered.push_back(link->name);
    return gone;
  });
  for (const Link& link : links) {
    if (shared.size() >= fib::Spread::kMostPaths) break;
    if (std::find(covered.begin(), covered.end(), link.name) != covered.end()) continue;
    covered.push_back(link.name);
    shared.push_back(link.entry->path->key);
  }
}

bool Node::State::rotate(Now now, Peer& peer, Effects& out) {
  const BondSettings* bond = bond_of(peer);
  const PeerPath* current = peer.best(now.mono, false);
  if (bond == nullptr || bond->policy != BondPolicy::kActiveBackup || current == nullptr)
    return false;
  if (peer.steering == nullptr) peer.steering = std::make_unique<Steering>();
  const std::vector<Link> links = links_of(now, peer);
  const auto at = std::find_if(links.begin(), links.end(),
                               [&](const Link& link) { return link.entry == current; });
  if (at == links.end()) return false;
  // The next one of another link, round the list.
  const auto index = static_cast<std::size_t>(at - links.begin());
  for (std::size_t i = 1; i < links.size(); ++i) {
    const Link& next = links[(index + i) % links.size()];
    if (!next.usable || next.name == at->name) continue;
    Steering& steering = *peer.steering;
    steering.rotated = true;
    apply_bond(peer);
    steering.chosen = next.entry->path->key;
    steering.reason = ChoiceReason::kRotated;
    steering.chosen_at = steering.changed_at = now.mono;
    steering.better_since = 0;
    look_soon(peer, now.mono);
    route_changed(now, peer, out);
    return true;
  }
  return false;
}

std::optional<BondStatus> Node::State::bond_status(Now now, const Peer& peer) const {
  const BondSettings* bond = bond_of(peer);
  if (bond == nullptr) return std::nullopt;
  BondStatus status{bond->policy, 0, 0};
  std::set<std::string> all, alive;
  for (const Link& link : links_of(now, peer)) {
    all.insert(link.name);
    if (link.usable) alive.insert(link.name);
  }
  status.links = all.size();
  status.alive = alive.size();
  return status;
}

}  // namespace orrery::control
