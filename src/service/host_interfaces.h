// The host's interfaces of joined networks: a TAP each, with the addresses, routes and MTU that
// control asks for. Lives on the control thread. Source: docs/protocol/12-local-service.md sections
// 2, 3.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "control/effects.h"
#include "dataplane/eal.h"
#include "tap/netlink.h"
#include "tap/tap_port.h"

namespace orrery::service {

class HostInterfaces {
 public:
  HostInterfaces(tap::Netlink& netlink, const dataplane::Pools& pools)
      : netlink_(netlink), pools_(pools) {}

  /// Networks without a TAP (their LAN ports are all the host sees of them).
  void set_without_tap(wire::NetworkId network) { without_tap_[network] = true; }

  /// Makes, changes or removes the interface. True when the set of ports changed. The error is what
  /// the API shows.
  Result<bool> configure(const control::ConfigurePort& wanted);
  /// Multicast groups that the host has joined: MACs and the resolution groups of its addresses.
  [[nodiscard]] std::vector<wire::MulticastGroup> subscriptions(wire::NetworkId network);
  [[nodiscard]] std::string device_of(wire::NetworkId network) const;
  [[nodiscard]] std::vector<std::shared_ptr<dataplane::FramePort>> ports() const;

 private:
  struct Host {
    std::shared_ptr<tap::TapPort> port;
    control::ConfigurePort applied;  // addresses and routes that are in place
  };

  Result<void> apply(Host& host, const control::ConfigurePort& wanted);

  tap::Netlink& netlink_;
  dataplane::Pools pools_;
  std::map<wire::NetworkId, Host> hosts_;
  std::map<wire::NetworkId, bool> without_tap_;
};

}  // namespace orrery::service
