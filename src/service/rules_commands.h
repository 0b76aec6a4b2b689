// `orrery rules …`: the rule language on files alone, no daemon needed. docs/rules.md has the
// language.
#pragma once

#include <CLI/CLI.hpp>

namespace orrery::service {

/// Adds the command group, for others to add to; a chosen command stores its exit code in
/// `exit_code` and prints JSON if `as_json` is then set. Both must outlive `app`'s parse().
CLI::App* add_rules_commands(CLI::App& app, const bool& as_json, int& exit_code);

}  // namespace orrery::service
