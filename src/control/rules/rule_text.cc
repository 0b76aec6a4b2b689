#include "control/rules/rule_text.h"

#include "control/controller/rule_json.h"
#include "control/rules/vocabulary.h"

namespace orrery::control {
namespace {

using nlohmann::json;

std::string text_of_field(const json& entry, const char* field) {
  const json& value = entry.at(field);
  return value.is_string() ? value.get<std::string>() : std::to_string(value.get<std::int64_t>());
}

std::string range_of(const json& entry) {
  const std::string first = text_of_field(entry, "start");
  const std::string last = text_of_field(entry, "end");
  return first == last ? first : first + '-' + last;
}

std::string named(std::span<const NamedNumber> names, const json& number) {
  const std::string_view name = name_of(names, number.get<std::uint32_t>());
  return name.empty() ? std::to_string(number.get<std::uint32_t>()) : std::string(name);
}

std::string bits_of(std::uint64_t mask) {
  std::string text;
  for (unsigned bit = 64; bit-- > 0;) {
    if ((mask >> bit & 1) == 0) continue;
    const std::string_view name = name_of(characteristic_names(), bit);
    text += text.empty() ? "" : ",";
    text += name.empty() ? std::to_string(bit) : std::string(name);
  }
  return text.empty() ? "none" : text;
}

/// The keyword of a match and its place in the JSON; null: it has none.
const MatchKeyword* keyword_of(std::string_view type) {
  const bool ip = type.starts_with("MATCH_IPV4_") || type.starts_with("MATCH_IPV6_");
  if (ip) type.remove_prefix(std::string_view("MATCH_IPV4_").size());
  for (const MatchKeyword& keyword : match_keywords()) {
    if (keyword.type == type && (keyword.form == MatchForm::kIp) == ip) return &keyword;
  }
  return nullptr;
}

std::string arguments_of(const MatchKeyword& keyword, const json& entry) {
  const std::string field(keyword.field);
  switch (keyword.form) {
    case MatchForm::kEthertype:
      return named(ethertype_names(), entry.at(field));
    case MatchForm::kProtocol:
      return named(protocol_names(), entry.at(field));
    case MatchForm::kTos:
      return text_of_field(entry, "mask") + ' ' + range_of(entry);
    case MatchForm::kIcmp:
      return text_of_field(entry, "icmpType") + ' ' +
             (entry.at("icmpCode").is_null() ? "-1" : text_of_field(entry, "icmpCode"));
    case MatchForm::kRange:
      return range_of(entry);
    case MatchForm::kCharacteristics:
      return bits_of(std::strtoull(entry.at(field).get<std::string>().c_str(), nullptr, 16));
    case MatchForm::kRandom:
      return std::to_string(entry.at(field).get<double>() / 4294967295.0);
    case MatchForm::kTag:
      return text_of_field(entry, "id") + ' ' + text_of_field(entry, "value");
    case MatchForm::kAddress:
    case MatchForm::kNumber:
    case MatchForm::kMac:
    case MatchForm::kIp:
      break;
  }
  return text_of_field(entry, field.c_str());
}

std::string action_text(const wire::Rule& rule, const json& entry) {
  switch (static_cast<wire::RuleType>(rule.code())) {
    case wire::RuleType::kActionDrop:
      return "drop";
    case wire::RuleType::kActionAccept:
      return "accept";
    case wire::RuleType::kActionBreak:
      return "break";
    case wire::RuleType::kActionTee:
      return "tee " + text_of_field(entry, "length") + ' ' + text_of_field(entry, "address");
    case wire::RuleType::kActionWatch:
      return "watch " + text_of_field(entry, "length") + ' ' + text_of_field(entry, "address");
    case wire::RuleType::kActionRedirect:
      return "redirect " + text_of_field(entry, "address");
    case wire::RuleType::kActionPriority:
      return "<priority " + std::to_string(rule.data[0]) + '>';
    default:
      return "<action " + std::to_string(rule.code()) + '>';
  }
}

}  // namespace

std::string rule_text(const wire::Rule& rule) {
  const json entry = rule_to_json(rule);
  if (rule.is_action()) return action_text(rule, entry);
  std::string text = rule.is_not() ? "not " : "";
  if (rule.is_or()) text += "or ";
  const MatchKeyword* keyword = keyword_of(entry.at("type").get<std::string>());
  if (keyword != nullptr)
    return text + std::string(keyword->word) + ' ' + arguments_of(*keyword, entry);
  if (static_cast<wire::RuleType>(rule.code()) == wire::RuleType::kMatchIntegerRange) {
    return text + "<integer of " + text_of_field(entry, "bits") + " bits at " +
           text_of_field(entry, "idx") + (entry.at("little").get<bool>() ? ", little" : ", big") +
           " endian, " + range_of(entry) + '>';
  }
  return text + "<match " + std::to_string(rule.code()) + '>';
}

}  // namespace orrery::control
