// [[underlay.port]] and [[bridge]]: what belongs to an interface or a DPDK port.
#include <cctype>

#include "dataplane/ethdev.h"
#include "dataplane/lan_switch.h"
#include "service/config_tables.h"
#include "service/config_values.h"

namespace orrery::service {
namespace {

constexpr std::int64_t kMostPps = 100'000'000;

std::optional<wire::Mac> station(const std::string& value) {
  const auto mac = wire::parse_mac(value);
  return !mac || !*mac || mac->is_multicast() ? std::nullopt : mac;
}

/// An interface name as the kernel takes it: 1 to 15 characters, no space, slash or colon.
bool is_interface_name(const std::string& name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '%';
         });
}

/// Whether `ip` is on the link that `address` (with its prefix length) stands for.
bool on_link(const wire::Endpoint& address, const wire::Endpoint& ip) {
  wire::Endpoint network = address;
  for (std::size_t bit = address.port; bit < address.ip_size() * 8; ++bit)
    network.ip[bit / 8] = static_cast<std::uint8_t>(network.ip[bit / 8] & ~(0x80u >> (bit % 8)));
  return wire::contains(network, ip);
}

bool is_host_address(const wire::Endpoint& e) {
  const wire::IpScope scope = wire::scope_of(e);
  return scope != wire::IpScope::kNone && scope != wire::IpScope::kMulticast &&
         scope != wire::IpScope::kLoopback;
}

/// The same vdev or PCI device under the same name cannot be two things.
std::optional<Error> claimed(const std::string& where, const std::string& key,
                             const std::string& device, const Config& config, bool bridge) {
  const std::string device_name = dataplane::device_name_of(device);
  for (const UnderlayPortConfig& other : config.ports) {
    if (dataplane::device_name_of(other.device) != device_name) continue;
    return complain(where, key, "a device other than \"" + other.device + "\" of " + other.where);
  }
  for (const BridgeConfig& other : config.bridges) {
    if (dataplane::device_name_of(other.device) != device_name) continue;
    if (bridge && other.device == device) continue;
    return complain(where, key, "a device other than \"" + other.device + "\" of " + other.where);
  }
  return std::nullopt;
}

Result<void> check_port(const UnderlayPortConfig& port, const Config& config) {
  const auto refuse = [&](const std::string& key, const std::string& expectation) {
    return std::unexpected(*complain(port.where, "underlay.port." + key, expectation));
  };
  if (port.device.empty() || port.mirror.empty()) {
    return failure(Errc::kInvalid,
                   port.where + ": [[underlay.port]] needs the keys \"device\" and \"mirror\"");
  }
  if (!is_interface_name(port.mirror))
    return refuse("mirror", "an interface name of at most 15 characters");
  if (auto error = claimed(port.where, "underlay.port.device", port.device, config, false))
    return std::unexpected(*error);
  for (const UnderlayPortConfig& other : config.ports) {
    if (other.mirror == port.mirror)
      return refuse("mirror", "a name other than \"" + port.mirror + "\" of " + other.where);
  }
  for (const wire::Endpoint& address : port.addresses) {
    if (!is_host_address(address) || address.port == 0) {
      return refuse("addresses", "addresses of a host such as \"198.51.100.2/24\", not \"" +
                                     wire::to_string(address) + "\"");
    }
  }
  if (!port.gateway) return {};
  const bool reachable =
      std::any_of(port.addresses.begin(), port.addresses.end(), [&](const wire::Endpoint& address) {
        return on_link(address, port.gateway) && !address.same_ip(port.gateway);
      });
  if (!is_host_address(port.gateway) ||
      (!reachable &&
       !(port.gateway.family == 6 && wire::scope_of(port.gateway) == wire::IpScope::kLinkLocal))) {
    return refuse("gateway", "another host on the link of one of \"addresses\", not \"" +
                                 wire::ip_to_string(port.gateway) + "\"");
  }
  return {};
}

