// `orrery identity …`, `orrery planet …` and `orrery moon …`: work on files alone, no daemon
// needed. Source: docs/protocol/12-local-service.md section 8; docs/protocol/05-planet-and-moons.md
// section 8.
#pragma once

#include <CLI/CLI.hpp>

namespace orrery::service {

/// Adds the three command groups; a chosen command stores its exit code in `exit_code`.
void add_identity_commands(CLI::App& app, int& exit_code);
void add_world_commands(CLI::App& app, int& exit_code);

}  // namespace orrery::service
