#include "control/controller/api_v1_records.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "control/controller/json_text.h"
#include "control/controller/lenient.h"
#include "control/controller/records.h"
#include "control/controller/rule_json.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr const char* kWindow = "certificateTimeoutWindowSize";
constexpr std::array kNetworkExtras = {"rulesSource", kWindow, "ssoEnabled", "clientId",
                                       "authorizationEndpoint"};
constexpr std::array kRoles = {"anchors", "replicators", "relays"};  // not there: nobody
constexpr std::array kV6Modes = {"rfc4193", "zt", "6plane"};

/// Fields of a rule that may be left out: they have a default.
const std::set<std::string>& optional_in_rules() {
  static const std::set<std::string> kOptional = {"not",    "or",       "flags",
                                                  "length", "icmpCode", "end"};
  return kOptional;
}

std::string wrong_ip(const std::string& text) {
  const auto ip = wire::parse_endpoint(text);
  return ip && *ip && text.find('/') == std::string::npos ? "" : "expected an IP address";
}

std::string wrong_prefix(const std::string& text) {
  const auto ip = wire::parse_endpoint(text);
  const bool fits =
      ip && *ip && text.find('/') != std::string::npos && ip->port <= ip->ip_size() * 8;
  return fits ? "" : "expected an IP address with a prefix length, such as 10.0.0.0/24";
}

std::string wrong_url(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const bool fits = (text.starts_with("http://") || text.starts_with("https://")) &&
                    text.size() > scheme + 3 && text[scheme + 3] != '/' &&
                    std::all_of(text.begin(), text.end(), [](char c) {
                      return c > ' ' && static_cast<unsigned char>(c) < 0x7f;
                    });
  return fits ? "" : "expected a URL that starts with http:// or https://";
}

/// Of one rule in the form of the API.
std::optional<Complaint> complaint_about_rule(const json& entry, const std::string& path) {
  const auto rule = rule_from_json(entry);
  if (!rule) return Complaint{path_to(path, "type"), "rules of this type cannot be set"};
  const json rendered = rule_to_json(*rule);
  const std::string type = entry["type"];
  for (const auto& [key, value] : entry.items()) {
    const bool harmless = (key == "not" || key == "or") && value == false;
    if (!rendered.contains(key) && !harmless)
      return Complaint{path_to(path, key), "a rule " + type + " has no such field"};
  }
  for (const auto& [key, value] : rendered.items()) {
    if (!entry.contains(key) && !optional_in_rules().contains(key))
      return Complaint{path_to(path, key), "a rule " + type + " needs this field"};
  }
  if (rendered.contains("ip")) {
    const auto given = wire::parse_endpoint(entry["ip"].get<std::string>());
    if (!given || (given->family == 6) != (type.find("IPV6") != std::string::npos))
      return Complaint{path_to(path, "ip"), "expected an address of the family of " + type};
  }
  if (entry.contains("mask") && entry["mask"].is_string()) {
    const auto digits = entry["mask"].get<std::string>();
    if (digits.empty() || digits.size() > 16 || type != "MATCH_CHARACTERISTICS" ||
        !std::all_of(digits.begin(), digits.end(), [](char c) { return hex_digit(c) >= 0; }))
      return Complaint{
          path_to(path, "mask"),
          "expected a number" +
              std::string(type == "MATCH_CHARACTERISTICS" ? ", or up to 16 hex digits" : "")};
  }
  return std::nullopt;
}

std::optional<Complaint> complaint_about_rules(const json& rules, const std::string& path) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (auto found = complaint_about_rule(rules[i], path_to(path, i))) return found;
  }
  return std::nullopt;
}

std::optional<Complaint> complaint_about_ids(const json& list, const std::string& path) {
  std::set<json> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!seen.insert(list[i]["id"]).second)
      return Complaint{path_to(path_to(path, i), "id"), "this id stands twice in the list"};
  }
  return std::nullopt;
}

