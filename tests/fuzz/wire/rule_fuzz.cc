// Lists of rules. Input: [1] limit, list.
//
// Invariants: entries come out as they stand in the list, up to the limit or the first that is cut
// short; they are written back with the data that their type has and without any beyond it, which
// is the same bytes where the list had no surplus; what was written reads as the same rules.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/rule.h"

using namespace orrery;
using fuzz::check;

namespace {

ByteVector encoded(const std::vector<wire::Rule>& rules) {
  ByteVector room(rules.size() * (2 + wire::Rule::kDataMax));
  Writer w(room);
  for (const wire::Rule& rule : rules) wire::write_rule(w, rule);
  check(w.ok());
  room.resize(w.size());
  return room;
}

/// The entries of the list that are whole, each with the data that its type has; by hand.
ByteVector canonical(Bytes list, std::size_t limit, std::size_t& entries, bool& cut_short) {
  ByteVector bytes;
  entries = 0;
  cut_short = false;
  while (!list.empty() && entries < limit) {
    const std::size_t known = wire::rule_data_length(list[0] & 0x3f);
    cut_short = list.size() < 2 || list.size() < 2u + list[1] || list[1] < known;
    if (cut_short) break;
    bytes.push_back(list[0]);
    bytes.push_back(static_cast<std::uint8_t>(known));
    const Bytes data = list.subspan(2, known);
    bytes.insert(bytes.end(), data.begin(), data.end());
    list = list.subspan(2u + list[1]);
    ++entries;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t limit = data[0] < 128 ? data[0] : wire::kMaxRules;
  const Bytes list = Bytes(data, size).subspan(1);
  Reader r(list);
  std::vector<wire::Rule> rules;
  const bool whole = wire::read_rules(r, limit, rules);

  std::size_t entries = 0;
  bool cut_short = false;
  const ByteVector expected = canonical(list, limit, entries, cut_short);
  check(rules.size() == entries && whole == !cut_short);
  const ByteVector written = encoded(rules);
  check(fuzz::same(written, expected));
  for (const wire::Rule& rule : rules) {
    check(rule.is_not() == (rule.type >= 0x80) && rule.is_or() == ((rule.type >> 6 & 1) != 0));
    for (std::size_t i = wire::rule_data_length(rule.code()); i < rule.data.size(); ++i)
      check(rule.data[i] == 0);
  }

  Reader again(written);
  std::vector<wire::Rule> same;
  check(wire::read_rules(again, rules.size(), same) && same == rules);
  check(again.remaining() == 0);
  return 0;
}
