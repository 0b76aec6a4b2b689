#include "control/port_plan.h"

#include <algorithm>

#include "wire/dictionary.h"

namespace orrery::control {

namespace {

bool is_default_route(const wire::Endpoint& target) {
  return target.port == 0 && target.same_ip(wire::Endpoint{target.family, {}, 0});
}

/// The network of an address: bits beyond the prefix cleared.
wire::Endpoint network_of(wire::Endpoint ip) {
  for (std::size_t bit = ip.port; bit < ip.ip_size() * 8; ++bit) {
    ip.ip[bit / 8] = static_cast<std::uint8_t>(ip.ip[bit / 8] & ~(0x80u >> (bit % 8)));
  }
  return ip;
}

bool usable_prefix(const wire::Endpoint& ip) {
  return ip && ip.port <= ip.ip_size() * 8;
}

wire::Rule rule(wire::RuleType type, std::initializer_list<std::uint8_t> data = {},
                std::uint8_t flags = 0) {
  wire::Rule r;
  r.type = static_cast<std::uint8_t>(static_cast<std::uint8_t>(type) | flags);
  std::copy(data.begin(), data.end(), r.data.begin());
  return r;
}

wire::NetworkConfig adhoc_base(wire::NetworkId id, wire::Address self, Millis wall) {
  wire::NetworkConfig config;
  config.network = id;
  config.timestamp = wall;
  config.credential_max_delta = 7'200'000;
  config.revision = 1;
  config.issued_to = self;
  config.flags = wire::NetworkConfig::kNdpEmulation;
  config.is_public = true;
  config.static_ips.push_back(wire::sixplane_address(self, id));
  return config;
}

}  // namespace

bool managed_allowed(const NetworkSettings& settings, const wire::Endpoint& item) {
  if (!settings.allow_managed || !usable_prefix(item)) return false;
  if (!settings.allow_managed_within.empty() &&
      std::none_of(settings.allow_managed_within.begin(), settings.allow_managed_within.end(),
                   [&](const wire::Endpoint& within) {
                     return within.family == item.family && within.port <= item.port &&
                            wire::contains(within, item);
                   })) {
    return false;
  }
  if (is_default_route(item)) return settings.allow_default;
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

ConfigurePort plan_port(wire::NetworkId id, wire::Mac mac, const wire::NetworkConfig* config,
                        const NetworkSettings& settings) {
  ConfigurePort port;
  port.network = id;
  port.mac = mac;
  if (config == nullptr) return port;
  port.mtu = config->mtu;
  for (const wire::Endpoint& ip : config->static_ips) {
    if (managed_allowed(settings, ip)) port.addresses.push_back(ip);
  }
  for (const wire::Route& route : config->routes) {
    if (!managed_allowed(settings, route.target)) continue;
    const auto any = [&](auto test) {
      return std::any_of(port.addresses.begin(), port.addresses.end(), test);
    };
    if (route.via && (route.via.family != route.target.family ||
                      any([&](const auto& own) { return own.same_ip(route.via); }))) {
      continue;
    }
    if (!any([&](const auto& own) { return own.family == route.target.family; })) continue;
    if (any([&](const auto& own) { return network_of(own) == network_of(route.target); })) continue;
    const wire::Endpoint via = route.via.with_port(0);
    if (!is_default_route(route.target)) {
      port.routes.push_back({network_of(route.target), via, route.metric});
      continue;
    }
    wire::Endpoint half{route.target.family, {}, 1};
    port.routes.push_back({half, via, route.metric});
    half.ip[0] = 0x80;
    port.routes.push_back({half, via, route.metric});
  }
  return port;
}

ByteVector encode_settings(const NetworkSettings& settings) {
  wire::DictionaryWriter w;
  if (settings.allow_managed && !settings.allow_managed_within.empty()) {
    std::string list;
    for (const wire::Endpoint& within : settings.allow_managed_within) {
      if (!list.empty()) list += ',';
      list += wire::to_string(within);
    }
    w.text("allowManaged", list);
  } else {
    w.boolean("allowManaged", settings.allow_managed);
  }
  w.boolean("allowGlobal", settings.allow_global);
  w.boolean("allowDefault", settings.allow_default);
  w.boolean("allowDNS", settings.allow_dns);
  ByteVector bytes = w.encoded();
  bytes.push_back('\n');
  return bytes;
}

bool adhoc_range_empty(wire::NetworkId id) {
  return (id.value & 0xffffff) == 0 && ((id.value >> 24) & 0xffff) < ((id.value >> 40) & 0xffff);
}

std::optional<wire::NetworkConfig> adhoc_config(wire::NetworkId id, wire::Address self,
                                                Millis wall) {
  using enum wire::RuleType;
  constexpr std::uint8_t kNot = 0x80, kOr = 0x40;
  if (!id.is_adhoc()) return std::nullopt;
  wire::NetworkConfig config = adhoc_base(id, self, wall);
  if ((id.value & 0xffffff) == 0) {
    const auto first = static_cast<std::uint16_t>(id.value >> 40);
    const auto last = static_cast<std::uint16_t>(id.value >> 24);
    if (last < first) return std::nullopt;
    const auto hi = [](std::uint16_t v) { return static_cast<std::uint8_t>(v >> 8); };
    const auto lo = [](std::uint16_t v) { return static_cast<std::uint8_t>(v); };
    config.rules = {
        rule(kMatchEthertype, {0x86, 0xdd}, kNot),
        rule(kActionDrop),
        rule(kMatchIpProtocol, {0x3a}),
        rule(kActionAccept),
        rule(kMatchIpProtocol, {0x11}),
        rule(kMatchIpProtocol, {0x06}, kOr),
        rule(kMatchIpDestPortRange, {hi(first), lo(first), hi(last), lo(last)}),
        rule(kActionAccept),
        rule(kMatchCharacteristics, {0, 0, 0, 0, 0, 0, 0, 0x02}, kNot),  // TCP_SYN
        rule(kActionAccept),
        rule(kMatchCharacteristics, {0, 0, 0, 0, 0, 0, 0, 0x02}),
        rule(kMatchCharacteristics, {0, 0, 0, 0, 0, 0, 0, 0x10}),  // TCP_ACK
        rule(kActionAccept),
        rule(kActionDrop),
    };
    const std::string digits = wire::to_string(id);
    config.name = "adhoc-" + digits.substr(2, 4) + "-" + digits.substr(6, 4);
    return config;
  }
  if ((id.value & 0xff) != 0x01) return std::nullopt;
  const auto octet = static_cast<std::uint8_t>(id.value >> 48);
  config.multicast_limit = 1024;
  config.static_ips.push_back(wire::Endpoint::v4(
      (std::uint32_t{octet} << 24) | static_cast<std::uint32_t>(self.value & 0xffffff), 8));
  const wire::Address hub{(id.value >> 8) & 0xffffffffffULL};
  if (hub) config.specialists.push_back({hub.value});
  config.rules = {rule(kActionAccept)};
  config.name = "adhoc-" + std::to_string(octet) + ".0.0.0";
  return config;
}

}  // namespace orrery::control
