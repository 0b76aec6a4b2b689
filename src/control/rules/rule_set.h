// A network's rules with what belongs to them, from a source or from JSON.
#pragma once

#include "control/rules/compiler.h"
#include "fib/records.h"

namespace orrery::control {

struct NamedCapability {
  std::string name;  // empty: it has none
  fib::CapabilityRules rules;
};

struct RuleSet {
  std::vector<wire::Rule> rules;
  std::vector<NamedCapability> capabilities;
  NamedList<TagDefinition> tags;

  /// By name or number; null: there is none.
  [[nodiscard]] const NamedCapability* capability(std::string_view name) const;
  /// "NAME=VALUE" or "ID=NUMBER".
  [[nodiscard]] std::optional<fib::Tag> tag(std::string_view assignment) const;
};

[[nodiscard]] RuleSet rule_set(const CompiledRules& compiled);

/// Of JSON: the compiler's output, or a network as the controller's API shows it ("rules",
/// "capabilities"). Nothing for anything else.
[[nodiscard]] std::optional<RuleSet> rule_set(const nlohmann::json& value);

}  // namespace orrery::control
