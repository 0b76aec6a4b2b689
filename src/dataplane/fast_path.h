// What a worker finishes by itself: frames between known members, both ways. Everything it does not
// recognise is handed back for control, unchanged, so an empty table makes a correct (slow) worker.
//
// The two rows of stages/stages.h over one vector. One instance per worker. It never allocates but
// from mempools, never blocks, and holds table references only within a call. The inbound row can
// be run in two halves: gather(), in the order of arrival and by the one worker that owns the port,
// since the fragments of a packet must meet in one place, looks no record up; open() may be run by
// any other worker, at any time. The outbound row needs no order, but what goes to many is more
// than a unit of work holds: set_apart() keeps it for the worker that owns the port.
#pragma once

#include "dataplane/context.h"

namespace orrery::dataplane {

/// A stage and the place of its counts.
struct Step {
  void (*run)(WorkerContext&, PacketVector&) noexcept;
  StageId id;
};

class FastPath {
 public:
  static constexpr unsigned kBurst = kVectorMax;

  FastPath(Tables& tables, const Pools& pools, const FastPathOptions& options);
  ~FastPath();
  FastPath(const FastPath&) = delete;
  FastPath& operator=(const FastPath&) = delete;

  /// RCU: references may be held from here on.
  void online() noexcept;
  /// Between two turns: nothing of the last turn is held. Also the clock of the next turn.
  void quiescent() noexcept;
  void offline() noexcept;

  /// The turn begins: whether packets are captured in it.
  void begin_turn() noexcept {
    context_.recorder = recorder_ != nullptr && recorder_->begin_turn() ? recorder_ : nullptr;
  }

  /// Null: nobody captures in this turn.
  [[nodiscard]] Recorder* recorder() const noexcept { return context_.recorder; }

  /// Monotonic ms of this turn.
  [[nodiscard]] Millis now() const noexcept { return context_.now_ms; }

  /// Fragments that wait for others now.
  [[nodiscard]] std::uint64_t parked() const noexcept { return context_.reassembly.parked(); }

  /// What the stages did since the start.
  [[nodiscard]] const StageCounters& stages() const noexcept { return stages_; }

  /// Gives up packets whose other fragments did not come in time.
  void expire(DropCounters& drops) noexcept;

  /// Datagrams from a port; takes all of them, and then wants replicate().
  /// REQUIRES: n <= kBurst, and an `out` whose lists are empty.
  void inbound(rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept;
  /// The first half of inbound(). What goes on is left in `burst`; returns how many that are.
  unsigned gather(rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept;
  /// The second half; then wants replicate(). REQUIRES: what gather() of some worker left, and its
  /// `out` or an empty one.
  void open(rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept;
  /// Frames from the host's side of `network`; takes all of them, and then wants replicate().
  /// REQUIRES: as inbound().
  void outbound(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                DropCounters& drops) noexcept;
  /// The part of outbound() that wants replicate(). What goes on is left in `burst`; returns how
  /// many that are.
  unsigned set_apart(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                     DropCounters& drops) noexcept;
  /// The other part; then wants replicate(). REQUIRES: what set_apart() of some worker left, and
  /// its `out` or an empty one.
  void seal(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
            DropCounters& drops) noexcept;

  /// The frame by which `owner` would answer an ARP request or neighbour solicitation; null: none.
  [[nodiscard]] rte_mbuf* answer(fib::Neighbour owner, Bytes question) const noexcept;
  /// One more vector of copies: of the multicast frames that were kept, and those that rules asked
  /// for; false: all are sent. To be called until then, in the same turn. REQUIRES: as inbound().
  [[nodiscard]] bool replicate(Outcome& out, DropCounters& drops) noexcept;

 private:
  void load(Spot spot, rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept;
  void load(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
            DropCounters& drops) noexcept;
  /// A stage that makes a vector of its own.
  void fill(void (*stage)(WorkerContext&, PacketVector&) noexcept, StageId id, Outcome& out,
            DropCounters& drops) noexcept;
  template <std::size_t N>
  void run(const Step (&steps)[N]) noexcept;
  void refresh_clock() noexcept;

  unsigned worker_;
  Recorder* recorder_;
  WorkerContext context_;
  PacketVector vector_;
  StageCounters stages_;
};

}  // namespace orrery::dataplane
