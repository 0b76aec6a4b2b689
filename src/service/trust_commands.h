// `orrery pins …`, `orrery trust`, `orrery roots`, `orrery identity pin|unpin`, `orrery moon
// check`: whom the daemon believes to be who, and how its roots do.
#pragma once

#include "service/cli_connection.h"

namespace orrery::service {

/// REQUIRES: the groups "identity" and "moon" of add_identity_commands() and add_world_commands().
void add_trust_commands(CLI::App& app, Connection& connection, int& exit_code);

}  // namespace orrery::service
