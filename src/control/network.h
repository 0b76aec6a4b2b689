// Joined networks: the state machine of each, its members and their credentials, frames, multicast.
// Source: docs/protocol/06, 07, 08, 10.
#pragma once

#include <memory>

#include "control/loop_guard.h"
#include "control/network_counters.h"
#include "control/rate_rules.h"
#include "control/roles.h"

namespace orrery::control {

/// Local permissions of one network (networks.d/<id>.local.conf).
struct NetworkSettings {
  bool allow_managed = true;
  std::vector<wire::Endpoint> allow_managed_within;  // empty: everywhere
  bool allow_global = false;
  bool allow_default = false;
  bool allow_dns = false;
};

enum class NetworkState : std::uint8_t {
  kRequestingConfiguration = 0,
  kOk = 1,
  kAccessDenied = 2,
  kNotFound = 3,
  kPortError = 4,
  kClientTooOld = 5,
  kAuthenticationRequired = 6,
};

/// What the API shows of one network.
struct NetworkStatus {
  wire::NetworkId id;
  wire::Mac mac;
  std::string name;
  NetworkState state = NetworkState::kRequestingConfiguration;
  bool is_public = false;
  std::uint16_t mtu = 2800;
  bool bridge = false;
  bool broadcast = false;
  std::uint64_t revision = 0;
  int port_error = 0;
  NetworkSettings settings;
  std::vector<wire::Endpoint> addresses;  // in configuration order, whether applied or not
  std::vector<ConfigurePort::Route> routes;
  std::vector<wire::MulticastGroup> subscriptions;
  std::size_t remote_stations = 0;    // behind other bridges
  std::vector<wire::Address> relays;  // of this network alone, as 1.16 names them; not used
  std::vector<LoopGuard::Status> lan_ports;
  std::string dns_domain;
  std::vector<wire::Endpoint> dns_servers;
};

class Networks final : public NetworkRole {
 public:
  /// `controller` may be null; `transport` must outlive this.
  Networks(Transport& transport, ControllerRole* controller);
  ~Networks() override;

  /// Whether SYNs that hosts send get the MSS that is worth sending; on by default.
  void set_clamp_mss(bool on);
  /// Whether datagrams of this node itself are refused as frames; they are, unless told.
  void set_refuse_nested(bool on);
  /// The network's rules see frames behind their VLAN tag, and match on it; before it is joined.
  void set_match_tags(wire::NetworkId id);
  /// Rate limits on the network's members; before it is joined.
  void set_rate_rules(wire::NetworkId id, std::vector<RateRule> rules);
  /// Numbers of the network's LAN ports; before it is joined.
  void set_lan_ports(wire::NetworkId id, std::vector<unsigned> ports);
  /// Most stations behind one remote bridge, and behind all of a network; of networks joined later.
  void set_station_limits(std::size_t per_bridge, std::size_t per_network);

  /// Joins (idempotent). `cached`: configuration dictionary from disk, may be empty.
  void join(Now now, wire::NetworkId id, const NetworkSettings& settings, Bytes cached,
            Effects& out);
  void leave(Now now, wire::NetworkId id, Effects& out);
  void set(Now now, wire::NetworkId id, const NetworkSettings& settings, Effects& out);
  /// What the operating system has joined on the interface, and the addresses configured on it.
  void on_subscriptions(Now now, wire::NetworkId id, std::vector<wire::MulticastGroup> groups,
                        Effects& out);
  /// The host interface could not be made (errno), or could again (0).
  void on_port_error(Now now, wire::NetworkId id, int error, Effects& out);
  /// Our own controller pushes to our own node.
  void on_local_config(Now now, wire::NetworkId id, Bytes dictionary, Effects& out);
  /// A probe of bridges, behind its Ethernet header: from a local port (0: the TAP), or from the
  /// network (LoopGuard::kOverlay).
  void on_bridge_probe(Now now, wire::NetworkId id, unsigned side, Bytes payload, Effects& out);
  [[nodiscard]] std::vector<NetworkStatus> list() const;
  /// What control has carried of the network's frames, or from and to one member, beside workers.
  [[nodiscard]] FrameCounts carried(wire::NetworkId id) const;
  [[nodiscard]] FrameCounts carried(wire::NetworkId id, wire::Address member) const;
  /// Drops and refusals by reason since start.
  [[nodiscard]] const NetworkCounters& counters() const;

  Handled on_packet(Now now, const Incoming& in, const Answered* answered, Effects& out) override;
  void on_frame(Now now, wire::NetworkId network, Bytes ethernet_frame, Effects& out) override;
  void on_event(Now now, const fib::Event& event, Effects& out) override;
  void on_identity(Now now, const wire::Identity& identity, Effects& out) override;
  void tick(Now now, Effects& out) override;
  [[nodiscard]] Millis next_deadline() const override;
  [[nodiscard]] bool is_managed_ip(const wire::Endpoint& ip) const override;
  [[nodiscard]] std::vector<wire::Address> always_contact() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::control
