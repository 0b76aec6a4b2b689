// The daemon: joins clock, entropy, rings, host interfaces, API and state files with control::Node.
#pragma once

#include "base/result.h"
#include "service/config.h"

namespace orrery::service {

/// Runs until SIGTERM or SIGINT; returns the process's exit code. Messages go to the log on
/// standard error. After an identity collision the program starts again with `arguments`, those of
/// main() with their null at the end.
int run_daemon(const Config& config, char* const* arguments);

/// Replaces the process by a new run of the same program with the same arguments. Returns only when
/// that fails.
[[nodiscard]] Error start_again(char* const* arguments);

}  // namespace orrery::service
