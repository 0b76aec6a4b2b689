#include "control/controller/http.h"

#include <algorithm>

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::size_t kMostDepth =
    64;  // copying and writing JSON recurse; no field is deeper than 5
constexpr std::string_view kAnyId = "______";

/// Whether brackets outside of strings nest deeper than kMostDepth. Says nothing about validity.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostDepth) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

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
  if (too_deep(body)) return std::nullopt;
  json parsed = json::parse(body, nullptr, false);
  if (parsed.is_discarded()) return std::nullopt;
  return parsed.is_object() ? std::move(parsed) : json::object();
}

HttpAnswer json_answer(const json& value) {
  return {200, value.dump(-1, ' ', false, json::error_handler_t::replace)};
}

HttpAnswer empty_answer(int status) {
  return {status, {}};
}

HttpAnswer bad_body(std::string_view description) {
  const json error = {{"error", 500}, {"description", description}};
  return {500, error.dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace orrery::control
