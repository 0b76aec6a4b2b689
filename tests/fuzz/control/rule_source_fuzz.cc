// Any text as a source of rules, as JSON of a set of rules, and as rules in bytes.
//
// Invariants: a source is refused at a place that it has, or becomes entries that all have a place
// of their own and that a controller takes one for one; the output is JSON that can be written, and
// a set of the same rules. Every rule has words.
#include <algorithm>

#include "control/controller/json_text.h"
#include "control/rules/rule_set.h"
#include "control/rules/rule_text.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;

namespace {

void check_place(const control::Diagnostic& d, std::string_view text) {
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  check(d.at.line >= 1 && d.at.line <= static_cast<std::uint64_t>(lines));
  check(d.at.column >= 1 && d.at.column <= text.size() + 1);
  check(!d.text.empty());
}

void check_list(const control::RuleList& list) {
  check(list.entries.size() == list.at.size());
  check(control::binary_rules(list).size() == list.at.size());
}

void check_words(const std::vector<wire::Rule>& rules) {
  for (const wire::Rule& rule : rules) check(!control::rule_text(rule).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of({data, size});
  std::vector<wire::Rule> rules;
  Reader r({data, size});
  (void)wire::read_rules(r, wire::kMaxCapabilityRules, rules);
  check_words(rules);
  if (const auto value = control::parse_json(text)) {
    if (const auto set = control::rule_set(*value)) check_words(set->rules);
  }
  const auto compiled = control::compile_rules(text);
  if (!compiled) {
    check_place(compiled.error(), text);
    return 0;
  }
  for (const auto& warning : compiled->warnings) check_place(warning, text);
  check_list(compiled->rules);
  for (const auto& capability : compiled->capabilities) check_list(capability.rules);
  const auto output = control::parse_json(control::json_text(control::to_json(*compiled)));
  check(output.has_value());
  const auto again = control::rule_set(*output);
  check(again && again->rules == control::rule_set(*compiled).rules);
  check_words(again->rules);
  return 0;
}
