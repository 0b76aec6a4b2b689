#include "control/controller/rule_json.h"

#include <algorithm>

#include "control/controller/lenient.h"

namespace orrery::control {
namespace {

using nlohmann::json;
using wire::RuleType;

struct Named {
  RuleType type;
  const char* name;
};

constexpr Named kNames[] = {
    {RuleType::kActionDrop, "ACTION_DROP"},
    {RuleType::kActionAccept, "ACTION_ACCEPT"},
    {RuleType::kActionTee, "ACTION_TEE"},
    {RuleType::kActionWatch, "ACTION_WATCH"},
    {RuleType::kActionRedirect, "ACTION_REDIRECT"},
    {RuleType::kActionBreak, "ACTION_BREAK"},
    {RuleType::kActionPriority, "ACTION_PRIORITY"},
    {RuleType::kMatchSourceZeroTierAddress, "MATCH_SOURCE_ZEROTIER_ADDRESS"},
    {RuleType::kMatchDestZeroTierAddress, "MATCH_DEST_ZEROTIER_ADDRESS"},
    {RuleType::kMatchVlanId, "MATCH_VLAN_ID"},
    {RuleType::kMatchVlanPcp, "MATCH_VLAN_PCP"},
    {RuleType::kMatchVlanDei, "MATCH_VLAN_DEI"},
    {RuleType::kMatchMacSource, "MATCH_MAC_SOURCE"},
    {RuleType::kMatchMacDest, "MATCH_MAC_DEST"},
    {RuleType::kMatchIpv4Source, "MATCH_IPV4_SOURCE"},
    {RuleType::kMatchIpv4Dest, "MATCH_IPV4_DEST"},
    {RuleType::kMatchIpv6Source, "MATCH_IPV6_SOURCE"},
    {RuleType::kMatchIpv6Dest, "MATCH_IPV6_DEST"},
    {RuleType::kMatchIpTos, "MATCH_IP_TOS"},
    {RuleType::kMatchIpProtocol, "MATCH_IP_PROTOCOL"},
    {RuleType::kMatchEthertype, "MATCH_ETHERTYPE"},
    {RuleType::kMatchIcmp, "MATCH_ICMP"},
    {RuleType::kMatchIpSourcePortRange, "MATCH_IP_SOURCE_PORT_RANGE"},
    {RuleType::kMatchIpDestPortRange, "MATCH_IP_DEST_PORT_RANGE"},
    {RuleType::kMatchCharacteristics, "MATCH_CHARACTERISTICS"},
    {RuleType::kMatchFrameSizeRange, "MATCH_FRAME_SIZE_RANGE"},
    {RuleType::kMatchRandom, "MATCH_RANDOM"},
    {RuleType::kMatchTagsDifference, "MATCH_TAGS_DIFFERENCE"},
    {RuleType::kMatchTagsBitwiseAnd, "MATCH_TAGS_BITWISE_AND"},
    {RuleType::kMatchTagsBitwiseOr, "MATCH_TAGS_BITWISE_OR"},
    {RuleType::kMatchTagsBitwiseXor, "MATCH_TAGS_BITWISE_XOR"},
    {RuleType::kMatchTagsEqual, "MATCH_TAGS_EQUAL"},
    {RuleType::kMatchTagSender, "MATCH_TAG_SENDER"},
    {RuleType::kMatchTagReceiver, "MATCH_TAG_RECEIVER"},
    {RuleType::kMatchIntegerRange, "INTEGER_RANGE"},
};

std::uint64_t number(const json& entry, const char* key, std::uint64_t missing = 0) {
  return entry.contains(key) ? static_cast<std::uint64_t>(
                                   lenient_int(entry[key], static_cast<std::int64_t>(missing)))
                             : missing;
}

/// A number, or hexadecimal digits in a string; anything else throws.
std::uint64_t hex_or_number(const json& entry, const char* key) {
  if (!entry.contains(key)) return 0;
  if (entry[key].is_number()) return number(entry, key);
  return std::strtoull(entry[key].get_ref<const std::string&>().c_str(), nullptr, 16);
}

/// Digits from the left, two per octet; missing ones are zero and foreign characters count as 0.
std::array<std::uint8_t, 6> mac_octets(std::string digits) {
  std::erase_if(digits, [](char c) { return c == ':' || c == '-'; });
  std::array<std::uint8_t, 6> octets{};
  for (std::size_t i = 0; i < octets.size() && 2 * i + 1 < digits.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(std::max(hex_digit(digits[2 * i]), 0) * 16 +
                                          std::max(hex_digit(digits[2 * i + 1]), 0));
  }
  return octets;
}

std::string text(const json& entry, const char* key) {
  return entry.contains(key) ? lenient_text(entry[key], "") : std::string();
}

}  // namespace

std::optional<wire::Rule> rule_from_json(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  const std::string name = text(entry, "type");
  const auto* named = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const Named& n) { return name == n.name; });
  if (named == std::end(kNames)) return std::nullopt;
  wire::Rule rule;
  rule.type = static_cast<std::uint8_t>(named->type);
  Writer w(rule.data);
  switch (named->type) {
    case RuleType::kActionTee:
    case RuleType::kActionWatch:
    case RuleType::kActionRedirect:
      w.u64(std::strtoull(text(entry, "address").c_str(), nullptr, 16) & 0xffffffffffULL);
      w.u32(static_cast<std::uint32_t>(number(entry, "flags")));
      w.u16(named->type == RuleType::kActionRedirect
                ? std::uint16_t{0}
                : static_cast<std::uint16_t>(number(entry, "length")));
      break;
    case RuleType::kActionDrop:
    case RuleType::kActionAccept:
    case RuleType::kActionBreak:
      break;
    case RuleType::kMatchSourceZeroTierAddress:
    case RuleType::kMatchDestZeroTierAddress:
      w.u40(std::strtoull(text(entry, "zt").c_str(), nullptr, 16) & 0xffffffffffULL);
      break;
    case RuleType::kMatchVlanId:
      w.u16(static_cast<std::uint16_t>(number(entry, "vlanId")));
      break;
    case RuleType::kMatchVlanPcp:
      w.u8(static_cast<std::uint8_t>(number(entry, "vlanPcp")));
      break;
    case RuleType::kMatchVlanDei:
      w.u8(static_cast<std::uint8_t>(number(entry, "vlanDei")));
      break;
    case RuleType::kMatchMacSource:
    case RuleType::kMatchMacDest:
      w.bytes(mac_octets(text(entry, "mac")));
      break;
    case RuleType::kMatchIpv4Source:
    case RuleType::kMatchIpv4Dest:
    case RuleType::kMatchIpv6Source:
    case RuleType::kMatchIpv6Dest: {
      // No IP, or one of the other family, counts as the zero address.
      const bool v6 =
          named->type == RuleType::kMatchIpv6Source || named->type == RuleType::kMatchIpv6Dest;
      const auto ip = wire::parse_endpoint(text(entry, "ip")).value_or(wire::Endpoint{});
      const bool fits = ip.family == (v6 ? 6 : 4);
      w.bytes(Bytes(fits ? ip.ip : wire::Endpoint{}.ip).first(v6 ? 16 : 4));
      w.u8(static_cast<std::uint8_t>(std::min(ip.port & 0xff, v6 ? 128 : 32)));
      break;
    }
    case RuleType::kMatchIpTos:
      w.u8(static_cast<std::uint8_t>(number(entry, "mask")));
      w.u8(static_cast<std::uint8_t>(number(entry, "start")));
      w.u8(static_cast<std::uint8_t>(number(entry, "end")));
      break;
    case RuleType::kMatchIpProtocol:
      w.u8(static_cast<std::uint8_t>(number(entry, "ipProtocol")));
      break;
    case RuleType::kMatchEthertype:
      w.u16(static_cast<std::uint16_t>(number(entry, "etherType")));
      break;
    case RuleType::kMatchIcmp: {
      const bool any = !entry.contains("icmpCode") || entry["icmpCode"].is_null();
      w.u8(static_cast<std::uint8_t>(number(entry, "icmpType")));
      w.u8(any ? std::uint8_t{0} : static_cast<std::uint8_t>(number(entry, "icmpCode")));
      w.u8(any ? 0 : 1);
      break;
    }
    case RuleType::kMatchIpSourcePortRange:
    case RuleType::kMatchIpDestPortRange:
    case RuleType::kMatchFrameSizeRange: {
      const auto start = static_cast<std::uint16_t>(number(entry, "start"));
      w.u16(start);
      w.u16(static_cast<std::uint16_t>(number(entry, "end", start)));
      break;
    }
    case RuleType::kMatchCharacteristics:
      w.u64(hex_or_number(entry, "mask"));
      break;
    case RuleType::kMatchRandom:
      w.u32(static_cast<std::uint32_t>(number(entry, "probability")));
      break;
    case RuleType::kMatchTagsDifference:
    case RuleType::kMatchTagsBitwiseAnd:
    case RuleType::kMatchTagsBitwiseOr:
    case RuleType::kMatchTagsBitwiseXor:
    case RuleType::kMatchTagsEqual:
    case RuleType::kMatchTagSender:
    case RuleType::kMatchTagReceiver:
      w.u32(static_cast<std::uint32_t>(number(entry, "id")));
      w.u32(static_cast<std::uint32_t>(number(entry, "value")));
      break;
    case RuleType::kActionPriority:
    case RuleType::kMatchIntegerRange:
      return std::nullopt;  // the reference does not take them from the API
  }
  if (entry.contains("not") && lenient_bool(entry["not"], false)) rule.type |= 0x80;
  if (entry.contains("or") && lenient_bool(entry["or"], false)) rule.type |= 0x40;
  return rule;
}

