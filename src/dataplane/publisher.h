// The tables that workers read, and their only writer.
#pragma once

#include <rte_malloc.h>

#include <atomic>
#include <unordered_set>
#include <vector>

#include "base/time.h"
#include "crypto/peer_keys.h"
#include "dataplane/observe.h"
#include "dataplane/rate_limit.h"
#include "dataplane/rule_counts.h"
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

struct GroupKey {
  std::uint64_t network;
  std::uint64_t mac;
  std::uint64_t adi;
};

struct BridgeKey {
  std::uint64_t network;
  std::uint64_t mac;
};

/// A peer, with the schedules of its AES keys while it is active.
struct alignas(kCacheLine) PeerRecord {
  PeerRecord(const fib::Peer& p, bool active, TrafficSlot counts)
      : peer(p), keys(p.secret), traffic(counts) {
    if (active) keys.expand();
  }

  /// Whether packets of this suite can be sealed and opened; else they are control's.
  [[nodiscard]] bool can_use(wire::Suite suite) const noexcept {
    return suite != wire::Suite::kAesGmacSiv || keys.expanded();
  }

  /// By workers. Noted once a second, so that records stay clean in their caches.
  void note_use(Millis now) const noexcept {
    if (now - last_use.load(std::memory_order_relaxed) >= 1'000)
      last_use.store(now, std::memory_order_relaxed);
  }

  /// By workers: whether control should hear again that packets of full size go there.
  [[nodiscard]] bool full_size_due(Millis now) const noexcept {
    return static_cast<std::uint32_t>(now) - last_full_size.load(std::memory_order_relaxed) >=
           10'000;
  }

  /// The same of what it asks for in its multicast frames.
  [[nodiscard]] bool gather_due(Millis now) const noexcept {
    return static_cast<std::uint32_t>(now) - last_gather.load(std::memory_order_relaxed) >= 1'000;
  }

  /// The same of frames at all.
  [[nodiscard]] bool sent_due(Millis now) const noexcept {
    return static_cast<std::uint32_t>(now) - last_sent.load(std::memory_order_relaxed) >= 1'000;
  }

  fib::Peer peer;
  crypto::PeerKeys keys;
  TrafficSlot traffic;
  mutable std::atomic<std::uint32_t> last_full_size{0};  // when control heard that (ms, modulo)
  mutable std::atomic<std::uint32_t> last_sent{0};       // the same
  mutable std::atomic<std::uint32_t> last_gather{0};     // of what it asks for in frames; the same
  mutable std::atomic<Millis> last_event{0};  // when control last heard of this peer from a worker
  mutable std::atomic<Millis> last_use{0};    // of its schedules
};

static_assert(sizeof(PeerRecord) == 2 * kCacheLine);

struct NetworkRecord {
  NetworkRecord(const fib::Network& n, std::uint64_t revision, TrafficSlot counts,
                RuleCountSlot hits);

  fib::Network network;
  fib::ReadyRules rules;  // of `network`
  TrafficSlot traffic;
  RuleCountSlot hits;
  bool accepts_all;  // the rules begin with an unconditional ACCEPT: nothing to evaluate
};

/// A member, with what is counted and limited of its frames.
struct MemberRecord : fib::Member {
  MemberRecord(const fib::Member& m, TrafficSlot counts) : fib::Member(m), traffic(counts) {}

  /// By workers: whether its limit lets this frame pass. REQUIRES: there is one (rate_in,
  /// rate_out).
  [[nodiscard]] bool admits_in(Millis now, std::size_t bytes) const noexcept {
    return take_bytes(in, now, bytes, rate_in);
  }

  [[nodiscard]] bool admits_out(Millis now, std::size_t bytes) const noexcept {
    return take_bytes(out, now, bytes, rate_out);
  }

  TrafficSlot traffic;
  mutable Bucket in, out;
};

struct GroupRecord {
  explicit GroupRecord(const fib::Group& g) : group(g) {}

  fib::Group group;
  mutable std::atomic<Millis> last_event{0};  // when control last heard that it is used
};

/// Behind whom a station is; and when control last heard that it is still there.
struct BridgeRecord {
  BridgeRecord(const fib::BridgeRoute& r, Millis now) : route(r), last_event(now) {}

  /// By workers: whether to tell control, two seconds after it was learned and then once a minute,
  /// or it would age there.
  [[nodiscard]] bool due(Millis now) const noexcept {
    return now - last_event.load(std::memory_order_relaxed) >=
           (proven.load(std::memory_order_relaxed) ? 60'000 : 2'000);
  }

  void told(Millis now) const noexcept {
    last_event.store(now, std::memory_order_relaxed);
    proven.store(true, std::memory_order_relaxed);
  }

