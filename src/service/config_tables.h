// Tables of orrery.toml that have a file of their own: how one of each is read and checked. `name`
// stands in error texts.
#pragma once

#include "service/toml_reader.h"

namespace orrery::service {

// config_ports.cc
Result<void> read_port(const toml::table& t, const std::string& name, Config& config);
Result<void> read_bridge(const toml::table& t, const std::string& name, Config& config);

// config_paths.cc
Result<void> read_limit(const toml::table& t, const std::string& name, Config& config);
Result<void> read_bond(const toml::table& t, const std::string& name, Config& config);
Result<void> read_tcp_fallback(const toml::table& t, const std::string& name, Config& config);
Result<void> read_tcp_relay(const toml::table& t, const std::string& name, Config& config);

}  // namespace orrery::service