std::optional<Complaint> complaint_about_route(const json& route, const std::string& path) {
  const auto target = *wire::parse_endpoint(route["target"].get<std::string>());
  wire::Endpoint base = target;
  for (std::size_t bit = target.port; bit < target.ip_size() * 8; ++bit)
    base.ip[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
  if (!(base == target)) {
    return Complaint{path_to(path, "target"),
                     "has bits set behind its prefix; expected " + wire::to_string(base)};
  }
  if (!route.contains("via") || route["via"].is_null()) return std::nullopt;
  if (wire::parse_endpoint(route["via"].get<std::string>())->family != target.family)
    return Complaint{path_to(path, "via"), "expected an address of the target's family"};
  return std::nullopt;
}

std::optional<Complaint> complaint_about_pool(const json& pool, const std::string& path) {
  const auto first = *wire::parse_endpoint(pool["ipRangeStart"].get<std::string>());
  const auto last = *wire::parse_endpoint(pool["ipRangeEnd"].get<std::string>());
  if (first.family != last.family)
    return Complaint{path_to(path, "ipRangeEnd"), "expected an address of the start's family"};
  if (last.ip < first.ip)
    return Complaint{path_to(path, "ipRangeEnd"), "expected an address not before the start"};
  return std::nullopt;
}

void copy_fields(json& to, const json& from, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (from.contains(name)) to[name] = from[name];
  }
}

}  // namespace

std::map<std::string, JsonSchema::Format> api_formats() {
  return {{"zt-address",
           [](const std::string& text) {
             const auto address = wire::parse_address(text);
             return std::string(address && !address->is_reserved() ? "" : "expected 10 hex digits");
           }},
          {"zt-network",
           [](const std::string& text) {
             const auto id = wire::parse_network_id(text);
             return std::string(id && *id ? "" : "expected 16 hex digits");
           }},
          {"ip", wrong_ip},
          {"ip-prefix", wrong_prefix},
          {"mac",
           [](const std::string& text) {
             return std::string(wire::parse_mac(text) ? "" : "expected a MAC address");
           }},
          {"http-url", wrong_url}};
}

ApiAnswer api_answer(int status, const json& body, const std::string& etag) {
  return {status, json_text(body), etag, {}};
}

ApiAnswer api_error(int status, const std::string& message, const std::string& path) {
  return api_answer(
      status,
      {{"error",
        {{"status", status}, {"message", message}, {"path", path.empty() ? json() : json(path)}}}});
}

std::string etag_of(const json& record) {
  const auto number = [&](const char* key) {
    return std::to_string(record.contains(key) ? lenient_u64(record[key], 0) : 0);
  };
  return "\"" + number("creationTime") + "-" + number("revision") + "\"";
}

bool names_etag(std::string_view field, const std::string& etag) {
  while (!field.empty()) {
    const std::size_t comma = field.find(',');
    std::string_view one = field.substr(0, comma);
    field.remove_prefix(comma == std::string_view::npos ? field.size() : comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == etag) return true;
  }
  return false;
}

json api_network(const NetworkEntry& net, bool secrets) {
  const json& record = net.record;
  json shown = json::object();
  copy_fields(shown, record,
              {"id",
               "name",
               "private",
               "creationTime",
               "revision",
               "enableBroadcast",
               "multicastLimit",
               "mtu",
               "v4AssignMode",
               "v6AssignMode",
               "ipAssignmentPools",
               "routes",
               "rules",
               "rulesSource",
               "capabilities",
               "tags",
               "remoteTraceTarget",
               "remoteTraceLevel",
               "ssoEnabled",
               "clientId",
               "authorizationEndpoint"});
  for (const char* role : kRoles) shown[role] = record.value(role, json::array());
  for (const char* mode : kV6Modes) {
    if (!shown["v6AssignMode"].contains(mode)) shown["v6AssignMode"][mode] = false;
  }
  const json dns = record.value("dns", json());
  shown["dns"] = dns.is_object() ? dns : json();
  const json tokens = record.value("authTokens", json());
  shown["authTokens"] = secrets && tokens.is_object() ? tokens : json();
  shown["certificateTimeoutWindowSize"] = net.view->max_delta;
  shown["members"] = {{"total", net.members.size()}, {"authorized", net.authorized}};
  return shown;
}

