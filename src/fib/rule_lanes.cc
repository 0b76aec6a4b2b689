#include "fib/rule_lanes.h"

namespace orrery::fib {
namespace {

using wire::RuleType;

constexpr std::uint64_t kAuthenticated = std::uint64_t{3} << 59;  // by IP, by MAC

std::uint16_t field_of(const wire::Rule& rule) {
  switch (static_cast<RuleType>(rule.code())) {
    case RuleType::kMatchMacSource:
    case RuleType::kMatchMacDest:
      return RuleNeeds::kMacs;
    case RuleType::kMatchVlanId:
    case RuleType::kMatchVlanPcp:
    case RuleType::kMatchVlanDei:
      return RuleNeeds::kTag;
    case RuleType::kMatchIpv4Source:
    case RuleType::kMatchIpv4Dest:
    case RuleType::kMatchIpv6Source:
    case RuleType::kMatchIpv6Dest:
      return RuleNeeds::kIps;
    case RuleType::kMatchIpTos:
      return RuleNeeds::kTos;
    case RuleType::kMatchIpSourcePortRange:
    case RuleType::kMatchIpDestPortRange:
      return RuleNeeds::kPorts;
    case RuleType::kMatchIcmp:
      return RuleNeeds::kIcmp;
    case RuleType::kMatchFrameSizeRange:
      return RuleNeeds::kSize;
    case RuleType::kMatchRandom:
    case RuleType::kMatchIntegerRange:
      return RuleNeeds::kContent;
    default:
      return 0;
  }
}

}  // namespace

RuleNeeds needs_of(std::span<const wire::Rule> rules) {
  RuleNeeds needs;
  for (const wire::Rule& rule : rules) {
    if (rule.is_action()) continue;
    needs.fields |= field_of(rule);
    if (static_cast<RuleType>(rule.code()) == RuleType::kMatchCharacteristics)
      needs.characteristics |= load_be64(rule.data.data());
  }
  return needs;
}

RuleNeeds needs_of(std::span<const CapabilityRules> capabilities) {
  RuleNeeds needs;
  for (const CapabilityRules& capability : capabilities) needs |= needs_of(*capability.rules);
  return needs;
}

void RuleLanes::find_characteristics(const Network& network, bool inbound, std::uint64_t wanted) {
  for (unsigned i = 0; i < n; ++i) {
    if ((wanted & kAuthenticated) != 0) {
      characteristics[i] =
          orrery::fib::characteristics({&network, member[i], inbound, 0}, frame[i]) & wanted;
      continue;
    }
    const RuleFrame& f = frame[i];
    std::uint64_t bits = inbound ? std::uint64_t{1} << 63 : 0;
    if (f.mac_destination.is_multicast()) bits |= std::uint64_t{1} << 62;
    if (f.mac_destination.is_broadcast()) bits |= std::uint64_t{1} << 61;
    characteristics[i] = (bits | tcp_bits(f)) & wanted;
  }
}

}  // namespace orrery::fib
