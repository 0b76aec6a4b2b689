// Fragments back into one mbuf per packet: a table of parked mbufs of fixed size, keyed by endpoint
// and packet id under a secret. One per worker.
//
// Costs one copy of every fragment. Four slots share a set; when a set is full its oldest packet
// makes room, so a flood costs others at most their set. Source: docs/protocol/02-packet.md section
// 10.
#pragma once

#include <array>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "dataplane/drop.h"
#include "dataplane/packet_meta.h"
#include "wire/header.h"

struct rte_mempool;

namespace orrery::dataplane {

class Reassembly {
 public:
  static constexpr std::size_t kSets = 512;
  static constexpr std::size_t kWays = 4;
  static constexpr Millis kTimeout = 2'000;

  struct Outcome {
    rte_mbuf* whole = nullptr;  // the packet, when this piece completed it; single segment
    Drop drop = Drop::kNone;    // why this piece was refused; the mbuf stays the caller's
    unsigned merged = 0;        // datagrams that went into `whole` beside it
  };

  Reassembly(rte_mempool* large, SipKey key);
  ~Reassembly();
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  /// Takes the mbuf unless it is refused. A head carries the fragmented flag; anything marked 0xff
  /// is a fragment.
  Outcome add(rte_mbuf* piece, Millis now) noexcept;
  /// Frees what waited too long; returns how many datagrams went since the last call, those that
  /// made room for others and those of packets that could not be joined included.
  unsigned expire(Millis now) noexcept;

  /// Datagrams parked now.
  [[nodiscard]] std::uint64_t parked() const { return parked_; }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint64_t id = 0;
    Millis since = 0;
    std::uint8_t total = 0;  // 0: unknown, only the head is here
    std::uint8_t have = 0;   // bit per piece
    std::array<rte_mbuf*, wire::kMaxFragments> piece{};
  };

  Slot& slot_for(std::uint64_t hash, std::uint64_t id, Millis now) noexcept;
  unsigned release(Slot& slot) noexcept;
  rte_mbuf* join(Slot& slot) noexcept;

  rte_mempool* large_;
  SipKey key_;
  std::vector<Slot> slots_;
  std::size_t sweep_ = 0;
  std::uint64_t parked_ = 0;
  unsigned lost_ = 0;  // datagrams freed but not yet reported by expire()
};

}  // namespace orrery::dataplane
