// `orrery identity …`, `orrery planet …` and `orrery moon …`: work on files alone, no daemon
// needed. Source: docs/protocol/12-local-service.md section 8; docs/protocol/05-planet-and-moons.md
// section 8.
#pragma once

#include <CLI/CLI.hpp>

namespace orrery::service {

/// Adds the three command groups; a chosen command stores its exit code in `exit_code` and prints
/// JSON instead of zerotier-idtool's text if `as_json` is then set. Both must outlive `app`'s
/// parse().
void add_identity_commands(CLI::App& app, const bool& as_json, int& exit_code);
void add_world_commands(CLI::App& app, const bool& as_json, int& exit_code);

}  // namespace orrery::service
