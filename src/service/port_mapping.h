// Asks the routers of this host's networks (NAT-PMP, UPnP IGD) to let the node's UDP port through,
// so that peers behind other NATs reach it directly.
//
// A thread of its own, since both libraries wait: for a router that answers late, or never. It
// looks for routers after a minute, and then more and more rarely, until one gives a mapping,
// renews it at half of its life, takes it back at a clean exit if that is quick, and tells of every
// change. What a router says is a claim:
// the address is named to peers, who probe it like any other. IPv4 alone: IPv6 has no NAT to open,
// and its firewalls learn from what the node sends.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "wire/endpoint.h"

namespace orrery::service {

class PortMapping {
 public:
  /// Called by the thread with all external endpoints that are mapped now, when they changed.
  using Changed = std::function<void(const std::vector<wire::Endpoint>&)>;
  /// A line for the log.
  using Say = std::function<void(const std::string&)>;

  PortMapping(std::uint16_t udp_port, Changed changed, Say say);
  /// Waits a second at most for a mapping to be taken back; a thread that waits for a router for
  /// longer is left to itself, and calls nobody any more. REQUIRES: what `changed` calls returns.
  ~PortMapping();
  PortMapping(const PortMapping&) = delete;
  PortMapping& operator=(const PortMapping&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace orrery::service
