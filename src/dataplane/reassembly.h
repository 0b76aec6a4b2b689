// Fragments back into one mbuf per packet. One per worker.
//
// What is parked, refused and pushed out is wire/fragment_table.h's, the same as for control; here
// pieces are the mbufs as they came, sources are named by a keyed hash of their endpoint, and what
// is complete is copied into one segment. Costs one copy of every fragment.
#pragma once

#include <memory>

#include "dataplane/drop.h"
#include "dataplane/eal.h"
#include "dataplane/packet_meta.h"
#include "wire/fragment_table.h"

namespace orrery::dataplane {

class Reassembly {
 public:
  static constexpr std::size_t kPackets = 2048;  // in flight
  // Of one endpoint. What it loses waits for the timeout: from 128 lost packets a second on, the
  // oldest of them give way earlier.
  static constexpr std::size_t kPacketsPerSource = 256;
  static constexpr Millis kTimeout = 2'000;

  struct Outcome {
    rte_mbuf* whole = nullptr;  // the packet, when this piece completed it; single segment
    Drop drop = Drop::kNone;    // why this piece was refused; the mbuf stays the caller's
    unsigned merged = 0;        // datagrams that went into `whole` beside it
  };

  /// At most half of the datagrams that `pools` have wait here and at the other workers'.
  Reassembly(const Pools& pools, SipKey key, unsigned workers = 1);
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  /// Takes the mbuf unless it is refused. REQUIRES: a fragment, or a head with its flag set.
  Outcome add(rte_mbuf* piece, Millis now) noexcept;
  /// Frees what waited too long; returns how many datagrams went since the last call, those that
  /// made room for others and those of packets that could not be joined included.
  std::uint64_t expire(Millis now) noexcept;

  /// Datagrams parked now.
  [[nodiscard]] std::uint64_t parked() const { return table_.datagrams_held(); }

 private:
  struct FreeMbuf {
    void operator()(rte_mbuf* m) const noexcept { rte_pktmbuf_free(m); }
  };

  using Table = wire::FragmentTable<std::unique_ptr<rte_mbuf, FreeMbuf>>;

  [[nodiscard]] std::uint64_t source_of(const PacketMeta& meta) const noexcept;
  /// The pieces as one segment, which takes the head away; null without a buffer for it.
  [[nodiscard]] rte_mbuf* join() noexcept;

  rte_mempool* large_;
  SipKey key_;
  Table table_;
  Table::Pieces pieces_;        // of the packet that is complete; empty between two calls
  std::uint64_t unjoined_ = 0;  // datagrams freed since the start, since no buffer was free
  std::uint64_t reported_ = 0;  // datagrams that expire() has told of
};

}  // namespace orrery::dataplane
