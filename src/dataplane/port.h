// Where packets enter and leave a worker. Two kinds, each one (port, queue), each owned by one
// worker:
//
//   Port       the underlay: bursts of mbufs that hold UDP payloads, with their endpoint in
//              PacketMeta
//   FramePort  the host's side of one network: bursts of mbufs that hold Ethernet frames
//
// Nothing above this header can tell a kernel socket from a NIC, or a TAP from a LAN port. All
// mbufs are single-segment with at least RTE_PKTMBUF_HEADROOM of headroom when received. Calls
// never block and never throw.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/packet_meta.h"

namespace orrery::dataplane {

class Port {
 public:
  virtual ~Port() = default;
  /// Up to `n` datagrams; meta_of(m).remote and .socket are set.
  virtual std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept = 0;
  /// Sends and takes ownership of all `n` (those that cannot go are freed and counted). Consecutive
  /// mbufs of one destination and size may be handed to the kernel or NIC as one segmented send.
  virtual void send(rte_mbuf** in, std::uint16_t n) noexcept = 0;
  /// Whether datagrams of this local socket belong to this port.
  [[nodiscard]] virtual bool owns(fib::LocalSocket socket) const noexcept = 0;
  /// File descriptors that become readable when there is something to receive; empty: must be
  /// polled.
  [[nodiscard]] virtual std::vector<int> wait_fds() const = 0;
  [[nodiscard]] virtual const PortCounters& counters() const noexcept = 0;
};

class FramePort {
 public:
  virtual ~FramePort() = default;
  /// The network whose frames these are.
  [[nodiscard]] virtual wire::NetworkId network() const noexcept = 0;
  /// Up to `n` Ethernet frames from the host or LAN, each at most the network's MTU + 14 bytes,
  /// checksums complete.
  virtual std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept = 0;
  /// Delivers and takes ownership of all `n`. Frames of one TCP flow may be merged into one
  /// segment.
  virtual void send(rte_mbuf** in, std::uint16_t n) noexcept = 0;
  [[nodiscard]] virtual std::vector<int> wait_fds() const = 0;
  [[nodiscard]] virtual const PortCounters& counters() const noexcept = 0;

  /// A LAN port: stations with MACs of their own are behind it.
  [[nodiscard]] virtual bool is_lan() const noexcept { return false; }
};

/// The queues of one port: one a worker, or one, which is the first worker's.
using PortQueues = std::vector<std::shared_ptr<Port>>;
using FramePortQueues = std::vector<std::shared_ptr<FramePort>>;

}  // namespace orrery::dataplane