  fib::BridgeRoute route;
  mutable std::atomic<Millis> last_event;
  mutable std::atomic<bool> proven{false};
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
  RcuTable<PeerKey, PeerRecord, 2 * kCacheLine> peers;
  std::atomic<bool> relays{false};  // we are a root: fib::Relaying
  RcuTable<NetworkKey, NetworkRecord> networks;
  RcuTable<MemberKey, MemberRecord> members;
  RcuTable<BridgeKey, BridgeRecord> bridge_routes;
  RcuTable<GroupKey, GroupRecord> groups;
  RcuTable<PeerKey, fib::Spread> spreads;  // of peers that say so
  // [worker]; made by each one's FastPath before it runs
  std::vector<std::unique_ptr<TrafficCounts>> traffic =
      std::vector<std::unique_ptr<TrafficCounts>>(kMaxWorkers);
  // The same.
  std::vector<std::unique_ptr<RuleCounts>> rule_counts =
      std::vector<std::unique_ptr<RuleCounts>>(kMaxWorkers);
};

/// Lives on the control thread.
///
/// It also says who is active, and has the schedules made: 1.5 KB for each peer that speaks AES,
/// for so many at most. A peer becomes active when it is published and there is room, and when
/// control had to carry a frame of it (fib::PeerInUse); then whoever was used longest ago gives
/// way, unless that was a moment ago: more busy peers than there is room for would only take turns.
/// Who is not used for long is no longer active either. The others have their secret only: workers
/// leave their packets of that suite to control.
class Publisher {
 public:
  static constexpr std::size_t kMostActive = 4096;  // 6 MiB of schedules
  static constexpr Millis kActiveFor = 300'000;     // unused
  static constexpr Millis kSpared = 3'000;  // since it was used; workers note that by seconds

  explicit Publisher(Tables& tables, std::size_t most_active = kMostActive)
      : tables_(tables),
        most_active_(most_active),
        slots_(tables.traffic),
        hits_(tables.rule_counts) {}

  void apply(const fib::Update& update);
  /// Tells the time, mono as the workers' own; call now and then.
  void tick(Millis now);
  /// Frees retired records; call now and then.
  void reclaim();

  /// Records that found no room since the start; their packets are punted.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

  /// What workers carried for a peer (bytes of packets, in datagrams that may be several) or in a
  /// network (bytes of Ethernet frames) since it was published first; zero for a stranger.
  [[nodiscard]] Traffic traffic_of(wire::Address peer) const;
  [[nodiscard]] Traffic traffic_of(wire::NetworkId network) const;
  /// Of one member in one network (bytes of Ethernet frames), from and to it.
  [[nodiscard]] Traffic traffic_of(wire::NetworkId network, wire::Address member) const;
  /// Frames that workers carried, by verb [fib::Carrier].
  [[nodiscard]] std::array<std::uint64_t, 3> frames_in() const;
  [[nodiscard]] std::array<std::uint64_t, 3> frames_out() const;
  /// The members of a network that have a record.
  [[nodiscard]] std::vector<wire::Address> members_of(wire::NetworkId network) const;

  /// What the rules of a network decided in workers since they were published.
  struct RuleHitCounts {
    std::vector<wire::Rule> rules;
    std::vector<std::uint64_t> frames;  // [rule]
    std::uint64_t nobody = 0;           // dropped, since no rule accepts them
    std::uint64_t by_capability = 0;    // let through by one
  };

  /// Empty for a stranger.
  [[nodiscard]] RuleHitCounts hits_of(wire::NetworkId network) const;

  /// Peers with schedules.
  [[nodiscard]] std::size_t active() const { return active_.size(); }

 private:
  struct Used {
    Millis last;
    std::uint64_t address;
  };

  void put(bool fitted) { refused_ += fitted ? 0 : 1; }

  void publish(const fib::Peer& peer);
  void publish(const fib::Network& network);
  void publish(const fib::Member& member);
  void publish(const fib::Group& group);
  void remove_network(wire::NetworkId id);
  void remove_member(MemberKey key);
  void use(std::uint64_t address);
  void set_active(const PeerRecord& record, bool active);
  [[nodiscard]] bool make_room();

  // Invariant 1: active_ names exactly the records of the table whose keys are expanded.
  Tables& tables_;
  std::size_t most_active_;
  std::unordered_set<std::uint64_t> active_;
  std::vector<Used> by_use_;  // the active ones as of the last look, used longest ago last
  TrafficSlots slots_;
  RuleCountSlots hits_;
  std::uint64_t revision_ = 0;  // of networks and members, the last one given
  Millis now_ = 0;
  Millis next_look_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace orrery::dataplane
