// The controller's HTTP paths as pure functions: what a path names, and how answers are written.
// Source: docs/protocol/11-controller.md section 7; tests/vectors/controller_api.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace orrery::control {

/// What is left of a list of members that is longer than one turn of control may take.
struct MemberList {
  wire::NetworkId network;
  wire::Address after;   // the last one that has been told
  bool records = false;  // whole ones; else ids and revisions
};

struct HttpAnswer {
  int status = 200;
  std::string body;                     // JSON, or empty
  std::optional<MemberList> rest = {};  // the body goes on: Controller::go_on()
};

struct ApiPath {
  enum class Kind : std::uint8_t {
    kStatus,      // /controller
    kNetworks,    // /controller/network
    kNewNetwork,  // /controller/network/<10 hex>______
    kNetwork,     // /controller/network/<16 hex>
    kMembers,     // /controller/network/<16 hex>/member
    kMember,      // /controller/network/<16 hex>/member/<10 hex>
  };

  Kind kind = Kind::kStatus;
  bool unstable = false;  // under /unstable; only lists exist there
  wire::NetworkId network;
  wire::Address member;  // kMember; for kNewNetwork the address in the path
};

/// Nothing for a path that is not served. Digits may be of either case.
[[nodiscard]] std::optional<ApiPath> parse_api_path(std::string_view path);

/// The body of a POST: nothing unless it is JSON nested at most 64 deep. What is no object counts
/// as an empty one.
[[nodiscard]] std::optional<nlohmann::json> parse_api_body(std::string_view body);

[[nodiscard]] HttpAnswer json_answer(const nlohmann::json& value);
[[nodiscard]] HttpAnswer empty_answer(int status);
/// 500 with an error object, as stock answers bodies that it cannot use.
[[nodiscard]] HttpAnswer bad_body(std::string_view description);

}  // namespace orrery::control
