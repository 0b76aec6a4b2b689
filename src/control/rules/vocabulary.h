// The words that the rule language knows, and what may be a number or a name in it.
// Source: docs/protocol/09-rules-engine.md sections 11.1, 11.3; tests/vectors/rule_language.json.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace orrery::control {

struct NamedNumber {
  std::string_view name;
  std::uint32_t number;
};

/// Names of numbers, lower case.
[[nodiscard]] std::span<const NamedNumber> ethertype_names();
[[nodiscard]] std::span<const NamedNumber> protocol_names();
/// Bits 0 to 63.
[[nodiscard]] std::span<const NamedNumber> characteristic_names();
[[nodiscard]] std::optional<std::uint32_t> number_of(std::span<const NamedNumber> names,
                                                     std::string_view name);
/// The first name of a number; empty: it has none.
[[nodiscard]] std::string_view name_of(std::span<const NamedNumber> names, std::uint32_t number);

/// What the arguments of a match are.
enum class MatchForm : std::uint8_t {
  kAddress,
  kNumber,
  kEthertype,
  kProtocol,
  kMac,
  kIp,
  kTos,
  kIcmp,
  kRange,
  kCharacteristics,
  kRandom,
  kTag,
};

struct MatchKeyword {
  std::string_view word;   // lower case
  std::string_view type;   // of JSON; of kIp its end, behind "MATCH_IPV4_" or "MATCH_IPV6_"
  std::string_view field;  // of JSON, where it has one of a name of its own
  MatchForm form;
  std::uint8_t arguments;  // 1 or 2
  std::uint8_t bits;       // width of the number on the wire
};

/// Null: there is none of this name. `word` in lower case.
[[nodiscard]] const MatchKeyword* match_keyword(std::string_view word);
[[nodiscard]] std::span<const MatchKeyword> match_keywords();

/// The JSON type of "drop", "tee" and so on, lower case; empty: no action.
[[nodiscard]] std::string_view action_type(std::string_view word);

/// Exactly these words, lower case, begin a block.
[[nodiscard]] bool opens_block(std::string_view word);
/// Lower-case words that are neither names nor arguments.
[[nodiscard]] bool is_reserved(std::string_view word);
/// Letters of any script, digits and '_', no digit first. Of other scripts than ASCII whatever is
/// no sign of Unicode's Latin-1, punctuation, arrow and symbol blocks counts as a letter.
[[nodiscard]] bool is_name(std::string_view word);
/// ASCII letters in lower case.
[[nodiscard]] std::string lower(std::string_view word);
/// Decimal, or hexadecimal behind "0x"; nothing for anything else and beyond 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view word);

}  // namespace orrery::control
