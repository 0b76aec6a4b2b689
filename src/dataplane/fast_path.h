// What a worker finishes by itself: frames between known members, both ways. Everything it does not
// recognise is handed back for control, unchanged, so an empty table makes a correct (slow) worker.
//
//   inbound   classify, reassemble, dearmor, inflate, dispatch, gate, filter, deliver
//   stages/inbound.cc outbound  resolve, filter_out, steer, encap, armor, fragment
//   stages/outbound.cc
//
// One instance per worker. It never allocates but from mempools, never blocks, and holds table
// references only within a call.
#pragma once

#include <memory>

#include "crypto/armor.h"
#include "crypto/id_permutation.h"
#include "crypto/nonce.h"
#include "dataplane/drop.h"
#include "dataplane/eal.h"
#include "dataplane/publisher.h"
#include "dataplane/stages/reassemble.h"

namespace orrery::dataplane {

/// Where the lanes of a burst end. Fixed arrays; a burst of 64 frames makes at most 64 x 7
/// datagrams.
struct Outcome {
  static constexpr unsigned kMost = 512;

  rte_mbuf* deliver[kMost];   // Ethernet frames for a frame port; PacketMeta: network
  rte_mbuf* transmit[kMost];  // datagrams; PacketMeta: remote, socket
  rte_mbuf* punt[kMost];      // for control; PacketMeta: message
  unsigned delivers = 0, transmits = 0, punts = 0;
  unsigned parked = 0, merged = 0, copies = 0;
};

struct FastPathOptions {
  wire::Address self;
  SipKey permutation;       // of ids of cipher 1; the same for all lanes of this node
  unsigned nonce_lane = 0;  // of this worker; control has its own
  std::uint64_t nonce_floor = 0;
  unsigned worker = 0;  // index, for RCU
  SipKey reassembly_key;
};

class FastPath {
 public:
  static constexpr unsigned kBurst = 64;

  FastPath(Tables& tables, const Pools& pools, const FastPathOptions& options);
  ~FastPath();

  /// RCU: references may be held from here on.
  void online() noexcept;
  /// Between two turns: nothing of the last turn is held. Also the clock of the next turn.
  void quiescent() noexcept;
  void offline() noexcept;

  /// Monotonic ms of this turn.
  [[nodiscard]] Millis now() const noexcept { return now_ms_; }

  /// Datagrams from a port; takes all of them. `drops` counts by reason.
  void inbound(rte_mbuf** burst, unsigned n, Outcome& out, std::uint64_t* drops) noexcept;
  /// Frames from the host's side of `network`; takes all of them.
  void outbound(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                std::uint64_t* drops) noexcept;

 private:
  struct Opened;

  void refresh_clock() noexcept;
  void dearmor(Opened* opened, unsigned n, Outcome& out, std::uint64_t* drops) noexcept;
  void dispatch(Opened& opened, Outcome& out, std::uint64_t* drops) noexcept;
  rte_mbuf* inflated(rte_mbuf* m) noexcept;
  void tell_control(const PeerRecord& peer, rte_mbuf* like, std::uint8_t verb,
                    std::uint64_t network, std::uint8_t hops, Outcome& out) noexcept;
  std::uint64_t next_id(wire::Suite suite) noexcept;

  Tables& tables_;
  Pools pools_;
  FastPathOptions options_;
  crypto::Armorer armorer_;
  crypto::NonceLane nonces_;
  crypto::IdPermutation permute_;
  Reassembly reassembly_;
  Millis now_ms_ = 0;          // monotonic, of this turn
  std::uint64_t wall_ns_ = 0;  // of this turn
  std::uint64_t random_ = 1;   // for MATCH_RANDOM; not secret
};

}  // namespace orrery::dataplane
