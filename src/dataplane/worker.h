// The loop of one worker lcore: bursts from its ports through the stages, and what control sends in
// between.
//
// A worker never locks, allocates or logs. It waits only when idle: as soon as a turn found nothing
// it sleeps on the descriptors of its ports and its link (offline to RCU first). A port without
// descriptors is polled, from 50 us after the last packet on with a back-off sleep of at most 500
// us; workers of a team poll as long before they sleep. The set of ports is handed over whole by
// control and adopted between two turns.
//
// Several workers make a team (team.h): bursts of a port that is busy are shared out as units of
// work and released in order. A unit names neither port nor record, so a new set of ports may be
// adopted while units are out. Each worker has a set of its own queues; what leaves by a port that
// is not in it goes to the first worker. A worker alone pays one comparison a burst for it.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/control_link.h"
#include "dataplane/counters.h"
#include "dataplane/eal.h"
#include "dataplane/fast_path.h"
#include "dataplane/lan_switch.h"
#include "dataplane/port.h"
#include "dataplane/team.h"

namespace orrery::dataplane {

/// A bridged network: its switch, and its frame ports by the switch's numbers (null: none now, or
/// none of this worker's).
struct SwitchedNetwork {
  static constexpr unsigned kNoPort = LanSwitch::kMaxPorts;

  std::shared_ptr<LanSwitch> lan;
  std::vector<FramePort*> ports;  // of PortSet::frame_ports

  /// kNoPort when it is none of this network.
  [[nodiscard]] unsigned number_of(const FramePort& port) const noexcept;
};

/// Ports of one worker. Immutable once handed over; ports are shared so that a set can be replaced
/// while one is in use.
struct PortSet {
  std::vector<std::shared_ptr<Port>> ports;
  std::vector<std::shared_ptr<FramePort>> frame_ports;
  std::vector<SwitchedNetwork> switched;  // networks with LAN ports of any worker

  /// Null when the network has no local switch: it has one frame port at most.
  [[nodiscard]] const SwitchedNetwork* switch_of(std::uint64_t network) const noexcept;
};

class Worker {
 public:
  static constexpr std::uint16_t kBurst = 64;

  /// REQUIRES: with a team, a fast path.
  Worker(const Pools& pools, ControlLink& link, FastPath* fast_path, bool idle_poll,
         Place place = {});
  ~Worker();

  /// Runs until stop(); the calling thread becomes the worker.
  void run() noexcept;
  void stop() noexcept;

  // --- control's side
  void hand_over(std::unique_ptr<const PortSet> set);
  /// Frees sets that the worker has left behind.
  void reap();

  [[nodiscard]] const WorkerCounters& counters() const { return counters_; }

  /// Of vectors from a port or host, from reception until all that they became was handed on.
  [[nodiscard]] const LatencyHistogram& latency() const { return latency_; }

 private:
  /// Frames in a row for one port, which are cheaper to hand over together. Of one call: whoever
  /// fills it flushes it.
  struct Run {
    FramePort* port = nullptr;  // null: none of this worker's
    unsigned n = 0;
    rte_mbuf* frames[kBurst];
  };

  unsigned turn() noexcept;
  void adopt() noexcept;
  void wait() noexcept;
  unsigned from_ports() noexcept;
  unsigned from_hosts() noexcept;
  unsigned from_control() noexcept;
  unsigned from_team() noexcept;
  void punt(rte_mbuf* m, Message message) noexcept;
  /// `at`: the point that it passed last, for a capture.
  void drop(rte_mbuf* m, Drop reason, Spot at) noexcept;
  /// Null: nobody captures in this turn.
  [[nodiscard]] Recorder* recorder() const noexcept;
  void finish(Outcome& o) noexcept;
  [[nodiscard]] Millis now() const noexcept;
  unsigned switch_locally(const SwitchedNetwork& net, unsigned port, rte_mbuf** frames,
                          unsigned n) noexcept;
  void punt_probe(const SwitchedNetwork& net, unsigned side, rte_mbuf* frame) noexcept;
  /// Hands frames to a port, for good.
  void give(FramePort& port, rte_mbuf** frames, unsigned n) noexcept;
  /// To local port `number`, which may be the first worker's.
  void put(Run& run, const SwitchedNetwork& net, unsigned number, rte_mbuf* frame) noexcept;
  void put_copy(Run& run, const SwitchedNetwork& net, unsigned number,
                const rte_mbuf* frame) noexcept;
  void flush(Run& run) noexcept;
  /// The frame came from the overlay and asks for a station's IP address: an answer in its name
  /// waits for send_answers(). False: not now.
  bool answer(fib::Neighbour owner, const rte_mbuf* question) noexcept;
  unsigned send_answers() noexcept;
  void spread(Run& run, const SwitchedNetwork& net, std::uint64_t ports, rte_mbuf* frame) noexcept;
  void transmit(rte_mbuf** packets, unsigned n) noexcept;
  void deliver(rte_mbuf** frames, unsigned n) noexcept;
  /// Frames of one bridged network.
  void deliver_switched(const SwitchedNetwork& net, rte_mbuf** frames, unsigned n) noexcept;

  /// What leaves by a port that this worker does not have; takes all `n`.
  void pass(SpscRing<rte_mbuf>& ring, rte_mbuf** packets, unsigned n, Spot at) noexcept;

  // --- worker_units.cc
  [[nodiscard]] Team::Units& units() noexcept { return place_.team->units_of(place_.worker); }

  /// Whether a burst of `n` is done at once, as by a worker alone.
  [[nodiscard]] bool at_once(unsigned n) noexcept;
  /// A burst from a port, all the way or as a unit. REQUIRES: make_room().
  void inbound(rte_mbuf** burst, unsigned n) noexcept;
  void outbound(wire::NetworkId network, rte_mbuf** burst, unsigned n) noexcept;
  void replicate() noexcept;
  void lay_out(WorkUnit& unit) noexcept;
  /// Moves the counts of `o` to this worker's.
  void settle(Outcome& o) noexcept;
  void work_on(WorkUnit& unit) noexcept;
  bool work_on_own() noexcept;
  bool work_for_others() noexcept;
  void release_units() noexcept;
  /// Makes sure that a burst can be laid out; false: the oldest unit is another's, who is late.
  [[nodiscard]] bool make_room() noexcept;
  /// The team's part of a turn that took `taken` packets from ports.
  unsigned share(unsigned taken) noexcept;
  void take_back_units() noexcept;

  Pools pools_;
  ControlLink& link_;
  FastPath* fast_path_;
  bool idle_poll_;
  const Place place_;
  bool punted_ = false;
  bool passed_ = false;
  int epoll_ = -1;
  bool must_poll_ = false;  // a port has no descriptors
  const PortSet* set_ = nullptr;
  std::atomic<const PortSet*> next_{nullptr};
  std::atomic<const PortSet*> in_use_{nullptr};
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<const PortSet>> sets_;  // control's: the newest last
  Outcome outcome_;
  rte_mbuf* answers_[kBurst];  // made, not yet in the ledger; PacketMeta: network
  unsigned answers_waiting_ = 0;
  WorkerCounters counters_;
  LatencyHistogram latency_;
};

}  // namespace orrery::dataplane
