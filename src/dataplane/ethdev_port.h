// The underlay over a queue of a DPDK device: outer Ethernet, IPv4 or IPv6 and UDP are taken off
// and put on here.
//
// It claims UDP to its local sockets (whole IP packets, no extension headers, no VLAN tag) and
// hands everything else to the kernel through a mirror: a TAP with the device's MAC and addresses,
// so that ARP, ND, ICMP, DHCP, fragmented datagrams and the host's own traffic go on working. What
// the kernel sends on the mirror goes out of the device.
//
// Control hands over an UnderlayView whole: local sockets, routes, neighbours, as the kernel knows
// them for the mirror, and a port on the kernel's sockets of the same local addresses. That one
// takes and sends what this one cannot: datagrams beyond the device's MTU, which the kernel
// fragments and reassembles, and datagrams whose next hop has no known MAC, which wait for the
// kernel's ARP or ND there. Such a next hop is also put on a list that control takes, resolves and
// answers with a new view. A worker owns a queue, and each queue has a view, a mirror and kernel
// sockets of its own. Weak spots: the outer UDP checksum is not verified (the packet's MAC
// decides); policy routing is not followed, only routes of the main table; no vdev has receive
// interrupts, so a worker with such a port polls.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "dataplane/eal.h"
#include "dataplane/ethdev.h"
#include "dataplane/port.h"
#include "dataplane/strays.h"
#include "wire/mac.h"

namespace orrery::dataplane {

/// What the kernel knows of the link. Immutable once handed over.
struct UnderlayView {
  struct Local {
    fib::LocalSocket id = 0;
    wire::Endpoint address;  // IP and UDP port
    friend bool operator==(const Local&, const Local&) = default;
  };

  struct Route {
    wire::Endpoint target;   // prefix length in the port field
    wire::Endpoint gateway;  // nil: on the link
    friend bool operator==(const Route&, const Route&) = default;
  };

  struct Neighbour {
    wire::Endpoint ip;  // port 0
    wire::Mac mac;
    mutable std::uint8_t used = 0;  // set by the worker, cleared by control; through atomic_ref

    friend bool operator==(const Neighbour& a, const Neighbour& b) {
      return a.ip == b.ip && a.mac == b.mac;
    }
  };

  std::vector<Local> locals;
  std::vector<Route> routes;          // longest prefix first
  std::vector<Neighbour> neighbours;  // ascending by ip
  std::shared_ptr<Port> kernel;       // the kernel's sockets of `locals`; null: none

  /// The node on the link that carries datagrams for `remote`, port 0; nil without a route.
  [[nodiscard]] wire::Endpoint next_hop(const wire::Endpoint& remote) const noexcept;
  /// Marks the neighbour as used; 0: unknown.
  [[nodiscard]] wire::Mac mac_of(const wire::Endpoint& next_hop) const noexcept;
  /// Whether the worker has sent to it since the last call.
  [[nodiscard]] static bool take_used(const Neighbour& neighbour) noexcept;

  friend bool operator==(const UnderlayView&, const UnderlayView&) = default;
};

/// Puts routes and neighbours into the order that lookups need.
void sort_view(UnderlayView& view);

/// Where a UDP payload lies in an Ethernet frame.
struct UdpDatagram {
  wire::Endpoint source;
  wire::Endpoint destination;
  std::uint16_t offset = 0;  // bytes before the payload
  std::uint16_t size = 0;    // bytes of payload
};

/// Nothing for everything that is not one whole UDP datagram right behind an IP header.
[[nodiscard]] std::optional<UdpDatagram> read_udp(Bytes frame);

class EthdevPort final : public Port {
 public:
  /// Attaches and starts the device, which stops with its last queue. `queues` of them, or as many
  /// as the device has (ethdev.h); by RSS all datagrams of one remote endpoint come in by one.
  static Result<std::vector<std::shared_ptr<EthdevPort>>> open(const std::string& device,
                                                               const Pools& pools,
                                                               std::uint16_t queues = 1);

