// How one worker and control talk, and a worker of a team with the first: rings and two eventfds.
// Single producer, single consumer each.
//
//   raw      worker -> control   datagrams that nobody has authenticated (PacketMeta::message)
//   punt     worker -> control   everything else that the worker does not finish: strangers who
//                                fill the other ring do not stand in its way
//   inject   control -> worker   datagrams to send (PacketMeta: socket, remote, ttl)
//   deliver  control -> worker   Ethernet frames for the host's side of a network (PacketMeta:
//                                network)
//   pass     worker -> first     datagrams and frames that leave by a port of which only the first
//   pass_frames                  worker has a queue; as in `inject` and `deliver`
//
// Whoever pushes wakes the other side by its eventfd; a side that is busy polling clears it in
// passing.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/rings.h"

namespace orrery::dataplane {

class ControlLink {
 public:
  static constexpr unsigned kRingSize = 4096;

  ControlLink() = default;
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;
  ~ControlLink();

  Result<void> open(unsigned worker);

  SpscRing<rte_mbuf> raw;
  SpscRing<rte_mbuf> punt;
  SpscRing<rte_mbuf> inject;
  SpscRing<rte_mbuf> deliver;
  SpscRing<rte_mbuf> pass;
  SpscRing<rte_mbuf> pass_frames;

  [[nodiscard]] int control_fd() const { return control_fd_; }

  [[nodiscard]] int worker_fd() const { return worker_fd_; }

  void wake_control() const noexcept { signal(control_fd_); }

  void wake_worker() const noexcept { signal(worker_fd_); }

  static void signal(int fd) noexcept;
  static void clear(int fd) noexcept;

 private:
  int control_fd_ = -1;
  int worker_fd_ = -1;
};

}  // namespace orrery::dataplane
