// The seams inside control: what the node (VL1) calls in the joined networks (VL2) and in a
// controller.
#pragma once

#include <vector>

#include "control/effects.h"
#include "control/incoming.h"
#include "control/transport.h"
#include "fib/event.h"

namespace orrery::control {

/// Joined networks: handles the VL2 verbs and the host's frames. Implemented by `Networks`
/// (control/network.h).
class NetworkRole {
 public:
  virtual ~NetworkRole() = default;

  /// Verbs 0x06, 0x07, 0x09..0x0e, and OK/ERROR in answer to them (`answered` set for OKs we
  /// expected; for ERROR `answered` may be null). Returns how it ended. Called for MULTICAST_LIKE
  /// and GATHER also when we are only a root.
  virtual Handled on_packet(Now now, const Incoming& in, const Answered* answered,
                            Effects& out) = 0;
  /// A frame from the host side of a network that no worker could finish.
  virtual void on_frame(Now now, wire::NetworkId network, Bytes ethernet_frame, Effects& out) = 0;
  virtual void on_event(Now now, const fib::Event& event, Effects& out) = 0;
  /// An identity became known: packets waiting for it are run again by the node itself.
  virtual void on_identity(Now now, const wire::Identity& identity, Effects& out) = 0;
  virtual void tick(Now now, Effects& out) = 0;
  [[nodiscard]] virtual Millis next_deadline() const = 0;

  /// Managed addresses on joined networks: never a path (docs/protocol/04-paths-and-roots.md
  /// section 9, rule 4).
  [[nodiscard]] virtual bool is_managed_ip(const wire::Endpoint& ip) const = 0;
  /// Nodes that must be kept in contact (anchors, replicators).
  [[nodiscard]] virtual std::vector<wire::Address> always_contact() const = 0;
};

/// A network controller. Implemented by `Controller` (control/controller/controller.h).
class ControllerRole {
 public:
  virtual ~ControllerRole() = default;

  /// NETWORK_CONFIG_REQUEST from another node (`in`), already decoded as far as the network id.
  /// Answers go out by Transport::send with OK or ERROR in the payload.
  virtual void on_config_request(Now now, const Incoming& in, Effects& out) = 0;

  /// Our own node asks our own controller; the configuration dictionary comes back, or an error
  /// code.
  struct LocalAnswer {
    wire::ErrorCode error = wire::ErrorCode::kNone;
    ByteVector dictionary;  // empty on error
  };

  virtual LocalAnswer on_local_request(Now now, wire::NetworkId network, Bytes metadata,
                                       Effects& out) = 0;
  /// Whether this node sent `member` a configuration of `network` within the last 180 s (multicast
  /// authorisation).
  [[nodiscard]] virtual bool recently_configured(Now now, wire::NetworkId network,
                                                 wire::Address member) const = 0;
  /// Owners of the address that `group` resolves, from our own assignments; empty if unknown.
  [[nodiscard]] virtual std::vector<wire::Address> owners_of(wire::NetworkId network,
                                                             wire::MulticastGroup group) const = 0;
  virtual void tick(Now now, Effects& out) = 0;
  [[nodiscard]] virtual Millis next_deadline() const = 0;
};

}  // namespace orrery::control
