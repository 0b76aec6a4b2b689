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
  std::int64_t best_quality = 0;
  for (const Upstream& listed : upstreams_) {
    Peer* peer = find(listed.identity.address);
    if (peer == nullptr || peer->identity != listed.identity) continue;
    const std::int64_t quality = peer->relay_quality(now);
    if (best == nullptr || quality <= best_quality) {
      best = peer;
      best_quality = quality;
    }
  }
  return best;
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
