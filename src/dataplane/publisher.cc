#include "dataplane/publisher.h"

#include <algorithm>
#include <vector>

namespace orrery::dataplane {

SipKey& table_hash_key() {
  static SipKey key;
  return key;
}

std::uint32_t table_hash(const void* key, std::uint32_t length, std::uint32_t) {
  return static_cast<std::uint32_t>(
      siphash(table_hash_key(), {static_cast<const std::uint8_t*>(key), length}));
}

namespace {

fib::Network revised(fib::Network network, std::uint64_t revision) {
  network.revision = revision;
  return network;
}

/// Counters that a list of a network needs.
std::uint32_t counts_of(const NetworkRecord& record) {
  return static_cast<std::uint32_t>(record.rules.counts());
}

}  // namespace

NetworkRecord::NetworkRecord(const fib::Network& n, std::uint64_t revision, TrafficSlot counts,
                             RuleCountSlot hit_counts)
    : network(revised(n, revision)),
      rules(network),
      traffic(counts),
      hits(hit_counts),
      accepts_all(!n.rules.empty() &&
                  n.rules.front().code() ==
                      static_cast<std::uint8_t>(wire::RuleType::kActionAccept)) {}

Result<void> Tables::open(const std::string& prefix) {
  const std::size_t size = rte_rcu_qsbr_get_memsize(kMaxWorkers);
  rcu.reset(static_cast<rte_rcu_qsbr*>(rte_zmalloc("orrery_rcu", size, RTE_CACHE_LINE_SIZE)));
  if (rcu == nullptr || rte_rcu_qsbr_init(rcu.get(), kMaxWorkers) != 0)
    return failure(Errc::kFull, "no memory for RCU");
  if (auto r = peers.open(prefix + "_peers", 65536, rcu.get()); !r) return r;
  if (auto r = networks.open(prefix + "_networks", 4096, rcu.get()); !r) return r;
  if (auto r = members.open(prefix + "_members", 131072, rcu.get()); !r) return r;
  if (auto r = bridge_routes.open(prefix + "_bridge", 131072, rcu.get()); !r) return r;
  if (auto r = groups.open(prefix + "_groups", 4096, rcu.get()); !r) return r;
  return spreads.open(prefix + "_spreads", 4096, rcu.get());
}

namespace {

constexpr Millis kLookInterval = 5'000;  // at who is active

}  // namespace

void Publisher::publish(const fib::Peer& peer) {
  const PeerKey key{peer.address.value};
  const PeerRecord* before = tables_.peers.find(key);
  const bool aes = peer.suite == wire::Suite::kAesGmacSiv;
  const bool known = before != nullptr && before->peer.suite == peer.suite;
  const bool active = aes && (known ? before->keys.expanded() : active_.size() < most_active_);
  const TrafficSlot traffic = before != nullptr ? before->traffic : slots_.take();
  auto record = std::make_unique<const PeerRecord>(peer, active, traffic);
  record->last_use.store(known ? before->last_use.load(std::memory_order_relaxed) : now_,
                         std::memory_order_relaxed);
  const bool fitted = tables_.peers.put(key, std::move(record));
  put(fitted);
  if (!fitted) {
    if (before == nullptr) slots_.give_back(traffic);
    return;
  }
  if (active) {
    active_.insert(key.address);  // Invariant 1
  } else {
    active_.erase(key.address);  // Invariant 1
  }
}

void Publisher::set_active(const PeerRecord& record, bool active) {
  const PeerKey key{record.peer.address.value};
  auto next = std::make_unique<const PeerRecord>(record.peer, active, record.traffic);
  next->last_event.store(record.last_event.load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
  next->last_use.store(active ? now_ : record.last_use.load(std::memory_order_relaxed),
                       std::memory_order_relaxed);
  if (!tables_.peers.put(key, std::move(next))) return;
  if (active) {
    active_.insert(key.address);  // Invariant 1
  } else {
    active_.erase(key.address);  // Invariant 1
  }
}

void Publisher::publish(const fib::Network& network) {
  const NetworkKey key{network.id.value};
  const NetworkRecord* before = tables_.networks.find(key);
  const TrafficSlot traffic = before != nullptr ? before->traffic : slots_.take();
  // The same rules go on counting.
  const bool same_rules = before != nullptr && before->network.rules == network.rules;
  const auto counts = static_cast<std::uint32_t>(network.rules.size() + 2);
  const RuleCountSlot hits = same_rules ? before->hits : hits_.take(counts);
  const RuleCountSlot old_hits = before != nullptr && !same_rules ? before->hits : 0;
  const std::uint32_t old_counts = before != nullptr ? counts_of(*before) : 0;
  const bool fitted = tables_.networks.put(
      key, std::make_unique<const NetworkRecord>(network, ++revision_, traffic, hits));
  put(fitted);
  if (fitted) {
    hits_.give_back(old_hits, old_counts);
    return;
  }
  if (before == nullptr) slots_.give_back(traffic);
  if (!same_rules) hits_.give_back(hits, counts);
}

void Publisher::publish(const fib::Member& member) {
  const MemberKey key{member.network.value, member.address.value};
  const MemberRecord* before = tables_.members.find(key);
  const TrafficSlot traffic = before != nullptr ? before->traffic : slots_.take();
  auto record = std::make_unique<MemberRecord>(member, traffic);
  record->revision = ++revision_;
  if (before != nullptr) {
    record->in.copy(before->in);
    record->out.copy(before->out);
  }
  const bool fitted = tables_.members.put(key, std::move(record));
  put(fitted);
  if (!fitted && before == nullptr) slots_.give_back(traffic);
}

void Publisher::remove_member(MemberKey key) {
  if (const MemberRecord* gone = tables_.members.find(key)) slots_.give_back(gone->traffic);
  tables_.members.remove(key);
}

void Publisher::publish(const fib::Group& group) {
  const GroupKey key{group.network.value, group.group.mac.value, group.group.adi};
  auto record = std::make_unique<const GroupRecord>(group);
  if (const GroupRecord* before = tables_.groups.find(key)) {
    record->last_event.store(before->last_event.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
  }
  put(tables_.groups.put(key, std::move(record)));
}

bool Publisher::make_room() {
  while (!by_use_.empty()) {
    const Used oldest = by_use_.back();
    if (now_ - oldest.last < kSpared) return false;  // as were all others
    by_use_.pop_back();
    if (!active_.contains(oldest.address)) continue;
    const PeerRecord* record = tables_.peers.find({oldest.address});
    if (record->last_use.load(std::memory_order_relaxed) != oldest.last) continue;  // used since
    set_active(*record, false);
    return true;
  }
  return false;
}

void Publisher::use(std::uint64_t address) {
  const PeerRecord* record = tables_.peers.find({address});
  if (record == nullptr || record->peer.suite != wire::Suite::kAesGmacSiv) return;
  if (record->keys.expanded()) {
    record->note_use(now_);
  } else if (active_.size() < most_active_ || make_room()) {
    set_active(*record, true);
  }
}

void Publisher::tick(Millis now) {
  now_ = now;
  if (now < next_look_) return;
  next_look_ = now + kLookInterval;
  by_use_.clear();
  for (const std::uint64_t address : active_) {
    by_use_.push_back(
        {tables_.peers.find({address})->last_use.load(std::memory_order_relaxed), address});
  }
  std::ranges::sort(by_use_, std::ranges::greater{}, &Used::last);
  while (!by_use_.empty() && now - by_use_.back().last >= kActiveFor) {
    set_active(*tables_.peers.find({by_use_.back().address}), false);
    by_use_.pop_back();
  }
}

namespace {

/// Keys of what a table has of a network.
template <typename Key, typename Table>
std::vector<Key> keys_of(const Table& table, std::uint64_t network) {
  std::vector<Key> keys;
  table.for_each_key([&](const Key& k) {
    if (k.network == network) keys.push_back(k);
  });
  return keys;
}

template <typename Key, typename Table>
void remove_all(Table& table, std::uint64_t network) {
  for (const Key& k : keys_of<Key>(table, network)) table.remove(k);
}

}  // namespace

void Publisher::remove_network(wire::NetworkId id) {
  if (const NetworkRecord* gone = tables_.networks.find({id.value})) {
    slots_.give_back(gone->traffic);
    hits_.give_back(gone->hits, counts_of(*gone));
  }
  tables_.networks.remove({id.value});
  for (const MemberKey& key : keys_of<MemberKey>(tables_.members, id.value)) remove_member(key);
  remove_all<BridgeKey>(tables_.bridge_routes, id.value);
  remove_all<GroupKey>(tables_.groups, id.value);
}

Publisher::RuleHitCounts Publisher::hits_of(wire::NetworkId network) const {
  const NetworkRecord* record = tables_.networks.find({network.value});
  if (record == nullptr) return {};
  RuleHitCounts hits{record->network.rules, hits_.of(record->hits, counts_of(*record))};
  hits.nobody = hits.frames[record->rules.nobody()];
  hits.by_capability = hits.frames[record->rules.by_capability()];
  hits.frames.resize(hits.rules.size());
  return hits;
}

Traffic Publisher::traffic_of(wire::Address peer) const {
  const PeerRecord* record = tables_.peers.find({peer.value});
  return record == nullptr ? Traffic{} : slots_.of(record->traffic);
}

Traffic Publisher::traffic_of(wire::NetworkId network) const {
  const NetworkRecord* record = tables_.networks.find({network.value});
  return record == nullptr ? Traffic{} : slots_.of(record->traffic);
}

Traffic Publisher::traffic_of(wire::NetworkId network, wire::Address member) const {
  const MemberRecord* record = tables_.members.find({network.value, member.value});
  return record == nullptr ? Traffic{} : slots_.of(record->traffic);
}

namespace {

std::array<std::uint64_t, 3> sum_of(const Tables& tables,
                                    std::array<Counter, 3> TrafficCounts::* frames) {
  std::array<std::uint64_t, 3> sums{};
  for (const auto& counts : tables.traffic) {
    if (!counts) continue;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += ((*counts).*frames)[i];
  }
  return sums;
}

}  // namespace

std::array<std::uint64_t, 3> Publisher::frames_in() const {
  return sum_of(tables_, &TrafficCounts::rx_frames);
}

std::array<std::uint64_t, 3> Publisher::frames_out() const {
  return sum_of(tables_, &TrafficCounts::tx_frames);
}

std::vector<wire::Address> Publisher::members_of(wire::NetworkId network) const {
  std::vector<wire::Address> members;
  for (const MemberKey& key : keys_of<MemberKey>(tables_.members, network.value))
    members.push_back(wire::Address{key.address});
  return members;
}

void Publisher::reclaim() {
  tables_.peers.reclaim();
  tables_.networks.reclaim();
  tables_.members.reclaim();
  tables_.bridge_routes.reclaim();
  tables_.groups.reclaim();
  tables_.spreads.reclaim();
}

void Publisher::apply(const fib::Update& update) {
  struct Visitor {
    Tables& t;
    Publisher& self;

    void operator()(const fib::Peer& p) const { self.publish(p); }

    void operator()(const fib::PeerSpread& s) const {
      if (s.spread == nullptr) {
        t.spreads.remove({s.address.value});
      } else {
        self.put(t.spreads.put({s.address.value}, std::make_unique<const fib::Spread>(*s.spread)));
      }
    }

    void operator()(const fib::RemovePeer& r) const {
      if (const PeerRecord* gone = t.peers.find({r.address.value}))
        self.slots_.give_back(gone->traffic);
      t.peers.remove({r.address.value});
      t.spreads.remove({r.address.value});
      self.active_.erase(r.address.value);  // Invariant 1
    }

    void operator()(const fib::PeerInUse& u) const { self.use(u.address.value); }

    void operator()(const fib::Relaying& r) const {
      t.relays.store(r.for_strangers, std::memory_order_relaxed);
    }

    void operator()(const fib::Network& n) const { self.publish(n); }

    void operator()(const fib::RemoveNetwork& r) const { self.remove_network(r.id); }

    void operator()(const fib::Member& m) const { self.publish(m); }

    void operator()(const fib::RemoveMember& r) const {
      self.remove_member({r.network.value, r.address.value});
    }

    void operator()(const fib::BridgeRoute& r) const {
      self.put(t.bridge_routes.put({r.network.value, r.mac.value},
                                   std::make_unique<const BridgeRecord>(r, self.now_)));
    }

    void operator()(const fib::Group& g) const { self.publish(g); }

    void operator()(const fib::RemoveGroup& r) const {
      t.groups.remove({r.network.value, r.group.mac.value, r.group.adi});
    }

    void operator()(const fib::RemoveBridgeRoute& r) const {
      t.bridge_routes.remove({r.network.value, r.mac.value});
    }
  };

  std::visit(Visitor{tables_, *this}, update);
}

}  // namespace orrery::dataplane
