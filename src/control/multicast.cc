#include "control/multicast.h"

#include <algorithm>

namespace orrery::control {

namespace multicast_detail {

template <typename Record>
Place Table<Record>::insert(const typename Record::Key& key) {
  if (size_ >= heads_.size()) grow();
  Place place = free_;
  if (place != 0) {
    free_ = records_[place].chain;
    records_[place] = {};
  } else {
    place = static_cast<Place>(records_.size());
    records_.emplace_back();
  }
  Place& head = heads_[head_of(key)];
  records_[place].key = key;
  records_[place].chain = head;
  head = place;
  ++size_;
  return place;
}

template <typename Record>
void Table<Record>::erase(Place place) {
  Place* link = &heads_[head_of(records_[place].key)];
  while (*link != place) link = &records_[*link].chain;
  *link = records_[place].chain;
  records_[place] = {};
  records_[place].chain = free_;
  free_ = place;
  --size_;
}

template <typename Record>
void Table<Record>::grow() {
  std::vector<Place> old(heads_.size() * 2);
  old.swap(heads_);
  for (Place at : old) {
    while (at != 0) {
      const Place next = records_[at].chain;
      Place& head = heads_[head_of(records_[at].key)];
      records_[at].chain = head;
      head = at;
      at = next;
    }
  }
}

namespace {

template <Links Entry::* kLinks>
void append(Table<Entry>& table, List& list, Place place) {
  table[place].*kLinks = {list.last, 0};
  if (list.last != 0) (table[list.last].*kLinks).after = place;
  list.last = place;
  if (list.first == 0) list.first = place;
}

template <Links Entry::* kLinks>
void unlink(Table<Entry>& table, List& list, Place place) {
  const Links links = table[place].*kLinks;
  (links.before != 0 ? (table[links.before].*kLinks).after : list.first) = links.after;
  (links.after != 0 ? (table[links.after].*kLinks).before : list.last) = links.before;
  table[place].*kLinks = {};
}

/// Bytes that one membership takes at most: its entry, a group, peer and network of its own, and a
/// head of a chain for each (their number is at most twice that of the records).
constexpr std::size_t kBytesEach = sizeof(Entry) + sizeof(GroupRecord) + sizeof(PeerRecord) +
                                   sizeof(NetworkRecord) + 4 * 2 * sizeof(Place);
// While heads are doubled the old half is there, too; a deque keeps a pointer for each 512 bytes.
static_assert(MulticastTable::kTotal * kBytesEach * 17 / 16 +
                  MulticastTable::kTotal * sizeof(Place) <=
              MulticastTable::kMemory);

constexpr int kLooks = 8;  // memberships looked at for the noisiest

}  // namespace
}  // namespace multicast_detail

using multicast_detail::append;
using multicast_detail::Entry;
using multicast_detail::GroupRecord;
using multicast_detail::unlink;

namespace {

GroupRecord::Key key_of(wire::NetworkId network, wire::MulticastGroup group) {
  return {network.value, group.mac.value, group.adi};
}

SipKey other(SipKey key, std::uint64_t number) {
  return {key.k0 + number, key.k1};
}

}  // namespace

MulticastTable::MulticastTable(SipKey key)
    : entries_(other(key, 0)),
      groups_(other(key, 1)),
      peers_(other(key, 2)),
      networks_(other(key, 3)) {}

MulticastTable::Added MulticastTable::add(Millis now, wire::NetworkId network,
                                          wire::MulticastGroup group, wire::Address member) {
  {
    const Place g = groups_.find(key_of(network, group));
    const Place p = peers_.find({member.value});
    const Place known = g != 0 && p != 0 ? entries_.find({g, p}) : 0;
    if (known != 0) {
      const bool back = now - entries_[known].heard > kLifetime;
      refresh(now, known);
      return back ? Added::kNew : Added::kKnown;
    }
  }
  // What is over makes room first: two for one, so that it ends.
  for (int i = 0; i < 2 && by_age_.first != 0; ++i) {
    if (now - entries_[by_age_.first].heard <= kLifetime) break;
    drop(by_age_.first);
  }
  Added added = Added::kNew;
  const Place peer = peers_.find({member.value});
  const std::uint32_t own = peer == 0 ? 0 : peers_[peer].count;
  if (own >= kPerPeer) {
    drop(peers_[peer].entries.first);
    added = Added::kNewInPlace;
  }
  const Place net = networks_.find({network.value});
  if (net != 0 && networks_[net].count >= kPerNetwork) {
    const Place victim = noisiest_in(net);
    if (count_of(victim) <= own) return Added::kRefused;
    drop(victim);
    added = Added::kNewInPlace;
  }
  if (size() >= kTotal) {
    const Place victim = noisiest();
    drop(count_of(victim) <= own ? peers_[peer].entries.first : victim);
    added = Added::kNewInPlace;
  }
  // 1. A record of a group, peer or network is there exactly as long as it has entries.
  Place g = groups_.find(key_of(network, group));
  if (g == 0) g = groups_.insert(key_of(network, group));
  Place p = peers_.find({member.value});
  if (p == 0) p = peers_.insert({member.value});
  Place n = networks_.find({network.value});
  if (n == 0) n = networks_.insert({network.value});
  const Place entry = entries_.insert({g, p});
  entries_[entry].heard = now;
  entries_[entry].network = n;
  append<&Entry::by_age>(entries_, by_age_, entry);
  append<&Entry::of_peer>(entries_, peers_[p].entries, entry);
  append<&Entry::of_network>(entries_, networks_[n].entries, entry);
  append<&Entry::of_group>(entries_, groups_[g].entries, entry);
  ++peers_[p].count;
  ++networks_[n].count;
  return added;
}

void MulticastTable::refresh(Millis now, Place entry) {
  // 2. The lists of all and of a peer are ascending by `heard`.
  auto& of_peer = peers_[entries_[entry].key.peer].entries;
  unlink<&Entry::by_age>(entries_, by_age_, entry);
  unlink<&Entry::of_peer>(entries_, of_peer, entry);
  entries_[entry].heard = now;
  append<&Entry::by_age>(entries_, by_age_, entry);
  append<&Entry::of_peer>(entries_, of_peer, entry);
}

void MulticastTable::drop(Place entry) {
  const auto [g, p] = entries_[entry].key;
  const Place n = entries_[entry].network;
  auto& net = networks_[n];
  if (net.hand == entry) net.hand = entries_[entry].of_network.after;
  unlink<&Entry::by_age>(entries_, by_age_, entry);
  unlink<&Entry::of_peer>(entries_, peers_[p].entries, entry);
  unlink<&Entry::of_network>(entries_, net.entries, entry);
  unlink<&Entry::of_group>(entries_, groups_[g].entries, entry);
  entries_.erase(entry);
  if (--peers_[p].count == 0) peers_.erase(p);
  if (--net.count == 0) networks_.erase(n);
  if (groups_[g].entries.first == 0) groups_.erase(g);
}

std::uint32_t MulticastTable::count_of(Place entry) const {
  return peers_[entries_[entry].key.peer].count;
}

MulticastTable::Place MulticastTable::noisiest_in(Place network) {
  auto& net = networks_[network];
  Place best = 0;
  for (int i = 0; i < multicast_detail::kLooks; ++i) {
    if (net.hand == 0) net.hand = net.entries.first;
    if (best == 0 || count_of(net.hand) > count_of(best)) best = net.hand;
    net.hand = entries_[net.hand].of_network.after;
  }
  return best;
}

MulticastTable::Place MulticastTable::noisiest() {
  Place best = 0;
  // Only called when no place is free.
  for (int i = 0; i < multicast_detail::kLooks; ++i) {
    hand_ = hand_ >= entries_.places() ? 1 : hand_ + 1;
    if (best == 0 || count_of(hand_) > count_of(best)) best = hand_;
  }
  return peers_[entries_[best].key.peer].entries.first;
}

void MulticastTable::remove(wire::NetworkId network, wire::MulticastGroup group,
                            wire::Address member) {
  const Place g = groups_.find(key_of(network, group));
  const Place p = peers_.find({member.value});
  const Place entry = g != 0 && p != 0 ? entries_.find({g, p}) : 0;
  if (entry != 0) drop(entry);
}

void MulticastTable::remove_network(wire::NetworkId network) {
  for (Place n = networks_.find({network.value}); n != 0; n = networks_.find({network.value})) {
    drop(networks_[n].entries.first);
  }
}

std::vector<wire::Address> MulticastTable::members(Millis now, wire::NetworkId network,
                                                   wire::MulticastGroup group) const {
  std::vector<wire::Address> alive;
  const Place g = groups_.find(key_of(network, group));
  if (g == 0) return alive;
  for (Place at = groups_[g].entries.first; at != 0; at = entries_[at].of_group.after) {
    const Entry& entry = entries_[at];
    if (now - entry.heard <= kLifetime) alive.push_back({peers_[entry.key.peer].key.value});
  }
  std::sort(alive.begin(), alive.end());
  return alive;
}

void MulticastTable::expire(Millis now) {
  while (by_age_.first != 0 && now - entries_[by_age_.first].heard > kLifetime) {
    drop(by_age_.first);
  }
}

}  // namespace orrery::control
