#include "control/topology.h"

#include <algorithm>

namespace orrery::control {

Peer* Topology::find(wire::Address address) {
  const auto it = peers_.find(address);
  return it == peers_.end() ? nullptr : it->second.get();
}

const Peer* Topology::find(wire::Address address) const {
  const auto it = peers_.find(address);
  return it == peers_.end() ? nullptr : it->second.get();
}

void Topology::remove(wire::Address address) {
  const auto it = peers_.find(address);
  if (it == peers_.end()) return;
  if (!it->second->established()) --provisional_;
  it->second->drop_all_paths();
  peers_.erase(it);
}

const Upstream* Topology::upstream(wire::Address address) const {
  const auto it = std::find_if(upstreams_.begin(), upstreams_.end(),
                               [&](const Upstream& u) { return u.identity.address == address; });
  return it == upstreams_.end() ? nullptr : &*it;
}

bool Topology::is_upstream(const Peer& peer) const {
  const Upstream* listed = upstream(peer.address());
  return listed != nullptr && listed->identity == peer.identity;
}

Peer* Topology::best_root(Millis now) {
  Peer* best = nullptr;
  std::pair<bool, std::int64_t> best_rank;  // not both alive and preferred, quality
  for (const Upstream& listed : upstreams_) {
    Peer* peer = find(listed.identity.address);
    if (peer == nullptr || peer->identity != listed.identity) continue;
    const std::pair rank(!(listed.preferred && peer->alive(now)), peer->relay_quality(now));
    if (best == nullptr || rank <= best_rank) {
      best = peer;
      best_rank = rank;
    }
  }
  return best;
}

std::size_t Topology::find_relays(Millis now, const Peer& peer, Relays& relays) {
  std::size_t n = 0;
  for (const Upstream& listed : upstreams_) {
    if (n == relays.size()) break;
    Peer* root = find(listed.identity.address);
    if (root == nullptr || root == &peer || root->identity != listed.identity) continue;
    if (root->best(now, false) == nullptr) continue;
    // By insertion; of equals the later one comes first, as best_root() has it.
    std::size_t at = n++;
    const std::int64_t quality = root->relay_quality(now);
    for (; at > 0 && relays[at - 1].quality >= quality; --at) relays[at] = relays[at - 1];
    relays[at] = {quality, root};
  }
  return n;
}

Peer* Topology::relay_to(Millis now, const Peer& peer) {
  if (peer.relay) {
    Peer* root = find(peer.relay);
    if (root != nullptr && root != &peer && is_upstream(*root) && root->best(now, false) != nullptr)
      return root;
  }
  Relays relays;
  return find_relays(now, peer, relays) == 0 ? nullptr : relays[0].root;
}

void Topology::turn_relay(Millis now, Peer& peer) {
  const Peer* present = relay_to(now, peer);
  Relays relays;
  const std::size_t n = find_relays(now, peer, relays);
  for (std::size_t i = 0; i < n; ++i) {
    if (relays[i].root == present) {
      peer.relay = relays[(i + 1) % n].root->address();
      return;
    }
  }
}

std::size_t Topology::relays(Millis now, const Peer& peer) {
  Relays relays;
  return find_relays(now, peer, relays);
}

Peer* Topology::least_missed(Millis now) {
  // A sample keeps the cost of a full table independent of its size.
  constexpr std::size_t kSample = 64;
  Peer* least = nullptr;
  std::size_t seen = 0;
  const auto rank = [](const Peer& p) {
    return std::pair(p.established(), std::max(p.last_receive, p.created));
  };
  for (auto& [address, peer] : peers_) {
    if (seen++ >= kSample && least != nullptr) break;
    if (is_upstream(*peer) || peer->trusted(now)) continue;
    if (least == nullptr || rank(*peer) < rank(*least)) least = peer.get();
  }
  return least;
}

}  // namespace orrery::control
