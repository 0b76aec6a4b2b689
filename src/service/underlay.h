// The local ends of the underlay: a kernel socket per usable local address, and the DPDK ports with
// the addresses of their mirrors, kept up to date with the host's interfaces. Lives on the control
// thread. Source: docs/protocol/12-local-service.md section 1.
#pragma once

#include <memory>
#include <vector>

#include "control/node.h"
#include "dataplane/eal.h"
#include "service/config.h"
#include "service/underlay_port.h"
#include "tap/netlink.h"
#include "tap/socket_port.h"

namespace orrery::service {

class Underlay {
 public:
  /// `workers`: as many sockets for each address.
  Underlay(const Config& config, tap::Netlink& netlink, const dataplane::Pools& pools,
           unsigned workers)
      : config_(config), netlink_(netlink), pools_(pools), workers_(workers) {}

  void set_ports(std::vector<std::unique_ptr<UnderlayPort>> ports) { ports_ = std::move(ports); }

  /// Binds what is new and lets go of what is gone. True when anything changed, also the MTU of a
  /// link.
  Result<bool> refresh();
  /// Every turn: next hops of the DPDK ports. True when addresses changed and refresh() is due.
  bool serve(Millis now);
  /// When serve() wants to be called without its descriptors having said so.
  [[nodiscard]] Millis next_deadline(Millis otherwise) const;
  [[nodiscard]] std::vector<int> fds() const;
  /// The kernel sockets as a port of each worker; empty: there are none.
  [[nodiscard]] dataplane::PortQueues sockets() const;

  [[nodiscard]] const std::vector<std::unique_ptr<UnderlayPort>>& ports() const { return ports_; }

  [[nodiscard]] std::vector<control::LocalEndpoint> endpoints() const;
  /// Local sockets of one address family, for datagrams that go out from all.
  [[nodiscard]] std::vector<fib::LocalSocket> sockets_of(std::uint8_t family) const;

  /// Addresses that could not be bound at the last refresh, for the log.
  [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

 private:
  [[nodiscard]] bool takes(const tap::InterfaceAddress& address) const;

  const Config& config_;
  tap::Netlink& netlink_;
  dataplane::Pools pools_;
  const unsigned workers_;

  struct BoundAddress {
    tap::SharedSockets sockets;  // [worker]
    std::uint16_t mtu = 0;       // of its link when last looked at

    [[nodiscard]] const tap::LocalAddress& local() const { return sockets.front()->local(); }

    [[nodiscard]] bool serves(const tap::LocalAddress& now) const {
      return sockets.front()->serves(now);
    }
  };

  std::vector<BoundAddress> bound_;
  std::vector<std::unique_ptr<UnderlayPort>> ports_;
  std::vector<std::string> failures_;
  fib::LocalSocket next_id_ = 1;
};

}  // namespace orrery::service
