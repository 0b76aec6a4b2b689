// `orrery why` and `orrery ping`: what the daemon knows of the ways to a peer.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace orrery::service {

/// One request of a command to the daemon, by method and path. Nothing, and the exit code set,
/// unless it is answered with 200.
using AskDaemon = std::function<std::optional<nlohmann::json>(
    const std::string& command, const std::string& method, const std::string& path)>;

/// Adds both. `as_json`, `exit_code`: of the command line, read and written when a command runs.
void add_path_commands(CLI::App& app, const AskDaemon& ask, const bool& as_json, int& exit_code);

}  // namespace orrery::service
