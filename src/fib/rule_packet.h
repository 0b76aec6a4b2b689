// How rules read a packet: shared by the evaluator of one frame (rules.h) and that of many
// (rule_program.h). Source: docs/protocol/09-rules-engine.md section 4.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "fib/records.h"

namespace orrery::fib {

inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherArp = 0x0806;
inline constexpr std::uint16_t kEtherIpv6 = 0x86dd;

[[nodiscard]] inline bool is_ipv4(std::uint16_t ethertype, Bytes payload) {
  return ethertype == kEtherIpv4 && payload.size() >= 20;
}

[[nodiscard]] inline bool is_ipv6(std::uint16_t ethertype, Bytes payload) {
  return ethertype == kEtherIpv6 && payload.size() >= 40;
}

/// Where the upper-layer header of an IPv6 packet begins.
struct UpperLayer {
  std::size_t position = 0;
  std::uint8_t protocol = 0;
};

/// REQUIRES: is_ipv6(). Source: section 4.1.
[[nodiscard]] inline std::optional<UpperLayer> walk_ipv6(Bytes p) {
  std::size_t position = 40;
  std::uint8_t next = p[6];
  while (position <= p.size()) {
    if (next != 0 && next != 43 && next != 60 && next != 135) return UpperLayer{position, next};
    if (position + 8 > p.size()) return std::nullopt;
    next = p[position];
    position += std::size_t{p[position + 1]} * 8 + 8;
  }
  return std::nullopt;
}

/// Where the header behind an IPv4 header begins.
[[nodiscard]] inline std::size_t behind_ipv4(Bytes p) {
  return 4u * (p[0] & 15u);
}

[[nodiscard]] inline bool has_ports(std::uint8_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 136;
}

template <typename Word>
[[nodiscard]] constexpr Word prefix_mask(unsigned bits) {
  constexpr unsigned kBits = sizeof(Word) * 8;
  if (bits == 0) return 0;
  return bits >= kBits ? ~Word{0} : static_cast<Word>(~Word{0} << (kBits - bits));
}

/// MATCH_INTEGER_RANGE over a payload. Source: section 4.4.
[[nodiscard]] bool integer_in_range(const wire::Rule& rule, Bytes payload);

/// `tags` ascending by id.
[[nodiscard]] inline std::optional<std::uint32_t> tag_value(const std::vector<Tag>& tags,
                                                            std::uint32_t id) {
  const auto it = std::lower_bound(tags.begin(), tags.end(), id,
                                   [](const Tag& t, std::uint32_t i) { return t.id < i; });
  if (it == tags.end() || it->id != id) return std::nullopt;
  return it->value;
}

/// TAGS_DIFFERENCE, AND, OR, XOR, EQUAL where both ends have the tag. Source: section 6.1.
[[nodiscard]] inline bool compare_tags(wire::RuleType type, std::uint32_t local,
                                       std::uint32_t remote, std::uint32_t value) {
  switch (type) {
    case wire::RuleType::kMatchTagsDifference:
      return (local > remote ? local - remote : remote - local) <= value;
    case wire::RuleType::kMatchTagsBitwiseAnd:
      return (local & remote) == value;
    case wire::RuleType::kMatchTagsBitwiseOr:
      return (local | remote) == value;
    case wire::RuleType::kMatchTagsBitwiseXor:
      return (local ^ remote) == value;
    default:
      return local == value && remote == value;
  }
}

}  // namespace orrery::fib
