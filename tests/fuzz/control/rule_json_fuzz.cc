// Rules between JSON and the wire form. Input: [1] form, then a JSON list (form even) or a list of
// rules in bytes.
//
// Invariants: any JSON is taken, skipped or refused as a whole, never worse; what we render is JSON
// that we take back without refusing, and once it went through JSON a rule stays as it is.
#include "control/controller/json_text.h"
#include "control/controller/rule_json.h"
#include "fuzz/wire/verb_fuzz.h"

using namespace orrery;
using fuzz::check;
using nlohmann::json;

namespace {

std::vector<wire::Rule> rules_of(std::uint8_t form, Bytes input) {
  std::vector<wire::Rule> rules;
  if ((form & 1) != 0) {
    Reader r(input);
    (void)wire::read_rules(r, wire::kMaxCapabilityRules, rules);
    return rules;
  }
  const auto list = control::parse_json(text_of(input));
  if (!list) return rules;
  try {
    rules = control::rules_from_json(*list, wire::kMaxCapabilityRules);
  } catch (const json::type_error&) {
    // the request fails as a whole
  }
  check(rules.size() <= wire::kMaxCapabilityRules);
  return rules;
}

/// Through text and back, as a client does it.
json through_text(const json& value) {
  const auto parsed = control::parse_json(control::json_text(value));
  check(parsed.has_value());
  return *parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto rules = rules_of(data[0], Bytes(data, size).subspan(1));
  const json rendered = through_text(control::rules_to_json(rules));
  check(rendered.size() == rules.size());
  const auto taken = control::rules_from_json(rendered, rules.size());
  if ((data[0] & 1) == 0) check(taken.size() == rules.size());  // nothing but what the API takes
  const auto again =
      control::rules_from_json(through_text(control::rules_to_json(taken)), taken.size());
  check(again == taken);
  return 0;
}
