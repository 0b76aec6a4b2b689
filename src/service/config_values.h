// Texts of values that both files of the configuration have: orrery.toml and local.conf.
#pragma once

#include <optional>
#include <string>

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

/// An address and a port, "198.51.100.1/443". Nothing for any other text.
inline std::optional<wire::Endpoint> address_and_port(const std::string& value) {
  const auto parsed = wire::parse_endpoint(value);
  if (!parsed || !*parsed || parsed->port == 0 || value.find('/') == std::string::npos)
    return std::nullopt;
  return parsed;
}

}  // namespace orrery::service