Result<void> check_bridge(const BridgeConfig& bridge, const Config& config) {
  if (bridge.device.empty() || !bridge.network) {
    return failure(Errc::kInvalid,
                   bridge.where + ": [[bridge]] needs the keys \"device\" and \"network\"");
  }
  if (auto error = claimed(bridge.where, "bridge.device", bridge.device, config, true))
    return std::unexpected(*error);
  const auto of_network =
      std::count_if(config.bridges.begin(), config.bridges.end(),
                    [&](const BridgeConfig& other) { return other.network == bridge.network; });
  if (of_network + 1 >= static_cast<std::ptrdiff_t>(dataplane::LanSwitch::kMaxPorts)) {
    return std::unexpected(*complain(bridge.where, "bridge.network",
                                     "at most 63 LAN ports of one network, the TAP being another"));
  }
  const auto& fixed = bridge.options.fixed;
  for (auto mac = fixed.begin(); mac != fixed.end(); ++mac) {
    if (mac->first_octet() == wire::mac_first_octet(bridge.network)) {
      return std::unexpected(*complain(bridge.where, "bridge.static",
                                       "MACs that are no members' of the network (" +
                                           wire::to_string(*mac) + " begins like theirs)"));
    }
    const auto has = [&](const std::vector<wire::Mac>& list) {
      return std::find(list.begin(), list.end(), *mac) != list.end();
    };
    const bool repeated =
        std::find(fixed.begin(), mac, *mac) != mac ||
        std::any_of(config.bridges.begin(), config.bridges.end(), [&](const BridgeConfig& other) {
          return other.network == bridge.network && has(other.options.fixed);
        });
    if (repeated) {
      return std::unexpected(*complain(
          bridge.where, "bridge.static",
          "each MAC at one LAN port of a network (" + wire::to_string(*mac) + " is there twice)"));
    }
  }
  if (bridge.vlans.vlan != 0 && bridge.vlans.preserve_tags) {
    return std::unexpected(*complain(bridge.where, "bridge.vlan_tags",
                                     "\"drop\" beside \"vlan\", whose tag is taken off"));
  }
  for (const BridgeConfig& other : config.bridges) {
    if (other.device != bridge.device || other.vlans.vlan != bridge.vlans.vlan) continue;
    return std::unexpected(
        *complain(bridge.where, "bridge.vlan",
                  "a VLAN of \"" + bridge.device + "\" other than that of " + other.where));
  }
  return {};
}

}  // namespace

Result<void> read_port(const toml::table& t, const std::string& name, Config& config) {
  UnderlayPortConfig port;
  std::vector<wire::Endpoint> gateways;
  auto r =
      TableReader(name, "underlay.port")
          .key("device", text(port.device))
          .key("mirror", text(port.mirror))
          .key("addresses", list(port.addresses, prefix, "addresses such as \"198.51.100.2/24\""))
          .key("gateway",
               [&port](const toml::node& node) -> std::optional<std::string> {
                 const auto value = node.value_exact<std::string>();
                 const auto ip = value ? plain_ip(*value) : std::nullopt;
                 if (!ip) return "an IP address such as \"198.51.100.1\"";
                 port.gateway = *ip;
                 return std::nullopt;
               })
          .read(t);
  if (!r) return r;
  port.where = line_of(t, name);
  if (auto checked = check_port(port, config); !checked) return checked;
  config.ports.push_back(port);
  return {};
}

Result<void> read_bridge(const toml::table& t, const std::string& name, Config& config) {
  BridgeConfig bridge;
  std::string vlan_tags = "drop";
  auto r = TableReader(name, "bridge")
               .key("device", text(bridge.device))
               .key("network", network(bridge.network))
               .key("vlan", number(bridge.vlans.vlan, 1, 4094))
               .key("vlan_rules", flag(bridge.vlan_rules))
               .key("vlan_tags", choice(vlan_tags, {"drop", "preserve"}))
               .key("tap", flag(bridge.tap))
               .key("static", list(bridge.options.fixed, station,
                                   "MACs of stations such as \"52:54:00:12:34:56\""))
               .key("dhcp_guard", flag(bridge.options.dhcp_guard))
               .key("ra_guard", flag(bridge.options.ra_guard))
               .key("loop_guard", flag(bridge.options.loop_guard))
               .key("arp_nd_suppression", flag(bridge.options.arp_nd_suppression))
               .key("broadcast_pps", number(bridge.options.broadcast, 0, kMostPps))
               .key("multicast_pps", number(bridge.options.multicast, 0, kMostPps))
               .key("unknown_pps", number(bridge.options.unknown, 0, kMostPps))
               .read(t);
  if (!r) return r;
  bridge.where = line_of(t, name);
  bridge.vlans.preserve_tags = vlan_tags == "preserve";
  if (auto checked = check_bridge(bridge, config); !checked) return checked;
  config.bridges.push_back(bridge);
  return {};
}

}  // namespace orrery::service
