// The way out of a host that has no UDP: keeps a TCP connection to the configured relay while
// control wants one, and offers it to the node as one more local socket.
//
// Lives on the control thread and never waits there: the worker that owns the port connects, sends
// and receives (tap/tunnel_port.h). What fails is tried again, more and more rarely. A relay that
// would be reached through a network of ours is refused: the connection would carry itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/node.h"
#include "control/path.h"
#include "dataplane/eal.h"
#include "service/config.h"
#include "tap/tunnel_port.h"

namespace orrery::service {

class TcpFallback {
 public:
  static constexpr Millis kConnectWait = 10'000;
  static constexpr Millis kRetry = 5'000;  // after a failure, at first
  static constexpr Millis kMostRetry = 60'000;

  TcpFallback(const TcpFallbackConfig& config, const dataplane::Pools& pools)
      : config_(config), pools_(pools) {}

  struct Change {
    bool ports = false;    // queues() is another set
    bool sockets = false;  // endpoint() has come or gone
    std::string text;      // for the log; empty: nothing to say
  };

  /// Every turn. `wanted`: by control; `ours`: whether a local address is one of joined networks.
  Change serve(Millis now, bool wanted, const std::function<bool(const wire::Endpoint&)>& ours);
  [[nodiscard]] Millis next_deadline(Millis otherwise) const;

  /// The connection is there.
  [[nodiscard]] bool active() const { return endpoint_.has_value(); }

  /// As a local socket of the node, while it is active.
  [[nodiscard]] const std::optional<control::LocalEndpoint>& endpoint() const { return endpoint_; }

  /// One, or none.
  [[nodiscard]] dataplane::PortQueues queues() const;

 private:
  void open(Millis now, const std::function<bool(const wire::Endpoint&)>& ours, Change& change);
  void give_up(Millis now, const std::string& why, Change& change);

  const TcpFallbackConfig& config_;
  dataplane::Pools pools_;
  std::shared_ptr<tap::TunnelPort> port_;
  std::optional<control::LocalEndpoint> endpoint_;
  fib::LocalSocket next_id_ = control::kTunnelSocket;
  Millis opened_ = 0;
  Millis next_try_ = 0;
  Millis retry_ = kRetry;
  std::string said_;  // what the log knows
};

}  // namespace orrery::service
