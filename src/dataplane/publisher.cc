#include "dataplane/publisher.h"

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

NetworkRecord::NetworkRecord(const fib::Network& n)
    : network(n),
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
  return bridge_routes.open(prefix + "_bridge", 131072, rcu.get());
}

void Publisher::reclaim() {
  tables_.peers.reclaim();
  tables_.networks.reclaim();
  tables_.members.reclaim();
  tables_.bridge_routes.reclaim();
}

void Publisher::apply(const fib::Update& update) {
  struct Visitor {
    Tables& t;
    Publisher& self;

    void operator()(const fib::Peer& p) const {
      self.put(t.peers.put({p.address.value}, std::make_unique<const PeerRecord>(p)));
    }

    void operator()(const fib::RemovePeer& r) const { t.peers.remove({r.address.value}); }

    void operator()(const fib::Network& n) const {
      self.put(t.networks.put({n.id.value}, std::make_unique<const NetworkRecord>(n)));
    }

    void operator()(const fib::RemoveNetwork& r) const {
      t.networks.remove({r.id.value});
      std::vector<MemberKey> members;
      t.members.for_each_key([&](const MemberKey& k) {
        if (k.network == r.id.value) members.push_back(k);
      });
      for (const MemberKey& k : members) t.members.remove(k);
      std::vector<BridgeKey> routes;
      t.bridge_routes.for_each_key([&](const BridgeKey& k) {
        if (k.network == r.id.value) routes.push_back(k);
      });
      for (const BridgeKey& k : routes) t.bridge_routes.remove(k);
    }

    void operator()(const fib::Member& m) const {
      self.put(t.members.put({m.network.value, m.address.value},
                             std::make_unique<const fib::Member>(m)));
    }

    void operator()(const fib::RemoveMember& r) const {
      t.members.remove({r.network.value, r.address.value});
    }

    void operator()(const fib::BridgeRoute& r) const {
      self.put(t.bridge_routes.put({r.network.value, r.mac.value},
                                   std::make_unique<const fib::BridgeRoute>(r)));
    }

    void operator()(const fib::RemoveBridgeRoute& r) const {
      t.bridge_routes.remove({r.network.value, r.mac.value});
    }
  };

  std::visit(Visitor{tables_, *this}, update);
}

}  // namespace orrery::dataplane
