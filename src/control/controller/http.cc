#include "control/controller/http.h"

#include "control/controller/json_text.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::string_view kAnyId = "______";

/// Takes `prefix` off the front of `path`.
bool strip(std::string_view& path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::optional<ApiPath> parse_api_path(std::string_view path) {
  ApiPath parsed;
  parsed.unstable = strip(path, "/unstable");
  if (!strip(path, "/controller")) return std::nullopt;
  if (path.empty()) return parsed;
  if (!strip(path, "/network")) return std::nullopt;
  parsed.kind = ApiPath::Kind::kNetworks;
  if (path.empty()) return parsed;
  if (!strip(path, "/") || path.size() < 16) return std::nullopt;
  const std::string_view id = path.substr(0, 16);
  path.remove_prefix(16);
  if (id.ends_with(kAnyId)) {
    const auto address = wire::parse_address(id.substr(0, 10));
    if (!address || !path.empty()) return std::nullopt;
    parsed.kind = ApiPath::Kind::kNewNetwork;
    parsed.member = *address;
    return parsed;
  }
  const auto network = wire::parse_network_id(id);
  if (!network || !*network) return std::nullopt;
  parsed.network = *network;
  parsed.kind = ApiPath::Kind::kNetwork;
  if (path.empty()) return parsed;
  if (!strip(path, "/member")) return std::nullopt;
  parsed.kind = ApiPath::Kind::kMembers;
  if (path.empty()) return parsed;
  if (!strip(path, "/")) return std::nullopt;
  const auto member = wire::parse_address(path);
  if (!member || member->is_reserved()) return std::nullopt;
  parsed.member = *member;
  parsed.kind = ApiPath::Kind::kMember;
  return parsed;
}

std::optional<json> parse_api_body(std::string_view body) {
  auto parsed = parse_json(body);
  if (parsed && !parsed->is_object()) *parsed = json::object();
  return parsed;
}

HttpAnswer json_answer(const json& value) {
  return {200, json_text(value)};
}

HttpAnswer empty_answer(int status) {
  return {status, {}};
}

HttpAnswer bad_body(std::string_view description) {
  const json error = {{"error", 500}, {"description", description}};
  return {500, json_text(error)};
}

}  // namespace orrery::control
