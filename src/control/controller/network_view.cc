#include "control/controller/network_view.h"

#include <algorithm>

#include "control/controller/lenient.h"
#include "control/controller/rule_json.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxDeltaLeast = 300'000;
constexpr std::uint64_t kMaxDeltaMost = 7'200'000;
constexpr std::array kVersionFields = {"vMajor", "vMinor", "vRev", "vProto"};
/// Lists of a network that name who has a part in it.
constexpr std::array kRoles = {std::pair{"anchors", wire::Specialist::kAnchor},
                               std::pair{"replicators", wire::Specialist::kReplicator},
                               std::pair{"relays", wire::Specialist::kNetworkRelay}};
constexpr std::size_t kNameSize = 127;  // bytes of a name or search domain

const json& field(const json& record, const char* key) {
  static const json kNull;
  if (!record.is_object()) return kNull;
  const auto it = record.find(key);
  return it == record.end() ? kNull : *it;
}

const json& array_field(const json& record, const char* key) {
  static const json kNone = json::array();
  const json& value = field(record, key);
  return value.is_array() ? value : kNone;
}

/// An IP, with its number if there is one; nothing for what is no text or names none.
std::optional<wire::Endpoint> endpoint_of(const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto endpoint = wire::parse_endpoint(value.get_ref<const std::string&>());
  return endpoint && *endpoint ? endpoint : std::nullopt;
}

wire::Address trace_target_of(const json& record) {
  return wire::parse_address(lenient_text(field(record, "remoteTraceTarget"), ""))
      .value_or(wire::Address{});
}

std::uint32_t id_of(const json& value) {
  return static_cast<std::uint32_t>(lenient_u64(value, 0));
}

std::optional<wire::Route> route_of(const json& entry) {
  const auto target = endpoint_of(field(entry, "target"));
  if (!target || target->port > target->ip_size() * 8) return std::nullopt;
  wire::Route route{*target, {}, 0, 0};
  if (const auto via = endpoint_of(field(entry, "via")); via && via->family == target->family) {
    route.via = via->with_port(0);
  }
  return route;
}

std::optional<AddressPool> pool_of(const json& entry) {
  const auto first = endpoint_of(field(entry, "ipRangeStart"));
  const auto last = endpoint_of(field(entry, "ipRangeEnd"));
  if (!first || !last || first->family != last->family) return std::nullopt;
  return AddressPool{*first, *last};
}

}  // namespace

std::optional<std::uint16_t> NetworkView::prefix_of(const wire::Endpoint& ip) const {
  std::optional<std::uint16_t> longest;
  for (const wire::Route& route : routes) {
    if (wire::contains(route.target, ip) && (!longest || route.target.port > *longest))
      longest = route.target.port;
  }
  return longest;
}

NetworkView view_network(const json& record) {
  NetworkView v;
  v.is_private = lenient_bool(field(record, "private"), true);
  v.broadcast = lenient_bool(field(record, "enableBroadcast"), true);
  const json& v6 = field(record, "v6AssignMode");
  v.rfc4193 = lenient_bool(field(v6, "rfc4193"), false);
  v.sixplane = lenient_bool(field(v6, "6plane"), false);
  v.assign_v6 = lenient_bool(field(v6, "zt"), false);
  v.assign_v4 = lenient_bool(field(field(record, "v4AssignMode"), "zt"), false);
  v.sso = lenient_bool(field(record, "ssoEnabled"), false);
  v.name = lenient_text(field(record, "name"), "").substr(0, kNameSize);
  v.revision = lenient_u64(field(record, "revision"), 0);
  v.multicast_limit = lenient_u64(field(record, "multicastLimit"), 32);
  v.max_delta = std::clamp(lenient_u64(field(record, "certificateTimeoutWindowSize"), v.max_delta),
                           kMaxDeltaLeast, kMaxDeltaMost);
  v.mtu = static_cast<std::uint16_t>(std::clamp<std::uint64_t>(
      lenient_u64(field(record, "mtu"), wire::kMtuDefault), wire::kMtuMin, wire::kMtuMax));
  v.trace_target = trace_target_of(record);
  v.trace_level = lenient_u64(field(record, "remoteTraceLevel"), 0);
  for (const json& entry : array_field(record, "routes")) {
    if (const auto route = route_of(entry)) v.routes.push_back(*route);
  }
  for (const json& entry : array_field(record, "ipAssignmentPools")) {
    if (const auto pool = pool_of(entry)) v.pools.push_back(*pool);
  }
  v.rules = rules_from_json(field(record, "rules"), wire::kMaxRules);
  for (const auto& [key, role] : kRoles) {
    for (const json& entry : array_field(record, key)) {
      if (const auto address = wire::parse_address(lenient_text(entry, "")))
        v.roles[*address] |= role;
    }
  }
  for (const json& entry : array_field(record, "capabilities")) {
    v.capabilities[id_of(field(entry, "id"))] = {
        lenient_bool(field(entry, "default"), false),
        rules_from_json(field(entry, "rules"), wire::kMaxCapabilityRules)};
  }
  for (const json& entry : array_field(record, "tags")) {
    const json& value = field(entry, "default");
    if (value.is_number()) v.default_tags[id_of(field(entry, "id"))] = id_of(value);
  }
  if (const json& tokens = field(record, "authTokens"); tokens.is_object()) {
    for (const auto& [token, expiry] : tokens.items()) {
      if (expiry.is_number() && expiry >= 0) v.tokens[token] = lenient_u64(expiry, 0);
    }
  }
  const json& dns = field(record, "dns");
  v.dns_domain = lenient_text(field(dns, "domain"), "").substr(0, kNameSize);
  for (const json& entry : array_field(dns, "servers")) {
    if (v.dns_servers.size() >= wire::kMaxDnsServers) break;
    if (const auto server = endpoint_of(entry)) v.dns_servers.push_back(server->with_port(0));
  }
  return v;
}

MemberView view_member(const json& record) {
  MemberView v;
  v.authorized = lenient_bool(field(record, "authorized"), false);
  v.active_bridge = lenient_bool(field(record, "activeBridge"), false);
  v.no_auto_assign = lenient_bool(field(record, "noAutoAssignIps"), false);
  v.sso_exempt = lenient_bool(field(record, "ssoExempt"), false);
  v.authentication_expiry =
      static_cast<std::int64_t>(lenient_u64(field(record, "authenticationExpiryTime"), 0));
  v.trace_target = trace_target_of(record);
  v.trace_level = lenient_u64(field(record, "remoteTraceLevel"), 0);
  v.protocol = lenient_u64(field(record, "vProto"), 0);
  v.identity = lenient_text(field(record, "identity"), "");
  for (std::size_t i = 0; i < v.version.size(); ++i)
    v.version[i] = lenient_int(field(record, kVersionFields[i]), -1);
  v.revision = lenient_u64(field(record, "revision"), 0);
  v.candidate = !v.authorized && !v.identity.empty() && v.revision <= 1;
  for (const json& entry : array_field(record, "ipAssignments")) {
    if (const auto ip = endpoint_of(entry)) v.ips.push_back(ip->with_port(0));
  }
  for (const json& entry : array_field(record, "tags")) {
    if (entry.is_array() && entry.size() == 2) v.tags[id_of(entry[0])] = id_of(entry[1]);
  }
  for (const json& entry : array_field(record, "capabilities")) {
    const std::uint32_t id = id_of(entry);
    if (std::find(v.capabilities.begin(), v.capabilities.end(), id) == v.capabilities.end())
      v.capabilities.push_back(id);
  }
  return v;
}

}  // namespace orrery::control
