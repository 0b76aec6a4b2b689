#include "control/controller/records.h"

#include <algorithm>
#include <map>
#include <set>

#include "control/controller/lenient.h"
#include "control/controller/rule_json.h"
#include "wire/network_config.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::size_t kMostElements = 16'384;  // longer arrays are cut

void fill(json& record, const char* key, json value) {
  if (!record.contains(key)) record[key] = std::move(value);
}

const json& field(const json& object, const char* key) {
  static const json kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

/// Each element that `clean` accepts, in order.
template <typename Clean>
json cleaned(const json& list, Clean clean) {
  json result = json::array();
  for (const json& entry : list) {
    if (result.size() >= kMostElements) break;
    if (json value = clean(entry); !value.is_null()) result.push_back(std::move(value));
  }
  return result;
}

json clean_route(const json& entry) {
  if (!entry.is_object() || !field(entry, "target").is_string()) return nullptr;
  const auto target = wire::parse_endpoint(field(entry, "target").get_ref<const std::string&>());
  if (!target || !*target || target->port > target->ip_size() * 8) return nullptr;
  json route = {{"target", wire::to_string(*target)}, {"via", nullptr}};
  if (const json& text = field(entry, "via"); text.is_string()) {
    const auto via = wire::parse_endpoint(text.get_ref<const std::string&>());
    if (via && via->family == target->family) route["via"] = wire::ip_to_string(*via);
  }
  return route;
}

json clean_pool(const json& entry) {
  if (!entry.is_object()) return nullptr;
  const auto first = wire::parse_endpoint(lenient_text(field(entry, "ipRangeStart"), ""));
  const auto last = wire::parse_endpoint(lenient_text(field(entry, "ipRangeEnd"), ""));
  if (!first || !last || !*first || first->family != last->family) return nullptr;
  return {{"ipRangeStart", wire::ip_to_string(*first)}, {"ipRangeEnd", wire::ip_to_string(*last)}};
}

json clean_rules(const json& list) {
  return rules_to_json(rules_from_json(list, kMostElements));
}

json clean_capability(const json& entry) {
  return {{"default", lenient_bool(field(entry, "default"), false)},
          {"rules", clean_rules(field(entry, "rules"))}};
}

json clean_tag(const json& entry) {
  const json& value = field(entry, "default");
  return {{"default", value.is_null() ? json() : json(lenient_u64(value, 0))}};
}

/// Objects by ascending id; the last of duplicates wins.
json cleaned_by_id(const json& list, json (*clean)(const json&)) {
  std::map<std::uint64_t, json> by_id;
  for (const json& entry : list) {
    if (!entry.is_object()) continue;
    const std::uint64_t id = lenient_u64(field(entry, "id"), 0);
    json value = clean(entry);
    value["id"] = id;
    by_id[id] = std::move(value);
  }
  json result = json::array();
  for (auto& [id, value] : by_id) {
    if (result.size() >= kMostElements) break;
    result.push_back(std::move(value));
  }
  return result;
}

json clean_v4_mode(const json& mode) {
  if (mode.is_string()) return {{"zt", mode == "zt"}};
  return {{"zt", mode.is_object() && lenient_bool(field(mode, "zt"), false)}};
}

json clean_v6_mode(const json& mode) {
  json result = json::object();
  const std::string words =
      "," + (mode.is_string() ? mode.get<std::string>() : std::string()) + ",";
  for (const std::string key : {"rfc4193", "zt", "6plane"}) {
    if (!mode.is_object()) {
      result[key] = words.find("," + key + ",") != std::string::npos;
    } else if (mode.contains(key)) {
      result[key] = lenient_bool(mode[key], false);  // modes not mentioned disappear
    }
  }
  return result;
}

/// As recorded: nothing usable gives null, what is no object the reference's default.
json clean_tokens(const json& tokens) {
  if (!tokens.is_object()) return json::array({nullptr});
  json result;
  for (const auto& [token, expiry] : tokens.items()) {
    if (expiry.is_number() && expiry >= 0) result[token] = expiry;
  }
  return result;
}

json clean_dns(const json& dns) {
  json result = {{"domain", field(dns, "domain")}};
  if (const json& servers = field(dns, "servers"); servers.is_array()) result["servers"] = servers;
  return result;
}

void apply_trace(json& record, const json& body) {
  if (body.contains("remoteTraceTarget")) {
    const std::string target = lenient_text(body["remoteTraceTarget"], "");
    record["remoteTraceTarget"] = target.size() == 10 ? json(target) : json();
  }
  // Recorded behaviour: a write that does not mention the level resets it.
  record["remoteTraceLevel"] = lenient_u64(field(body, "remoteTraceLevel"), 0);
}

}  // namespace

void fill_network(json& record, wire::NetworkId id, Millis wall) {
  record["id"] = record["nwid"] = wire::to_string(id);
  record["objtype"] = "network";
  fill(record, "name", "");
  fill(record, "private", true);
  fill(record, "creationTime", wall);
  fill(record, "enableBroadcast", true);
  fill(record, "multicastLimit", 32);
  fill(record, "mtu", wire::kMtuDefault);
  fill(record, "v4AssignMode", {{"zt", false}});
  fill(record, "v6AssignMode", {{"rfc4193", false}, {"zt", false}, {"6plane", false}});
  fill(record, "ipAssignmentPools", json::array());
  fill(record, "routes", json::array());
  fill(record, "rules", json::array({{{"not", false}, {"or", false}, {"type", "ACTION_ACCEPT"}}}));
  fill(record, "capabilities", json::array());
  fill(record, "tags", json::array());
  fill(record, "dns", json::array());
  fill(record, "authTokens", json::array({nullptr}));
  fill(record, "remoteTraceTarget", nullptr);
  fill(record, "remoteTraceLevel", 0);
  fill(record, "rulesSource", "");
  fill(record, "ssoEnabled", false);
  fill(record, "clientId", "");
  fill(record, "authorizationEndpoint", "");
}

