// Networks and members as typed values: what deciding and issuing need of the JSON records, read
// once per change of a record and not once per request. Values that do not fit count as their
// defaults.
// Source: docs/protocol/11-controller.md sections 3, 4.
#pragma once

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "wire/network_config.h"

namespace orrery::control {

struct AddressPool {
  wire::Endpoint first, last;  // same family
};

struct CapabilityView {
  bool by_default = false;
  std::vector<wire::Rule> rules;  // at most wire::kMaxCapabilityRules
};

struct NetworkView {
  bool is_private = true;
  bool broadcast = true;
  bool rfc4193 = false, sixplane = false;     // derived IPv6 addresses
  bool assign_v4 = false, assign_v6 = false;  // from the pools
  bool sso = false;
  std::string name;
  std::uint64_t revision = 0;
  std::uint64_t multicast_limit = 32;
  std::uint64_t max_delta = 1'800'000;  // ms
  std::uint16_t mtu = wire::kMtuDefault;
  wire::Address trace_target;
  std::uint64_t trace_level = 0;
  std::vector<wire::Route> routes;  // all valid ones; a configuration takes 128
  std::vector<AddressPool> pools;
  std::vector<wire::Rule> rules;
  std::map<wire::Address, std::uint64_t>
      roles;  // of wire::Specialist: anchors, replicators, relays
  std::map<std::uint32_t, CapabilityView> capabilities;
  std::map<std::uint32_t, std::uint32_t> default_tags;
  std::map<std::string, std::uint64_t, std::less<>> tokens;  // -> expiry, wall ms; 0: never
  std::string dns_domain;
  std::vector<wire::Endpoint> dns_servers;

  [[nodiscard]] bool is_replicator(wire::Address address) const {
    const auto it = roles.find(address);
    return it != roles.end() && (it->second & wire::Specialist::kReplicator) != 0;
  }

  /// Longest prefix among the routes that contain `ip`; nothing if none does.
  [[nodiscard]] std::optional<std::uint16_t> prefix_of(const wire::Endpoint& ip) const;
};

struct MemberView {
  bool authorized = false;
  bool active_bridge = false;
  bool no_auto_assign = false;
  bool sso_exempt = false;
  bool candidate = false;  // see registry.h
  std::uint64_t revision = 0;
  std::int64_t authentication_expiry = 0;
  wire::Address trace_target;
  std::uint64_t trace_level = 0;
  std::uint64_t protocol = 0;       // as its last request had it; 0: unknown
  std::string identity;             // text; empty: not seen yet
  std::vector<wire::Endpoint> ips;  // assigned, port 0, in the record's order
  std::map<std::uint32_t, std::uint32_t> tags;
  std::vector<std::uint32_t> capabilities;
  std::array<std::int64_t, 4> version{-1, -1, -1, -1};  // major, minor, revision, protocol
};

[[nodiscard]] NetworkView view_network(const nlohmann::json& record);
[[nodiscard]] MemberView view_member(const nlohmann::json& record);

}  // namespace orrery::control
