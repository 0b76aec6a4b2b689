// The tables that workers read, and their only writer.
#pragma once

#include <rte_malloc.h>

#include <atomic>

#include "base/time.h"
#include "crypto/peer_keys.h"
#include "dataplane/tables/rcu_table.h"
#include "fib/update.h"

namespace orrery::dataplane {

struct PeerKey {
  std::uint64_t address;
};

struct NetworkKey {
  std::uint64_t id;
};

struct MemberKey {
  std::uint64_t network;
  std::uint64_t address;
};

struct BridgeKey {
  std::uint64_t network;
  std::uint64_t mac;
};

/// A peer with its key schedules expanded.
struct PeerRecord {
  explicit PeerRecord(const fib::Peer& p) : peer(p), keys(p.secret) { keys.expand(); }

  fib::Peer peer;
  crypto::PeerKeys keys;
  mutable std::atomic<Millis> last_event{0};  // when control last heard of this peer from a worker
};

struct NetworkRecord {
  explicit NetworkRecord(const fib::Network& n);

  fib::Network network;
  bool accepts_all;  // the rules begin with an unconditional ACCEPT: nothing to evaluate
};

struct Tables {
  static constexpr unsigned kMaxWorkers = 16;

  /// `prefix`: of the tables' names, unique in the process.
  Result<void> open(const std::string& prefix = "orrery");

  struct FreeRcu {
    void operator()(rte_rcu_qsbr* r) const noexcept { rte_free(r); }
  };

  // First, thus destroyed last: the hashes' own queues of freed keys refer to it.
  std::unique_ptr<rte_rcu_qsbr, FreeRcu> rcu;
  RcuTable<PeerKey, PeerRecord> peers;
  RcuTable<NetworkKey, NetworkRecord> networks;
  RcuTable<MemberKey, fib::Member> members;
  RcuTable<BridgeKey, fib::BridgeRoute> bridge_routes;
};

/// Lives on the control thread.
class Publisher {
 public:
  explicit Publisher(Tables& tables) : tables_(tables) {}

  void apply(const fib::Update& update);
  /// Frees retired records; call now and then.
  void reclaim();

  /// Records that found no room since the start; their packets are punted.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  void put(bool fitted) { refused_ += fitted ? 0 : 1; }

  Tables& tables_;
  std::uint64_t refused_ = 0;
};

}  // namespace orrery::dataplane
