#include "control/rules/rule_set.h"

#include <algorithm>

#include "control/controller/lenient.h"
#include "control/controller/rule_json.h"
#include "control/rules/vocabulary.h"

namespace orrery::control {
namespace {

using nlohmann::json;

using List = std::vector<wire::Rule>;

std::uint32_t id_of(const json& thing) {
  return static_cast<std::uint32_t>(lenient_int(thing.value("id", json(0)), 0));
}

/// A mask of another type makes the whole unusable; see rule_from_json().
std::optional<List> list_of(const json& holder) {
  const auto rules = holder.find("rules");
  if (rules == holder.end() || !rules->is_array()) return std::nullopt;
  for (const json& entry : *rules) {
    if (!entry.is_object() || !entry.contains("mask")) continue;
    if (!entry["mask"].is_number() && !entry["mask"].is_string()) return std::nullopt;
  }
  return rules_from_json(*rules, kMostEntries);
}

void read_values(const json& tag, const char* key,
                 std::map<std::string, std::uint32_t, std::less<>>& values) {
  const auto found = tag.find(key);
  if (found == tag.end() || !found->is_object()) return;
  for (const auto& [name, value] : found->items())
    values[name] = static_cast<std::uint32_t>(lenient_int(value, 0));
}

std::string name_of_capability(const json& value, std::uint32_t id) {
  const auto names = value.find("capabilitiesByName");
  if (names == value.end() || !names->is_object()) return {};
  for (const auto& [name, number] : names->items()) {
    if (static_cast<std::uint32_t>(lenient_int(number, -1)) == id) return name;
  }
  return {};
}

}  // namespace

const NamedCapability* RuleSet::capability(std::string_view name) const {
  const auto number = parse_number(name);
  for (const NamedCapability& c : capabilities) {
    if ((!c.name.empty() && c.name == name) || (number && *number == c.rules.id)) return &c;
  }
  return nullptr;
}

std::optional<fib::Tag> RuleSet::tag(std::string_view assignment) const {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view name = assignment.substr(0, equals);
  const TagDefinition* defined = tags.find(name);
  const TagDefinition numbers;
  const auto id = defined != nullptr ? std::optional(defined->id) : numbers.value_of(name);
  const auto value =
      (defined != nullptr ? *defined : numbers).value_of(assignment.substr(equals + 1));
  if (!id || !value) return std::nullopt;
  return fib::Tag{*id, *value};
}

RuleSet rule_set(const CompiledRules& compiled) {
  RuleSet set;
  set.rules = binary_rules(compiled.rules);
  for (const CompiledCapability& c : compiled.capabilities) {
    set.capabilities.push_back(
        {c.name, {c.id, std::make_shared<const List>(binary_rules(c.rules))}});
  }
  set.tags = compiled.tags;
  return set;
}

std::optional<RuleSet> rule_set(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const auto found = value.find("config");
  const json& config = found != value.end() && found->is_object() ? *found : value;
  auto rules = list_of(config);
  if (!rules) return std::nullopt;
  RuleSet set;
  set.rules = std::move(*rules);
  const auto capabilities = config.find("capabilities");
  if (capabilities != config.end() && capabilities->is_array()) {
    for (const json& c : *capabilities) {
      auto list = c.is_object() ? list_of(c) : std::nullopt;
      if (!list) return std::nullopt;
      const std::uint32_t id = id_of(c);
      set.capabilities.push_back(
          {name_of_capability(value, id), {id, std::make_shared<const List>(std::move(*list))}});
    }
  }
  const auto tags = value.find("tagsByName");
  if (tags == value.end() || !tags->is_object()) return set;
  for (const auto& [name, t] : tags->items()) {
    if (!t.is_object()) return std::nullopt;
    TagDefinition tag;
    tag.name = name;
    tag.id = id_of(t);
    read_values(t, "enums", tag.enums);
    read_values(t, "flags", tag.flags);
    set.tags.add(std::move(tag));
  }
  return set;
}

}  // namespace orrery::control
