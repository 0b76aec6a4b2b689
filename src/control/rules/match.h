// One match of the rule language: its keyword and arguments to an entry of the controller's JSON.
// Source: docs/protocol/09-rules-engine.md sections 10, 11.3.
#pragma once

#include <nlohmann/json.hpp>

#include "control/rules/definitions.h"
#include "control/rules/vocabulary.h"

namespace orrery::control {

/// An argument as it counts (of a macro, what stands for its parameter), and where it was written.
struct Argument {
  std::string_view text;
  Position at;
};

/// Fills `entry` with everything but "not" and "or". What is taken but means less than it says is
/// told in `warnings`. REQUIRES: as many arguments as the keyword wants.
[[nodiscard]] std::optional<Diagnostic> compile_match(const MatchKeyword& keyword,
                                                      std::span<const Argument> arguments,
                                                      const NamedList<TagDefinition>& tags,
                                                      nlohmann::json& entry,
                                                      std::vector<Diagnostic>& warnings);

}  // namespace orrery::control
