// The rule language: source text to the entries of the controller's API, and to binary rules.
//
// Pure functions of the text; work and memory are bounded (kMostEntries, kMostIncludes), whatever
// the text. The grammar is taken as it is written down, so a statement without matches may stand
// anywhere, where the reference's compiler takes it only as the last one of its block; every
// source that the latter takes with the meaning that its author had compiles to the same entries.
// Source: docs/protocol/09-rules-engine.md section 11; tests/vectors/rule_language.json.
//
//   read_source (words, blocks) -> read_definitions (macros, tags, capabilities) -> statements
//
// Weak spot: nothing says whether the members or the controller are of a version that knows a
// match; what is beyond the protocol's limits is only a warning.
#pragma once

#include <nlohmann/json.hpp>

#include "control/rules/definitions.h"
#include "wire/rule.h"

namespace orrery::control {

/// Entries of one list, base or capability, in all its uses of macros.
inline constexpr std::size_t kMostEntries = 65'536;
/// Uses of macros in one source.
inline constexpr std::size_t kMostIncludes = 65'536;

/// A compiled list: entries as the API takes them, and where each was written.
struct RuleList {
  nlohmann::json entries = nlohmann::json::array();
  std::vector<Position> at;  // of an entry: its keyword
};

struct CompiledCapability {
  std::string name;
  std::uint32_t id = 0;
  bool initial = false;  // for new members
  RuleList rules;
};

struct CompiledRules {
  RuleList rules;  // of the network
  std::vector<CompiledCapability> capabilities;
  NamedList<TagDefinition> tags;
  std::vector<Diagnostic> warnings;  // by place
};

/// The first error, in the order definitions, capabilities, statements.
[[nodiscard]] std::expected<CompiledRules, Diagnostic> compile_rules(std::string_view source);

/// The reference compiler's output: "config" (rules, capabilities, tags), "capabilitiesByName",
/// "tagsByName".
[[nodiscard]] nlohmann::json to_json(const CompiledRules& compiled);

/// As a controller takes the entries. All of them, beyond the limits of networks and capabilities.
[[nodiscard]] std::vector<wire::Rule> binary_rules(const RuleList& list);

}  // namespace orrery::control
