// The loop of one worker lcore: bursts from its ports through the stages, and what control sends in
// between.
//
// A worker never locks, allocates or logs. It waits only when idle: after a run of empty turns it
// sleeps on the descriptors of its ports and its link (offline to RCU first); a port without
// descriptors is polled with a back-off sleep of at most 500 us. The set of ports is handed over
// whole by control and adopted between two turns.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/control_link.h"
#include "dataplane/counters.h"
#include "dataplane/eal.h"
#include "dataplane/fast_path.h"
#include "dataplane/lan_table.h"
#include "dataplane/port.h"

namespace orrery::dataplane {

/// Ports of one worker. Immutable once handed over; ports are shared so that a set can be replaced
/// while one is in use.
struct PortSet {
  std::vector<std::shared_ptr<Port>> ports;
  std::vector<std::shared_ptr<FramePort>> frame_ports;  // a network with several is a small switch
};

class Worker {
 public:
  static constexpr std::uint16_t kBurst = 64;

  Worker(const Pools& pools, ControlLink& link, FastPath* fast_path, bool idle_poll);
  ~Worker();

  /// Runs until stop(); the calling thread becomes the worker.
  void run() noexcept;
  void stop() noexcept;

  // --- control's side
  void hand_over(std::unique_ptr<const PortSet> set);
  /// Frees sets that the worker has left behind.
  void reap();

  [[nodiscard]] const WorkerCounters& counters() const { return counters_; }

 private:
  unsigned turn() noexcept;
  void adopt() noexcept;
  void wait(unsigned empty_turns) noexcept;
  unsigned from_ports() noexcept;
  unsigned from_hosts() noexcept;
  unsigned from_control() noexcept;
  void punt(rte_mbuf* m, Message message) noexcept;
  void drop(rte_mbuf* m, Drop reason) noexcept;
  void finish() noexcept;
  [[nodiscard]] bool is_switch(std::uint64_t network) const noexcept;
  unsigned switch_locally(int port, rte_mbuf** frames, unsigned n) noexcept;
  void send_copy(int port, const rte_mbuf* frame) noexcept;
  void transmit(rte_mbuf** packets, unsigned n) noexcept;
  void deliver(rte_mbuf** frames, unsigned n) noexcept;

  Pools pools_;
  ControlLink& link_;
  FastPath* fast_path_;
  bool idle_poll_;
  bool punted_ = false;
  int epoll_ = -1;
  bool must_poll_ = false;  // a port has no descriptors
  const PortSet* set_ = nullptr;
  std::atomic<const PortSet*> next_{nullptr};
  std::atomic<const PortSet*> in_use_{nullptr};
  std::atomic<bool> stop_{false};
  std::vector<std::unique_ptr<const PortSet>> sets_;  // control's: the newest last
  LanTable lan_;
  Outcome outcome_;
  WorkerCounters counters_;
};

}  // namespace orrery::dataplane