void fill_member(json& record, wire::NetworkId network, wire::Address address, Millis wall) {
  record["id"] = record["address"] = wire::to_string(address);
  record["nwid"] = wire::to_string(network);
  record["objtype"] = "member";
  fill(record, "authorized", false);
  fill(record, "activeBridge", false);
  fill(record, "noAutoAssignIps", false);
  fill(record, "ssoExempt", false);
  for (const char* key : {"ipAssignments", "tags", "capabilities"})
    fill(record, key, json::array());
  fill(record, "creationTime", wall);
  for (const char* key : {"lastAuthorizedTime", "lastDeauthorizedTime", "authenticationExpiryTime",
                          "remoteTraceLevel"}) {
    fill(record, key, 0);
  }
  for (const char* key :
       {"lastAuthorizedCredentialType", "lastAuthorizedCredential", "remoteTraceTarget"}) {
    fill(record, key, nullptr);
  }
  for (const char* key : {"vMajor", "vMinor", "vRev", "vProto"}) fill(record, key, -1);
}

void apply_network_body(json& record, const json& body) {
  const auto is_array = [&](const char* key) { return field(body, key).is_array(); };
  if (body.contains("name")) record["name"] = lenient_text(body["name"], "");
  if (body.contains("private")) record["private"] = lenient_bool(body["private"], true);
  if (body.contains("enableBroadcast"))
    record["enableBroadcast"] = lenient_bool(body["enableBroadcast"], false);
  if (body.contains("multicastLimit"))
    record["multicastLimit"] = lenient_u64(body["multicastLimit"], 32);
  if (body.contains("mtu")) {
    // Cut to 32 bits before it is clamped, like the reference does.
    const auto mtu = static_cast<std::uint32_t>(lenient_u64(body["mtu"], wire::kMtuDefault));
    record["mtu"] = std::clamp<std::uint32_t>(mtu, wire::kMtuMin, wire::kMtuMax);
  }
  apply_trace(record, body);
  if (body.contains("v4AssignMode")) record["v4AssignMode"] = clean_v4_mode(body["v4AssignMode"]);
  if (body.contains("v6AssignMode")) record["v6AssignMode"] = clean_v6_mode(body["v6AssignMode"]);
  if (is_array("routes")) record["routes"] = cleaned(body["routes"], clean_route);
  if (is_array("ipAssignmentPools"))
    record["ipAssignmentPools"] = cleaned(body["ipAssignmentPools"], clean_pool);
  if (is_array("rules")) record["rules"] = clean_rules(body["rules"]);
  if (is_array("capabilities"))
    record["capabilities"] = cleaned_by_id(body["capabilities"], clean_capability);
  if (is_array("tags")) record["tags"] = cleaned_by_id(body["tags"], clean_tag);
  if (body.contains("authTokens")) record["authTokens"] = clean_tokens(body["authTokens"]);
  if (field(body, "dns").is_object()) record["dns"] = clean_dns(body["dns"]);
}

void apply_member_body(json& record, const json& body, Millis wall) {
  for (const char* key : {"activeBridge", "noAutoAssignIps"}) {
    if (body.contains(key)) record[key] = lenient_bool(body[key], false);
  }
  if (body.contains("authenticationExpiryTime")) {
    record["authenticationExpiryTime"] = lenient_u64(body["authenticationExpiryTime"], 0);
  }
  if (body.contains("name")) record["name"] = lenient_text(body["name"], "");
  apply_trace(record, body);
  if (body.contains("authorized")) {
    const bool wanted = lenient_bool(body["authorized"], false);
    if (wanted != lenient_bool(record["authorized"], false)) {
      record["authorized"] = wanted;
      record[wanted ? "lastAuthorizedTime" : "lastDeauthorizedTime"] = wall;
      if (wanted) {
        record["lastAuthorizedCredentialType"] = "api";
        record["lastAuthorizedCredential"] = nullptr;
      }
    }
  }
  if (field(body, "ipAssignments").is_array()) {
    record["ipAssignments"] = cleaned(body["ipAssignments"], [](const json& entry) -> json {
      const auto ip = wire::parse_endpoint(entry.get<std::string>());  // throws for what is no text
      return ip && *ip ? json(wire::ip_to_string(*ip)) : json();
    });
  }
  if (field(body, "tags").is_array()) {
    std::map<std::uint32_t, std::uint32_t> tags;
    for (const json& entry : body["tags"]) {
      if (!entry.is_array() || entry.size() != 2) continue;
      tags[static_cast<std::uint32_t>(lenient_u64(entry[0], 0))] =
          static_cast<std::uint32_t>(lenient_u64(entry[1], 0));
    }
    json list = json::array();
    for (const auto& [id, value] : tags) {
      if (list.size() < kMostElements) list.push_back({id, value});
    }
    record["tags"] = std::move(list);
  }
  if (field(body, "capabilities").is_array()) {
    std::set<std::uint64_t> ids;
    for (const json& entry : body["capabilities"]) {
      if (ids.size() < kMostElements) ids.insert(lenient_u64(entry, 0));
    }
    record["capabilities"] = ids;
  }
}

}  // namespace orrery::control
