// Texts of values that both files of the configuration have: orrery.toml and local.conf.
#pragma once

#include <optional>
#include <string>

#include "control/bond.h"
#include "wire/endpoint.h"

namespace orrery::service {

/// "198.51.100.0/24"; its length stands in the port. Nothing for any other text.
inline std::optional<wire::Endpoint> prefix(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || value.find('/') == std::string::npos ||
      parsed->port > parsed->ip_size() * 8) {
    return std::nullopt;
  }
  return parsed;
}

/// An address without a length. Nothing for any other text.
inline std::optional<wire::Endpoint> plain_ip(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || value.find('/') != std::string::npos) return std::nullopt;
  return parsed;
}

/// What a bond's policy is called; nothing for those that are not offered here.
inline std::optional<control::BondPolicy> bond_policy(const std::string& value) {
  using enum control::BondPolicy;
  for (const control::BondPolicy policy : {kNone, kActiveBackup, kBalanceXor}) {
    if (value == name_of(policy)) return policy;
  }
  return std::nullopt;
}

inline std::optional<control::BondReselect> bond_reselect(const std::string& value) {
  using enum control::BondReselect;
  if (value == "failure") return kFailure;
  if (value == "better" || value == "optimize") return kBetter;
  if (value == "always") return kAlways;
  return std::nullopt;
}

/// "1122334455=active-backup".
inline std::optional<std::pair<wire::Address, control::BondPolicy>> parse_bond(
    const std::string& value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string::npos) return std::nullopt;
  const auto address = wire::parse_address(value.substr(0, equals));
  const auto policy = bond_policy(value.substr(equals + 1));
  if (!address || !policy) return std::nullopt;
  return std::pair(*address, *policy);
}

/// An address and a port, "198.51.100.1/443". Nothing for any other text.
inline std::optional<wire::Endpoint> address_and_port(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || parsed->port == 0 || value.find('/') == std::string::npos)
    return std::nullopt;
  return parsed;
}

}  // namespace orrery::service
