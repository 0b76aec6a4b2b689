#include "wire/rule.h"

#include <algorithm>

namespace orrery::wire {

std::size_t rule_data_length(std::uint8_t code) {
  switch (code) {
#define ORRERY_RULE_LENGTH(name, number, length) \
  case number:                                   \
    return length;
    ORRERY_FOR_EACH_RULE(ORRERY_RULE_LENGTH)
#undef ORRERY_RULE_LENGTH
    default:
      return 0;
  }
}

std::optional<Rule> read_rule(Reader& reader) {
  Rule rule;
  rule.type = reader.u8();
  const Bytes data = reader.bytes(reader.u8());
  const std::size_t known = rule_data_length(rule.code());
  if (data.size() < known) reader.fail();
  if (!reader.ok()) return std::nullopt;
  std::copy_n(data.begin(), known, rule.data.begin());
  return rule;
}

void write_rule(Writer& writer, const Rule& rule) {
  const std::size_t length = rule_data_length(rule.code());
  writer.u8(rule.type);
  writer.u8(static_cast<std::uint8_t>(length));
  writer.bytes(Bytes(rule.data).first(length));
}

bool read_rules(Reader& reader, std::size_t limit, std::vector<Rule>& rules) {
  while (reader.remaining() != 0 && rules.size() < limit) {
    const auto rule = read_rule(reader);
    if (!rule) return false;
    rules.push_back(*rule);
  }
  return reader.ok();
}

}  // namespace orrery::wire
