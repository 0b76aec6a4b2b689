// What the stages of one worker share: its tables, keys, scratch and clocks, and where the lanes of
// the running burst end.
//
// One per worker, used by its thread alone. Nothing in it allocates after construction, but from
// mempools.
#pragma once

#include "crypto/armor.h"
#include "crypto/id_permutation.h"
#include "crypto/nonce.h"
#include "dataplane/capture.h"
#include "dataplane/copies.h"
#include "dataplane/counters.h"
#include "dataplane/eal.h"
#include "dataplane/multicasts.h"
#include "dataplane/punt_limits.h"
#include "dataplane/reassembly.h"
#include "dataplane/relay_limits.h"
#include "dataplane/tables/seen_set.h"
#include "dataplane/tables/token_table.h"
#include "dataplane/vector.h"

namespace orrery::dataplane {

/// Where the lanes of a burst end. Fixed arrays: a burst of 64 frames makes at most 64 x 7
/// datagrams, and a punt beside each frame that raises an event.
struct Outcome {
  static constexpr unsigned kMost = kVectorMax * wire::kMaxFragments;

  rte_mbuf* deliver[kVectorMax];   // Ethernet frames; PacketMeta: network
  rte_mbuf* transmit[kMost];       // datagrams; PacketMeta: remote, socket
  rte_mbuf* punt[2 * kVectorMax];  // for control; PacketMeta: message
  unsigned delivers = 0, transmits = 0, punts = 0;
  unsigned merged = 0, copies = 0, answers = 0;  // counts for the ledger
  unsigned relayed = 0;                          // of those to transmit
};

struct FastPathOptions {
  wire::Address self;
  SipKey permutation;       // of ids of cipher 1; the same for all lanes of this node
  unsigned nonce_lane = 0;  // of this worker; control has its own
  std::uint64_t nonce_floor = 0;
  unsigned worker = 0;   // index, for RCU
  unsigned workers = 1;  // in all: of what is limited, each has its share
  SipKey reassembly_key;
  RelayOptions relay;
  PuntOptions punts;
  SeenSet* seen = nullptr;  // of all workers and control; null: control judges what it is given
  std::size_t rule_flows = 4096;  // whose verdict by the rules is remembered; 0: none
  std::uint64_t rule_seed = 0;    // of their hash
  bool clamp_mss = true;          // lower the MSS of SYNs to what is worth sending over the path
  bool refuse_nested = true;      // datagrams of this node itself are no frames (fib/nested.h)
  Recorder* recorder = nullptr;   // of this worker; null: captures are not allowed
};

struct WorkerContext {
  WorkerContext(Tables& t, const Pools& p, const FastPathOptions& options)
      : tables(t),
        pools(p),
        self(options.self),
        nonces(options.nonce_lane, options.nonce_floor),
        permute(options.permutation),
        flow_seed(options.rule_seed),
        clamp_mss(options.clamp_mss),
        refuse_nested(options.refuse_nested),
        reassembly(p, options.reassembly_key, options.workers),
        relay(options.relay),
        punts(options.punts),
        seen(options.seen),
        traffic(own(t.traffic, options.worker)),
        rule_counts(own(t.rule_counts, options.worker)),
        judge(options.rule_flows, options.rule_seed),
        rule_lanes(std::make_unique<fib::RuleLanes>()),
        judged(std::make_unique<fib::Judged>()) {}

  template <typename Counts>
  static Counts& own(std::vector<std::unique_ptr<Counts>>& all, unsigned worker) {
    auto& mine = all[worker];
    if (!mine) mine = std::make_unique<Counts>();
    return *mine;
  }

  /// A packet id for `suite`; never repeats under one key.
  [[nodiscard]] std::uint64_t next_id(wire::Suite suite) noexcept {
    const std::uint64_t id = nonces.next(wall_ns);
    return suite == wire::Suite::kSalsaPoly ? permute(id) : id;
  }

  /// For MATCH_RANDOM of rules; not secret.
  [[nodiscard]] std::uint32_t random() noexcept {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::uint32_t>(random_state >> 32);
  }

  void count(Drop reason, std::uint64_t n = 1) noexcept {
    (*drops)[static_cast<std::size_t>(reason)] += n;
  }

  Tables& tables;
  const Pools pools;
  const wire::Address self;
  crypto::Armorer armorer;
  crypto::NonceLane nonces;
  crypto::IdPermutation permute;
  const std::uint64_t flow_seed;  // of hashes of inner flows
  const bool clamp_mss;
  const bool refuse_nested;
  static constexpr Rate kTooBigAnswers{100, 32};  // "packet too big" for hosts
  TokenBucket too_big_answers;
  Reassembly reassembly;
  RelayLimits relay;
  PuntLimits punts;
  Multicasts multicasts;
  SeenSet* const seen;
  Copies copies;            // by rules, that wait to be sent
  TrafficCounts& traffic;   // this worker's
  RuleCounts& rule_counts;  // the same
  fib::RuleJudge judge;
  const std::unique_ptr<fib::RuleLanes> rule_lanes;  // scratch of judge_lanes()
  const std::unique_ptr<fib::Judged> judged;         // the same
  Millis now_ms = 0;                                 // monotonic, of this turn
  std::uint64_t wall_ns = 0;                         // of this turn
  std::uint64_t random_state = 1;
  Millis events_since = 0;  // of the period that `events` counts
  unsigned events = 0;
  Millis relay_events_since = 0;  // the same of relayed pairs
  unsigned relay_events = 0;
  unsigned relay_looks = 0;      // at who is their source, left in that period
  unsigned refreshes = 0;        // in the same period
  Recorder* recorder = nullptr;  // null: no capture in this turn
  // Of the burst that is running.
  Outcome* out = nullptr;
  DropCounters* drops = nullptr;
};

}  // namespace orrery::dataplane