  // --- control's side
  /// Before a worker has the port. Without a mirror unclaimed frames are dropped.
  void set_mirror(std::shared_ptr<FramePort> mirror) { mirror_ = std::move(mirror); }

  /// What the link carries, if that is less than the device says; before a worker has the port.
  void limit_mtu(std::uint16_t mtu) { mtu_ = std::min(mtu_, mtu); }

  [[nodiscard]] wire::Mac mac() const { return mac_; }

  /// Bytes of IP packet.
  [[nodiscard]] std::uint16_t mtu() const { return mtu_; }

  [[nodiscard]] const std::string& name() const { return device_; }

  void hand_over(std::unique_ptr<const UnderlayView> view);
  /// Next hops that datagrams wanted since the last call; may repeat.
  std::vector<wire::Endpoint> take_wanted();

  // --- the worker's side
  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override;
  void send(rte_mbuf** in, std::uint16_t n) noexcept override;
  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override;

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

 private:
  static constexpr std::uint64_t kWanted = 64;  // next hops waiting for control; more are forgotten

  /// After so many turns with packets the kernel's side gets one, too.
  static constexpr unsigned kBusyTurns = 16;

  /// How a datagram goes on.
  enum class Way : std::uint8_t { kDevice, kKernel, kNowhere };

  /// The headers in front of all datagrams from one socket to one endpoint, but for their lengths,
  /// id and checksums. Of one view.
  struct Outer {
    fib::LocalSocket socket = 0;
    wire::Endpoint remote;  // nil: nothing prepared
    std::uint8_t ttl = 0;
    Way way = Way::kNowhere;
    std::uint8_t ip_size = 0;      // bytes
    std::uint32_t header_sum = 0;  // of the IPv4 header as it stands here
    std::uint32_t pseudo_sum = 0;  // of UDP's pseudo-header without the length
    std::array<std::uint8_t, 14 + 40 + 8> bytes{};
  };

  EthdevPort(std::string device, std::shared_ptr<const EthdevQueues> started,
             std::shared_ptr<Strays> strays, std::uint16_t queue, wire::Mac mac, std::uint16_t mtu);

  [[nodiscard]] const UnderlayView& view() const noexcept;
  void from_mirror() noexcept;
  [[nodiscard]] bool claim(rte_mbuf* m, const UnderlayView& view) noexcept;
  void prepare(Outer& outer, const PacketMeta& meta, const UnderlayView& view) noexcept;
  /// `outer` stays as long as datagrams go the same way.
  [[nodiscard]] Way put_outer(rte_mbuf* m, const UnderlayView& view, Outer& outer) noexcept;
  std::uint16_t from_kernel(const UnderlayView& view, rte_mbuf** out, std::uint16_t n) noexcept;
  void to_kernel(const UnderlayView& view, rte_mbuf** in, std::uint16_t n) noexcept;
  void want(const wire::Endpoint& next_hop) noexcept;
  void transmit(rte_mbuf** in, std::uint16_t n) noexcept;

  std::string device_;
  std::shared_ptr<const EthdevQueues> started_;
  std::shared_ptr<Strays> strays_;  // null: there is no other queue
  std::uint16_t queue_;
  wire::Mac mac_;
  std::uint16_t mtu_;  // bytes of IP packet
  std::shared_ptr<FramePort> mirror_;
  std::uint16_t ip_id_ = 0;
  unsigned busy_turns_ = 0;
  PortCounters counters_;
  std::atomic<const UnderlayView*> next_{nullptr};
  mutable std::atomic<const UnderlayView*> in_use_{nullptr};
  std::vector<std::unique_ptr<const UnderlayView>> views_;  // control's: the newest last
  std::array<wire::Endpoint, kWanted> wanted_{};            // [n % kWanted]
  std::atomic<std::uint64_t> wanted_in_{0};                 // the worker's
  std::atomic<std::uint64_t> wanted_out_{0};                // control's
};

}  // namespace orrery::dataplane
