// Counters of one writer that others may read at any time.
//
// The writer is the thread that owns the port or worker; an increment costs a load and a store, no
// lock prefix. Readers (control, for the API) see values that are each whole, of slightly different
// moments.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/drop.h"

namespace orrery::dataplane {

class Counter {
 public:
  [[nodiscard]] std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }

  Counter& operator+=(std::uint64_t n) noexcept {
    set(value() + n);
    return *this;
  }

  Counter& operator++() noexcept { return *this += 1; }

  /// A counter reads like a number.
  operator std::uint64_t() const noexcept { return value(); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct PortCounters {
  Counter rx_packets, rx_bytes, tx_packets, tx_bytes;
  Counter rx_dropped;  // truncated, no mbuf, not a UDP datagram of ours
  Counter tx_dropped;  // queue or socket full, no route
};

/// Sums over the queues of a port.
struct PortCounts {
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_dropped = 0, tx_dropped = 0;

  PortCounts& operator+=(const PortCounters& c) noexcept {
    rx_packets += c.rx_packets;
    rx_bytes += c.rx_bytes;
    tx_packets += c.tx_packets;
    tx_bytes += c.tx_bytes;
    rx_dropped += c.rx_dropped;
    tx_dropped += c.tx_dropped;
    return *this;
  }
};

/// [drop reason]
using DropCounters = std::array<Counter, static_cast<std::size_t>(Drop::kCount)>;

[[nodiscard]] inline std::uint64_t total(const DropCounters& drops) noexcept {
  std::uint64_t sum = 0;
  for (const Counter& c : drops) sum += c.value();
  return sum;
}

// What a worker took in, what it gave away, and how its turns went. X(field, label)
#define ORRERY_FOR_EACH_WORKER_COUNT(X)                                               \
  X(datagrams_in, "datagramsIn")   /* from ports */                                   \
  X(frames_in, "framesIn")         /* from frame ports */                             \
  X(injected, "injected")          /* datagrams from control */                       \
  X(handed_frames, "handedFrames") /* frames from control */                          \
  X(answers, "answers")            /* ARP and ND made here, in owners' names */       \
  X(copies, "copies")              /* fragments, flooded frames, events */            \
  X(merged, "merged")              /* datagrams into another, frames into copies */   \
  X(parked, "parked")              /* fragments waiting now: a gauge */               \
  X(held, "held")                  /* in units not released: a gauge */               \
  X(lent, "lent")                  /* given to another worker */                      \
  X(regained, "regained")          /* what came of that */                            \
  X(borrowed, "borrowed")          /* taken over from another worker */               \
  X(repaid, "repaid")              /* what came of that */                            \
  X(passed, "passed")              /* to the first worker, by whose port it leaves */ \
  X(taken, "taken")                /* by the first worker, of that */                 \
  X(sent, "sent")                  /* datagrams handed to a port */                   \
  X(relayed, "relayed")            /* of those sent, for others */                    \
  X(delivered, "delivered")        /* frames handed to a frame port */                \
  X(punted, "punted")              /* to control, events included */                  \
  X(turns, "turns")                                                                   \
  X(empty_turns, "emptyTurns")                                                        \
  X(sleeps, "sleeps")

/// The ledger, between two turns: datagrams_in + frames_in + injected + handed_frames + answers +
/// copies + regained + borrowed + taken = merged + parked + held + sent + delivered + punted + lent
/// + repaid + passed + all drops. Over all workers at rest, lent = borrowed, regained = repaid and
/// passed = taken.
struct WorkerCounters {
#define ORRERY_WORKER_COUNT_FIELD(field, label) Counter field;
  ORRERY_FOR_EACH_WORKER_COUNT(ORRERY_WORKER_COUNT_FIELD)
#undef ORRERY_WORKER_COUNT_FIELD
  DropCounters drops;

  [[nodiscard]] bool balanced() const noexcept {
    return datagrams_in.value() + frames_in.value() + injected.value() + handed_frames.value() +
               answers.value() + copies.value() + regained.value() + borrowed.value() +
               taken.value() ==
           merged.value() + parked.value() + held.value() + sent.value() + delivered.value() +
               punted.value() + lent.value() + repaid.value() + passed.value() + total(drops);
  }
};

}  // namespace orrery::dataplane