json rule_to_json(const wire::Rule& rule) {
  const auto type = static_cast<RuleType>(rule.code());
  const auto* named = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const Named& n) { return n.type == type; });
  json entry = {{"type", named == std::end(kNames) ? "UNKNOWN" : named->name}};
  Reader r(rule.data);
  switch (type) {
    case RuleType::kActionTee:
    case RuleType::kActionWatch:
    case RuleType::kActionRedirect:
      entry["address"] = wire::to_string(wire::Address{r.u64() & 0xffffffffffULL});
      entry["flags"] = r.u32();
      if (type != RuleType::kActionRedirect) entry["length"] = r.u16();
      break;
    case RuleType::kMatchSourceZeroTierAddress:
    case RuleType::kMatchDestZeroTierAddress:
      entry["zt"] = wire::to_string(wire::Address{r.u40()});
      break;
    case RuleType::kMatchVlanId:
      entry["vlanId"] = r.u16();
      break;
    case RuleType::kMatchVlanPcp:
      entry["vlanPcp"] = r.u8();
      break;
    case RuleType::kMatchVlanDei:
      entry["vlanDei"] = r.u8();
      break;
    case RuleType::kMatchMacSource:
    case RuleType::kMatchMacDest:
      entry["mac"] = wire::to_string(wire::Mac::load(rule.data.data()));
      break;
    case RuleType::kMatchIpv4Source:
    case RuleType::kMatchIpv4Dest: {
      const std::uint32_t ip = r.u32();
      entry["ip"] = wire::to_string(wire::Endpoint::v4(ip, r.u8()));
      break;
    }
    case RuleType::kMatchIpv6Source:
    case RuleType::kMatchIpv6Dest: {
      const Bytes ip = r.bytes(16);
      entry["ip"] = wire::to_string(wire::Endpoint::v6(ip, r.u8()));
      break;
    }
    case RuleType::kMatchIpTos:
      entry["mask"] = r.u8();
      entry["start"] = r.u8();
      entry["end"] = r.u8();
      break;
    case RuleType::kMatchIpProtocol:
      entry["ipProtocol"] = r.u8();
      break;
    case RuleType::kMatchEthertype:
      entry["etherType"] = r.u16();
      break;
    case RuleType::kMatchIcmp: {
      entry["icmpType"] = r.u8();
      const std::uint8_t code = r.u8();
      entry["icmpCode"] = (r.u8() & 1) != 0 ? json(code) : json(nullptr);
      break;
    }
    case RuleType::kMatchIpSourcePortRange:
    case RuleType::kMatchIpDestPortRange:
    case RuleType::kMatchFrameSizeRange:
      entry["start"] = r.u16();
      entry["end"] = r.u16();
      break;
    case RuleType::kMatchCharacteristics:
      entry["mask"] = wire::to_string(wire::NetworkId{r.u64()});
      break;
    case RuleType::kMatchRandom:
      entry["probability"] = r.u32();
      break;
    case RuleType::kMatchTagsDifference:
    case RuleType::kMatchTagsBitwiseAnd:
    case RuleType::kMatchTagsBitwiseOr:
    case RuleType::kMatchTagsBitwiseXor:
    case RuleType::kMatchTagsEqual:
    case RuleType::kMatchTagSender:
    case RuleType::kMatchTagReceiver:
      entry["id"] = r.u32();
      entry["value"] = r.u32();
      break;
    case RuleType::kMatchIntegerRange: {
      entry["start"] = wire::to_string(wire::NetworkId{r.u64()});
      entry["end"] = wire::to_string(wire::NetworkId{r.u64()});
      entry["idx"] = r.u16();
      const std::uint8_t format = r.u8();
      entry["little"] = (format & 0x80) != 0;
      entry["bits"] = (format & 63) + 1;
      break;
    }
    default:
      break;
  }
  if (!rule.is_action()) {
    entry["not"] = rule.is_not();
    entry["or"] = rule.is_or();
  }
  return entry;
}

std::vector<wire::Rule> rules_from_json(const json& list, std::size_t limit) {
  std::vector<wire::Rule> rules;
  if (!list.is_array()) return rules;
  for (const json& entry : list) {
    if (rules.size() >= limit) break;
    if (const auto rule = rule_from_json(entry)) rules.push_back(*rule);
  }
  return rules;
}

json rules_to_json(const std::vector<wire::Rule>& rules) {
  json list = json::array();
  for (const wire::Rule& rule : rules) list.push_back(rule_to_json(rule));
  return list;
}

}  // namespace orrery::control
