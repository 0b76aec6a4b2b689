// What the workers of one process share beside the tables: the units of work that each lays out for
// all of them, what they pass to the first for ports of one queue, and who of them sleeps.
//
// Two gateways are one peer, thus one outer flow and one queue of a NIC: neither RSS nor pinning a
// peer to a core helps. So the worker that owns a queue takes its bursts, does what must be done in
// order and is cheap, and lays the rest out as units of up to 64 packets. It releases them (tx,
// deliver, punt) in the order they were laid out, which keeps every inner flow in order.
//
// A port with several queues gives one to each worker, one with a single queue belongs to the
// first. What another worker has for that one it passes to the first by a ring of its own
// (ControlLink), in order. Outlives its workers.
#pragma once

#include <memory>

#include "dataplane/context.h"
#include "dataplane/control_link.h"
#include "dataplane/fan_out.h"

namespace orrery::dataplane {

/// A burst between the stages that run in order and those that any worker may run, and what came of
/// it. It holds no reference to a record: whoever takes it up looks records up himself and is done
/// with them before his next quiescent state. What a stage of the first half found out about a
/// packet rides in its PacketMeta.
struct WorkUnit {
  enum class Row : std::uint8_t { kInbound, kOutbound };

  Row row = Row::kInbound;
  wire::NetworkId network;  // of frames
  unsigned n = 0;           // in `packets`
  unsigned owed = 0;        // packets in all that the owner laid out, those in `outcome` included
  bool lent = false;        // another worker than the owner took it up
  std::uint64_t begun = 0;  // time-stamp cycles when its packets came in
  rte_mbuf* packets[kVectorMax];
  Outcome outcome;
};

class Team {
 public:
  using Units = FanOut<WorkUnit>;

  explicit Team(unsigned workers) : size_(workers), seats_(new Seat[workers]) {}

  [[nodiscard]] unsigned size() const noexcept { return size_; }

  /// The worker in this seat has this link, which outlives the team's workers.
  void sit(unsigned worker, ControlLink& link) noexcept {
    seats_[worker].link.store(&link, std::memory_order_release);
  }

  /// Null: nobody sits there.
  [[nodiscard]] ControlLink* link_of(unsigned worker) noexcept {
    return seats_[worker].link.load(std::memory_order_acquire);
  }

  /// What this worker lays out.
  [[nodiscard]] Units& units_of(unsigned worker) noexcept { return seats_[worker].units; }

  /// Whether anybody has laid out something that nobody has begun.
  [[nodiscard]] bool has_work() const noexcept {
    for (unsigned i = 0; i < size_; ++i) {
      if (seats_[i].units.has_work()) return true;
    }
    return false;
  }

  /// Whether somebody has passed something to the first worker that it has not taken.
  [[nodiscard]] bool has_passed() noexcept {
    for (unsigned i = 1; i < size_; ++i) {
      const ControlLink* link = link_of(i);
      if (link != nullptr && !(link->pass.empty() && link->pass_frames.empty())) return true;
    }
    return false;
  }

  /// The calling worker is about to wait on its link; `link` null: it no longer does.
  void note_sleep(unsigned worker, const ControlLink* link) noexcept {
    seats_[worker].asleep.store(link, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }

  /// Wakes one sleeper, if there is one. One that is just falling asleep may be missed: it costs no
  /// packet, since the owner works on its units, too, and the next call finds it.
  void wake_one() noexcept {
    for (unsigned i = 0; i < size_; ++i) {
      if (wake(i)) return;
    }
  }

  /// Wakes the first worker, which has been passed something. None is missed.
  void wake_first() noexcept {
    // Between what was passed and the look at who sleeps, as note_sleep() is between its store and
    // has_passed(): one of the two sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    (void)wake(0);
  }

 private:
  /// False: it does not sleep.
  bool wake(unsigned worker) noexcept {
    std::atomic<const ControlLink*>& asleep = seats_[worker].asleep;
    if (asleep.load(std::memory_order_relaxed) == nullptr) return false;
    const ControlLink* link = asleep.exchange(nullptr);
    if (link != nullptr) link->wake_worker();
    return link != nullptr;
  }

  struct Seat {
    alignas(kCacheLine) std::atomic<const ControlLink*> asleep{nullptr};
    std::atomic<ControlLink*> link{nullptr};
    Units units;
  };

  const unsigned size_;
  std::unique_ptr<Seat[]> seats_;
};

/// A worker's place in its team; none: it works alone.
struct Place {
  Team* team = nullptr;
  unsigned worker = 0;
};

}  // namespace orrery::dataplane
