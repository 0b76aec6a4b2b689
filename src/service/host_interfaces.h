// The host's interfaces of joined networks: a TAP each, with the addresses, routes and MTU that
// control asks for. Lives on the control thread. Source: docs/protocol/12-local-service.md sections
// 2, 3.
//
// What the host refuses (an address, a route that it has itself) is reported and does not keep the
// rest from being applied. Routes that were there before are left alone, then and when the network
// is left. Operators may delete, rename or change an interface: resync() puts it back.
//
// A worker lets go of a port later than control does. A network that is left and joined again in
// the meantime gets the same device, so its name stays.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/effects.h"
#include "dataplane/eal.h"
#include "tap/netlink.h"
#include "tap/tap_port.h"

namespace orrery::service {

class HostInterfaces {
 public:
  /// Deleted or set down: in place again within two of these.
  static constexpr Millis kWatchInterval = 1'000;
  /// Addresses and routes are applied anew. Source: docs/protocol/12-local-service.md section 3.
  static constexpr Millis kSyncInterval = 30'000;

  struct Report {
    wire::NetworkId network;
    bool interface = true;  // there is one
    std::string text;       // for the log; empty: nothing to say
  };

  struct Change {
    bool ports_changed = false;  // ports() is another set: hand it to the worker
    std::vector<Report> reports;
  };

  /// `workers`: as many queues for each TAP.
  HostInterfaces(tap::Netlink& netlink, const dataplane::Pools& pools, unsigned workers)
      : netlink_(netlink), pools_(pools), workers_(workers) {}

  /// Networks without a TAP (their LAN ports are all the host sees of them).
  void set_without_tap(wire::NetworkId network) { without_tap_[network] = true; }

  /// Makes, changes or removes the interface; one report.
  Change configure(const control::ConfigurePort& wanted);
  /// At every turn of control: looks after the interfaces when it is time. Reports what it found.
  Change resync(Millis now);
  /// Multicast groups that the host has joined: MACs and the resolution groups of its addresses.
  [[nodiscard]] std::vector<wire::MulticastGroup> subscriptions(wire::NetworkId network);
  /// Name of the interface; empty when there is none.
  [[nodiscard]] std::string device_of(wire::NetworkId network) const;
  /// The queues of every TAP: one a worker, or one for the first.
  [[nodiscard]] std::vector<dataplane::FramePortQueues> ports() const;

 private:
  struct Host {
    std::shared_ptr<tap::Tap> port;  // null: could not be made, tried again by resync()
    control::ConfigurePort wanted;
    std::vector<wire::Endpoint> addresses;              // that we added
    std::vector<control::ConfigurePort::Route> routes;  // that we added
    std::string problems;                               // as reported last
  };

  /// How an interface differs from what was made.
  struct Fault {
    std::string text;     // empty: not at all
    bool gone = false;    // there is none of its name
    std::string renamed;  // its name now, if that is the reason
  };

  /// A device that control has let go of and a worker may still hold.
  struct Retired {
    std::weak_ptr<tap::Tap> port;
    wire::Mac mac;
  };

  Result<std::shared_ptr<tap::Tap>> open(const control::ConfigurePort& wanted);
  /// Makes the interface if there is none, and applies what is wanted. True: a new port.
  bool bring_up(Host& host);
  void apply(Host& host);
  void take_down(Host& host);
  [[nodiscard]] static Fault fault_of(const Host& host);

  tap::Netlink& netlink_;
  dataplane::Pools pools_;
  const unsigned workers_;
  std::map<wire::NetworkId, Host> hosts_;
  std::map<wire::NetworkId, Retired> retired_;
  std::map<wire::NetworkId, bool> without_tap_;
  Millis next_watch_ = 0;
  Millis next_sync_ = 0;
};

}  // namespace orrery::service
