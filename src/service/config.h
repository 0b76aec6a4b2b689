// Configuration of the daemon: command line over orrery.toml over local.conf over defaults.
//
// A bad orrery.toml yields one line that names file, line, key and expectation. Unknown keys are
// errors with the nearest known key. Keys of local.conf that Orrery does not know are reported as
// warnings and ignored.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/node.h"
#include "control/rate_rules.h"
#include "control/tcp_relay.h"
#include "dataplane/lan_port.h"
#include "dataplane/lan_switch.h"
#include "wire/address.h"
#include "wire/endpoint.h"

namespace orrery::service {

/// [[underlay.port]]: a DPDK port that carries ZeroTier's UDP, mirrored to the kernel.
struct UnderlayPortConfig {
  std::string where;                      // file and line, for error texts
  std::string device;                     // PCI address or vdev string
  std::string mirror;                     // name of the kernel TAP
  std::vector<wire::Endpoint> addresses;  // put on the mirror; prefix length in the port field
  wire::Endpoint gateway;                 // nil: none
};

/// [[bridge]]: a LAN port joined to a network.
struct BridgeConfig {
  std::string where;  // file and line, for error texts
  std::string device;
  wire::NetworkId network;
  dataplane::LanVlans vlans;
  bool vlan_rules = false;  // the network's rules match on VLAN tags
  bool tap = false;         // also give the host a TAP in this network
  dataplane::LanPortOptions options;
};

/// [[limit]]: of members of a network.
struct LimitConfig {
  wire::NetworkId network;
  control::RateRule rule;
};

/// [tcp_fallback]: a TCP connection to a relay, where UDP does not pass.
struct TcpFallbackConfig {
  wire::Endpoint relay;  // nil: none is known
  bool enabled = true;
  bool forced = false;  // at once, and nothing by UDP
  std::string where;    // file and line, for error texts

  [[nodiscard]] bool usable() const { return enabled && relay; }

  [[nodiscard]] bool replaces_udp() const { return usable() && forced; }
};

/// [tcp_relay]: the other end of that, for others.
struct TcpRelayConfig {
  std::string where;                   // file and line, for error texts
  std::vector<wire::Endpoint> listen;  // empty: none is offered
  control::TcpRelayLimits limits;
};

struct Config {
  std::string home = "/var/lib/orrery";
  std::uint16_t port = 9993;              // UDP, and TCP of the API
  std::vector<wire::NetworkId> networks;  // joined at start, beside those of networks.d

  std::string lcores = "auto";              // or a list such as "2-5"
  std::string lcores_where;                 // file and line of the list, for error texts
  bool idle_poll = false;                   // never sleep
  std::optional<std::uint64_t> replay_ids;  // packets remembered against replay; 0: none
  std::uint64_t relay_rate = 100'000;       // datagrams a second for one endpoint; 0: no limit

  bool sockets = true;
  std::optional<bool> port_mapping;              // routers are asked to let the port through
  std::vector<std::string> interface_blacklist;  // prefixes of interface names not to bind
  std::vector<wire::Endpoint> bind;              // bind exactly these addresses; empty: all usable
  std::vector<UnderlayPortConfig> ports;
  std::vector<BridgeConfig> bridges;
  std::vector<LimitConfig> limits;
  dataplane::LanTable::Limits stations;  // per LAN port or remote bridge, and per network

  TcpFallbackConfig tcp_fallback;
  TcpRelayConfig tcp_relay;

  std::size_t root_peers = 262'144;                    // that a root remembers, 1 KB each
  std::vector<wire::Address> preferred_roots;          // used while one of them is alive
  std::vector<wire::Address> excluded_roots;           // never used
  bool strict = false;                                 // two roots must agree on a key
  std::map<wire::Address, control::Fingerprint> pins;  // beside those of pins.json, and first
  control::ExtendedHello extended_hello = control::ExtendedHello::kOff;

  bool controller = false;
  std::string store = "sqlite:orrery.sqlite";

  bool capture = false;    // packets may be captured by the API
  bool pdump = false;      // shared DPDK configuration, so that dpdk-pdump can attach
  bool telemetry = false;  // DPDK's telemetry socket
  bool low_bandwidth = false;
  control::BondOptions bonds;
  bool port_prediction = false;  // guess at ports of NATs that count
  bool clamp_mss = true;         // of SYNs that enter networks
  bool nested = false;           // paths may lead through own networks
  std::string log_level = "info";

  std::vector<control::PhysicalNetwork> physical;
  std::vector<std::pair<wire::Address, wire::Endpoint>> hints;

  std::vector<std::string> eal_arguments;
  std::vector<std::string> warnings;  // for the log, once it is open

  /// A gateway is asked by others, and has its own address on the outside: unless told to, it does
  /// not.
  [[nodiscard]] bool maps_port() const {
    return !tcp_fallback.replaces_udp() &&
           port_mapping.value_or(sockets && ports.empty() && bridges.empty());
  }
};

/// Values that only the command line gives.
struct CommandLine {
  std::optional<std::string> home;
  std::optional<std::string> config_file;
  std::optional<std::uint16_t> port;
  std::vector<std::string> eal_arguments;
};

/// Reads local.conf and orrery.toml of the home directory, or the file of --config.
Result<Config> load_config(const CommandLine& command_line);

/// Parsers by themselves, for tests and fuzzing. `name` stands in error texts.
Result<void> apply_toml(std::string_view text, const std::string& name, Config& config);
/// "FILE:LINE: key "KEY": TEXT", the one form of a complaint.
[[nodiscard]] std::string complaint(const std::string& where, const std::string& key,
                                    const std::string& text);
Result<void> apply_local_conf(std::string_view text, const std::string& name, Config& config);

}  // namespace orrery::service
