#include "control/multicast.h"

namespace orrery::control {

namespace {

template <typename Counts, typename Key>
std::size_t count_of(const Counts& counts, const Key& key) {
  const auto it = counts.find(key);
  return it == counts.end() ? 0 : it->second;
}

template <typename Counts, typename Key>
void decrement(Counts& counts, const Key& key) {
  const auto it = counts.find(key);
  if (it != counts.end() && --it->second == 0) counts.erase(it);
}

}  // namespace

bool MulticastTable::add(Millis now, wire::NetworkId network, wire::MulticastGroup group,
                         wire::Address member) {
  const auto known = groups_.find({network, group});
  if (known != groups_.end()) {
    const auto it = known->second.find(member);
    if (it != known->second.end()) {
      const bool back = now - it->second > kLifetime;
      it->second = now;
      return back;
    }
  }
  if (total_ >= kTotal || count_of(per_peer_, member) >= kPerPeer ||
      count_of(per_network_, network) >= kPerNetwork) {
    return false;
  }
  groups_[{network, group}][member] = now;
  ++per_peer_[member];
  ++per_network_[network];
  ++total_;
  return true;
}

void MulticastTable::forget(const Key& key, wire::Address member) {
  decrement(per_peer_, member);
  decrement(per_network_, key.network);
  --total_;
}

void MulticastTable::remove(wire::NetworkId network, wire::MulticastGroup group,
                            wire::Address member) {
  const auto it = groups_.find({network, group});
  if (it == groups_.end() || it->second.erase(member) == 0) return;
  forget(it->first, member);
  if (it->second.empty()) groups_.erase(it);
}

void MulticastTable::remove_network(wire::NetworkId network) {
  auto it = groups_.lower_bound({network, {}});
  while (it != groups_.end() && it->first.network == network) {
    for (const auto& [member, heard] : it->second) forget(it->first, member);
    it = groups_.erase(it);
  }
}

std::vector<wire::Address> MulticastTable::members(Millis now, wire::NetworkId network,
                                                   wire::MulticastGroup group) const {
  std::vector<wire::Address> alive;
  const auto it = groups_.find({network, group});
  if (it == groups_.end()) return alive;
  for (const auto& [member, heard] : it->second) {
    if (now - heard <= kLifetime) alive.push_back(member);
  }
  return alive;
}

void MulticastTable::expire(Millis now) {
  for (auto group = groups_.begin(); group != groups_.end();) {
    for (auto it = group->second.begin(); it != group->second.end();) {
      if (now - it->second <= kLifetime) {
        ++it;
        continue;
      }
      forget(group->first, it->first);
      it = group->second.erase(it);
    }
    group = group->second.empty() ? groups_.erase(group) : std::next(group);
  }
}

}  // namespace orrery::control
