// One [[underlay.port]]: a DPDK device, its kernel mirror, and what keeps the two in step. Where
// the device has several queues, each worker has one, with a queue of the mirror and sockets of its
// own.
//
// The mirror is a TAP with the device's MAC and MTU; configured addresses and the gateway are put
// on it, and whatever else the kernel puts there (DHCP, router advertisements) counts as much.
// Every usable address of the mirror is a local socket of the port, and one kernel socket of the
// same address and number takes and sends what must be fragmented. Routes and neighbours are read
// when the kernel announces a change; next hops that the worker misses or uses are resolved by the
// kernel. Lives on the control thread; mirror and device are gone when it and its worker are.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/time.h"
#include "control/node.h"
#include "dataplane/ethdev_port.h"
#include "service/config.h"
#include "service/quiet_interface.h"
#include "tap/netlink.h"
#include "tap/next_hops.h"
#include "tap/socket_port.h"
#include "tap/tap_port.h"

namespace orrery::service {

/// What could not be had, and the key that asked for it ("underlay.port.mirror").
struct PortError {
  std::string key;
  Error error;
};

class UnderlayPort {
 public:
  /// Attaches the device and makes the mirror. `udp_port` is the node's; `workers`: so many queues,
  /// or as many as device and mirror have.
  static std::expected<std::unique_ptr<UnderlayPort>, PortError> open(
      const UnderlayPortConfig& config, std::uint16_t udp_port, tap::Netlink& netlink,
      const dataplane::Pools& pools, std::uint16_t workers);

  /// Follows the mirror's addresses. New sockets are numbered from `next_id`. True when the set of
  /// local sockets changed. Addresses whose kernel socket could not be had go to `failures`.
  bool set_addresses(const std::vector<wire::Endpoint>& addresses, fib::LocalSocket& next_id,
                     std::vector<std::string>& failures);
  /// Every turn: takes the kernel's announcements and the worker's wishes, hands over a new view
  /// when something changed. True when addresses changed somewhere.
  bool serve(Millis now);
  [[nodiscard]] Millis next_deadline() const;

  /// Readable when serve() has something to do.
  [[nodiscard]] int fd() const { return hops_.fd(); }

  [[nodiscard]] const std::string& mirror() const { return mirror_->name(); }

  [[nodiscard]] const std::string& device() const { return queues_.front()->name(); }

  /// Bytes of IP packet.
  [[nodiscard]] std::uint16_t mtu() const { return queues_.front()->mtu(); }

  /// One a worker, or one.
  [[nodiscard]] const std::vector<std::shared_ptr<dataplane::EthdevPort>>& queues() const {
    return queues_;
  }

  [[nodiscard]] std::vector<control::LocalEndpoint> endpoints() const;

 private:
  UnderlayPort(std::uint16_t udp_port, const dataplane::Pools& pools,
               std::vector<std::shared_ptr<dataplane::EthdevPort>> queues,
               std::shared_ptr<tap::Tap> mirror, tap::NextHops hops,
               std::unique_ptr<QuietInterface> quiet)
      : udp_port_(udp_port),
        pools_(pools),
        quiet_(std::move(quiet)),
        queues_(std::move(queues)),
        mirror_(std::move(mirror)),
        hops_(std::move(hops)),
        views_(queues_.size()) {}

  void read_hops();
  void resolve(Millis now);
  void hand_over();
  void hand_over(std::size_t queue);

  std::uint16_t udp_port_;
  dataplane::Pools pools_;
  std::unique_ptr<QuietInterface> quiet_;
  std::vector<std::shared_ptr<dataplane::EthdevPort>> queues_;
  std::shared_ptr<tap::Tap> mirror_;
  tap::NextHops hops_;
  std::vector<dataplane::UnderlayView::Local> locals_;
  std::vector<tap::SharedSockets> sockets_;  // by address
  dataplane::PortQueues kernel_;             // [queue]
  std::vector<dataplane::UnderlayView::Route> routes_;
  std::vector<dataplane::UnderlayView::Neighbour> neighbours_;
  std::vector<const dataplane::UnderlayView*> views_;  // [queue], the newest; null: none yet
  std::map<wire::Endpoint, Millis> asked_;             // next hops being looked for, by when asked
  bool stale_ = true;                                  // the kernel announced a change
  Millis next_read_ = 0;
  Millis next_probe_ = 0;
  Millis served_ = 0;
};

}  // namespace orrery::service
