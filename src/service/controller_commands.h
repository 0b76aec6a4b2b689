// `orrery controller …`: networks, members, tokens, webhooks, the audit log and events of a
// controller, and its records as files.
#pragma once

#include <CLI/CLI.hpp>

#include "service/cli_connection.h"

namespace orrery::service {

/// `c` and `exit_code` must outlive the parsing of `app`.
void add_controller_commands(CLI::App& app, Connection& c, int& exit_code);

}  // namespace orrery::service
