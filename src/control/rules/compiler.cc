#include "control/rules/compiler.h"

#include <algorithm>

#include "control/controller/rule_json.h"
#include "control/rules/statements.h"

namespace orrery::control {
namespace {

using nlohmann::json;

void warn_of_limit(const RuleList& list, std::size_t most, const std::string& whose,
                   std::vector<Diagnostic>& warnings) {
  if (list.at.size() <= most) return;
  warnings.push_back({list.at[most], whose + " has " + std::to_string(list.at.size()) +
                                         " entries, members take " + std::to_string(most)});
}

json initial_of(const TagDefinition& tag) {
  return tag.initial ? json(*tag.initial) : json(nullptr);
}

}  // namespace

std::expected<CompiledRules, Diagnostic> compile_rules(std::string_view text) {
  const Source source = read_source(text);
  auto definitions = read_definitions(source);
  if (!definitions) return std::unexpected(std::move(definitions.error()));
  CompiledRules compiled;
  for (const std::uint32_t opener : source.unclosed) {
    const Word& word = source.words[opener];
    if (action_type(word.text).empty()) {
      compiled.warnings.push_back(
          {word.at, in_quotes(word.text) + " is closed by the end of the source, not by a ';'"});
    }
  }
  StatementCompiler statements(source, *definitions, compiled.warnings);
  for (const CapabilityDefinition& defined : definitions->capabilities) {
    CompiledCapability capability{defined.name, defined.id, defined.initial, {}};
    if (auto wrong = statements.compile(defined.body, capability.rules))
      return std::unexpected(std::move(*wrong));
    warn_of_limit(capability.rules, wire::kMaxCapabilityRules,
                  "the capability " + in_quotes(defined.name), compiled.warnings);
    compiled.capabilities.push_back(std::move(capability));
  }
  if (auto wrong = statements.compile(definitions->statements, compiled.rules))
    return std::unexpected(std::move(*wrong));
  warn_of_limit(compiled.rules, wire::kMaxRules, "the network", compiled.warnings);
  compiled.tags = std::move(definitions->tags);
  std::ranges::stable_sort(compiled.warnings, [](const Diagnostic& a, const Diagnostic& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  return compiled;
}

json to_json(const CompiledRules& compiled) {
  json capabilities = json::array(), tags = json::array();
  json capabilities_by_name = json::object(), tags_by_name = json::object();
  for (const CompiledCapability& c : compiled.capabilities) {
    capabilities.push_back({{"id", c.id}, {"default", c.initial}, {"rules", c.rules.entries}});
    capabilities_by_name[c.name] = c.id;
  }
  for (const TagDefinition& t : compiled.tags) {
    tags.push_back({{"id", t.id}, {"default", initial_of(t)}});
    json enums = json::object(), flags = json::object();
    for (const auto& [name, value] : t.enums) enums[name] = value;
    for (const auto& [name, mask] : t.flags) flags[name] = mask;
    tags_by_name[t.name] = {
        {"id", t.id}, {"default", initial_of(t)}, {"enums", enums}, {"flags", flags}};
  }
  return {{"config",
           {{"rules", compiled.rules.entries}, {"capabilities", capabilities}, {"tags", tags}}},
          {"capabilitiesByName", capabilities_by_name},
          {"tagsByName", tags_by_name}};
}

std::vector<wire::Rule> binary_rules(const RuleList& list) {
  return rules_from_json(list.entries, kMostEntries);
}

}  // namespace orrery::control