json api_member(wire::NetworkId network, const RegisteredMember& member, Now now) {
  const json& record = member.record;
  json shown = {{"network", wire::to_string(network)}};
  copy_fields(shown, record,
              {"id", "name", "authorized", "activeBridge", "noAutoAssignIps", "ipAssignments",
               "tags", "capabilities", "ssoExempt", "authenticationExpiryTime", "remoteTraceTarget",
               "remoteTraceLevel", "creationTime", "revision", "lastAuthorizedTime",
               "lastDeauthorizedTime", "lastAuthorizedCredentialType"});
  shown["identity"] = record.value("identity", json());
  const auto& v = member.view.version;
  shown["version"] =
      v[0] < 0
          ? json()
          : json(std::to_string(v[0]) + "." + std::to_string(v[1]) + "." + std::to_string(v[2]));
  shown["protocol"] = v[3] < 0 ? json() : json(v[3]);
  shown["live"] = {
      {"online", member.online(now.mono, Controller::kOnline)},
      {"lastSeen",
       member.last_request == 0 ? json() : json(now.wall - (now.mono - member.last_request))},
      {"configured", member.last_config != 0}};
  return shown;
}

bool has_name_part(const json& record, const std::string& part) {
  const std::string name = record.contains("name") ? lenient_text(record["name"], "") : "";
  return std::search(name.begin(), name.end(), part.begin(), part.end(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) ==
                  std::tolower(static_cast<unsigned char>(b));
         }) != name.end();
}

std::optional<Complaint> complaint_about_network(const json& fields) {
  const auto each = [&](const char* key, auto complaint_about) -> std::optional<Complaint> {
    if (!fields.contains(key)) return std::nullopt;
    const std::string path = path_to("$", key);
    for (std::size_t i = 0; i < fields[key].size(); ++i) {
      if (auto found = complaint_about(fields[key][i], path_to(path, i))) return found;
    }
    return std::nullopt;
  };
  if (auto found = each("routes", complaint_about_route)) return found;
  if (auto found = each("ipAssignmentPools", complaint_about_pool)) return found;
  if (auto found = each("rules", complaint_about_rule)) return found;
  if (auto found = each("capabilities", [](const json& capability, const std::string& path) {
        return complaint_about_rules(capability["rules"], path_to(path, "rules"));
      }))
    return found;
  for (const char* key : {"capabilities", "tags"}) {
    if (!fields.contains(key)) continue;
    if (auto found = complaint_about_ids(fields[key], path_to("$", key))) return found;
  }
  return std::nullopt;
}

void apply_network_fields(json& record, const json& fields) {
  json stock = fields;
  if (stock.contains("v6AssignMode")) {
    for (const char* mode : kV6Modes) {
      if (!stock["v6AssignMode"].contains(mode)) stock["v6AssignMode"][mode] = false;
    }
  }
  // The stock form resets what a body does not mention.
  if (!stock.contains("remoteTraceLevel"))
    stock["remoteTraceLevel"] = record.value("remoteTraceLevel", json(0));
  apply_network_body(record, stock);
  // Not there, and as it is without: that is no change.
  const bool window =
      record.contains(kWindow) || fields.value(kWindow, json()) != NetworkView{}.max_delta;
  for (const char* key : kNetworkExtras) {
    if (fields.contains(key) && (window || std::string_view(key) != kWindow))
      record[key] = fields[key];
  }
  for (const char* role : kRoles) {
    if (!fields.contains(role)) continue;
    record.erase(role);
    if (!fields[role].empty()) record[role] = fields[role];
  }
}

void apply_member_fields(json& record, const json& fields, Millis wall) {
  json stock = fields;
  if (!stock.contains("remoteTraceLevel"))
    stock["remoteTraceLevel"] = record.value("remoteTraceLevel", json(0));
  apply_member_body(record, stock, wall);
  if (fields.contains("ssoExempt")) record["ssoExempt"] = fields["ssoExempt"];
}

}  // namespace orrery::control
