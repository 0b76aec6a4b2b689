// Rules in binary: one entry is type byte, length byte, data.
// Source: docs/protocol/09-rules-engine.md sections 1, 2; tests/vectors/rule_codec.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/cursor.h"
#include "wire/address.h"
#include "wire/endpoint.h"
#include "wire/mac.h"

namespace orrery::wire {

inline constexpr std::size_t kMaxRules = 1024;          // of a network
inline constexpr std::size_t kMaxCapabilityRules = 64;  // of one capability

// X(enumerator, code, data length in bytes). Actions are 0..15, matches 16..63.
#define ORRERY_FOR_EACH_RULE(X)         \
  X(kActionDrop, 0, 0)                  \
  X(kActionAccept, 1, 0)                \
  X(kActionTee, 2, 14)                  \
  X(kActionWatch, 3, 14)                \
  X(kActionRedirect, 4, 14)             \
  X(kActionBreak, 5, 0)                 \
  X(kActionPriority, 6, 0)              \
  X(kMatchSourceZeroTierAddress, 24, 5) \
  X(kMatchDestZeroTierAddress, 25, 5)   \
  X(kMatchVlanId, 26, 2)                \
  X(kMatchVlanPcp, 27, 1)               \
  X(kMatchVlanDei, 28, 1)               \
  X(kMatchMacSource, 29, 6)             \
  X(kMatchMacDest, 30, 6)               \
  X(kMatchIpv4Source, 31, 5)            \
  X(kMatchIpv4Dest, 32, 5)              \
  X(kMatchIpv6Source, 33, 17)           \
  X(kMatchIpv6Dest, 34, 17)             \
  X(kMatchIpTos, 35, 3)                 \
  X(kMatchIpProtocol, 36, 1)            \
  X(kMatchEthertype, 37, 2)             \
  X(kMatchIcmp, 38, 3)                  \
  X(kMatchIpSourcePortRange, 39, 4)     \
  X(kMatchIpDestPortRange, 40, 4)       \
  X(kMatchCharacteristics, 41, 8)       \
  X(kMatchFrameSizeRange, 42, 4)        \
  X(kMatchRandom, 43, 4)                \
  X(kMatchTagsDifference, 44, 8)        \
  X(kMatchTagsBitwiseAnd, 45, 8)        \
  X(kMatchTagsBitwiseOr, 46, 8)         \
  X(kMatchTagsBitwiseXor, 47, 8)        \
  X(kMatchTagsEqual, 48, 8)             \
  X(kMatchTagSender, 49, 8)             \
  X(kMatchTagReceiver, 50, 8)           \
  X(kMatchIntegerRange, 51, 19)

enum class RuleType : std::uint8_t {
#define ORRERY_RULE_ENUM(name, code, length) name = code,
  ORRERY_FOR_EACH_RULE(ORRERY_RULE_ENUM)
#undef ORRERY_RULE_ENUM
};

/// One entry: its type byte and its known data in wire form, so any list writes back exactly.
/// Evaluation reads the fields out of `data` (big-endian); see fib/rules.h.
struct Rule {
  static constexpr std::size_t kDataMax = 19;

  std::uint8_t type = 0;                      // NOT 0x80, OR 0x40, code 0x3f
  std::array<std::uint8_t, kDataMax> data{};  // zero beyond the type's length

  [[nodiscard]] std::uint8_t code() const { return type & 0x3f; }

  [[nodiscard]] bool is_not() const { return (type & 0x80) != 0; }

  [[nodiscard]] bool is_or() const { return (type & 0x40) != 0; }

  [[nodiscard]] bool is_action() const { return code() <= 15; }

  friend bool operator==(const Rule&, const Rule&) = default;
};

/// Data length of a known code; 0 for unknown ones.
[[nodiscard]] std::size_t rule_data_length(std::uint8_t code);
/// Reads one entry; nothing (and the reader failed) if it is cut short.
[[nodiscard]] std::optional<Rule> read_rule(Reader& reader);
void write_rule(Writer& writer, const Rule& rule);
/// Appends entries until the source ends or `rules` holds `limit`; false when one is cut short, and
/// those before it stay.
bool read_rules(Reader& reader, std::size_t limit, std::vector<Rule>& rules);

}  // namespace orrery::wire
