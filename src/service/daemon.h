// The daemon: joins clock, entropy, rings, host interfaces, API and state files with control::Node.
#pragma once

#include "service/config.h"

namespace orrery::service {

/// Runs until SIGTERM or SIGINT; returns the process's exit code. Messages go to the log on
/// standard error.
int run_daemon(const Config& config, const char* program);

}  // namespace orrery::service
