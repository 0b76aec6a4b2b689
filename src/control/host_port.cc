#include "control/host_port.h"

#include <algorithm>

namespace orrery::control {
namespace {

bool permitted(const wire::Endpoint& item, const NetworkSettings& settings) {
  if (!settings.allow_managed) return false;
  const auto& within = settings.allow_managed_within;
  if (!within.empty() && std::none_of(within.begin(), within.end(), [&](const wire::Endpoint& network) {
        return network.port <= item.port && wire::contains(network, item);
      })) {
    return false;
  }
  if (item.port == 0) return settings.allow_default;
  switch (wire::scope_of(item)) {
    case wire::IpScope::kNone:
    case wire::IpScope::kMulticast:
    case wire::IpScope::kLoopback:
    case wire::IpScope::kLinkLocal:
      return false;
    case wire::IpScope::kGlobal:
      return settings.allow_global;
    default:
      return true;
  }
}

/// The network part of an address: bits beyond the prefix cleared.
wire::Endpoint masked(const wire::Endpoint& ip) {
  wire::Endpoint network = ip;
  for (std::size_t bit = ip.port; bit < ip.ip_size() * 8; ++bit) {
    network.ip[bit / 8] &= static_cast<std::uint8_t>(~(0x80u >> (bit % 8)));
  }
  return network;
}

}  // namespace

ConfigurePort host_port(const wire::NetworkConfig& config, const NetworkSettings& settings) {
  ConfigurePort port;
  port.network = config.network;
  port.mac = wire::mac_of(config.issued_to, config.network);
  port.mtu = config.mtu;
  for (const wire::Endpoint& ip : config.static_ips) {
    if (ip && permitted(ip, settings)) port.addresses.push_back(ip);
  }
  const auto has_family = [&](std::uint8_t family) {
    return std::any_of(port.addresses.begin(), port.addresses.end(), [&](const auto& a) { return a.family == family; });
  };
  for (const wire::Route& route : config.routes) {
    if (!route.target || !permitted(route.target, settings) || !has_family(route.target.family)) continue;
    const bool own_via = std::any_of(config.static_ips.begin(), config.static_ips.end(),
                                     [&](const auto& ip) { return route.via && ip.same_ip(route.via); });
    const bool implied = !route.via && std::any_of(port.addresses.begin(), port.addresses.end(), [&](const auto& ip) {
      return ip.port == route.target.port && masked(ip).same_ip(masked(route.target));
    });
    if (own_via || implied) continue;
    ConfigurePort::Route r{masked(route.target), route.via, route.metric};
    if (r.target.port != 0) {
      port.routes.push_back(r);
      continue;
    }
    // A default route goes in as two halves, so that it never replaces the host's own.
    r.target = r.target.with_port(1);
    port.routes.push_back(r);
    r.target.ip[0] = 0x80;
    port.routes.push_back(r);
  }
  return port;
}

}  // namespace orrery::control
