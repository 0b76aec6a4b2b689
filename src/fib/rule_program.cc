#include "fib/rule_program.h"

#include <emmintrin.h>

#include <bit>

#include "wire/vlan.h"

namespace orrery::fib {
namespace {

using wire::Rule;
using wire::RuleType;

/// So many lanes are asked about sooner one by one than all at once.
constexpr int kFew = 4;

/// Bit i: `test` of lane i. A loop without branches over one array, which the compiler makes into a
/// few comparisons of whole registers.
template <typename T, typename Test>
std::uint64_t all_lanes_where(const RuleLanes::Lane<T>& lane, Test test) {
  alignas(64) std::array<std::uint8_t, kRuleLanes> yes;
  for (unsigned i = 0; i < kRuleLanes; ++i) yes[i] = test(lane[i]) ? 0xff : 0;
  std::uint64_t mask = 0;
  for (unsigned i = 0; i < kRuleLanes; i += 16) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(yes.data() + i));
    mask |= static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(bytes))) << i;
  }
  return mask;
}

/// The same for few lanes, one after another.
template <typename Test>
std::uint64_t each_lane_where(std::uint64_t lanes, Test test) {
  std::uint64_t mask = 0;
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(lanes));
    if (test(i)) mask |= std::uint64_t{1} << i;
  }
  return mask;
}

bool is_few(std::uint64_t lanes) {
  for (int i = 0; i < kFew; ++i) lanes &= lanes - 1;
  return lanes == 0;
}

}  // namespace

/// Of one run over the lanes.
struct RuleProgram::State {
  const Network& network;
  const RuleLanes& lanes;
  bool inbound;
  std::uint64_t live;              // lanes that nothing has decided
  std::uint64_t set = ~0ull;       // lanes whose set matches so far
  std::uint64_t super_accept = 0;  // an observer that a set named
  std::uint64_t skip_drop = 0;     // a tag was guessed: the next DROP is spared
  // Of the match that was asked last.
  std::uint64_t yes = 0, definite_yes = 0, definite_no = 0;
  std::uint64_t look = 0;  // the lanes it was asked about; others mean nothing
  bool few = false;        // lanes are undecided

  template <typename T, typename Test>
  [[nodiscard]] std::uint64_t where(const RuleLanes::Lane<T>& lane, Test test) const {
    if (few) return each_lane_where(look, [&](unsigned i) { return test(lane[i]); });
    return all_lanes_where(lane, test);
  }

  template <typename T>
  [[nodiscard]] std::uint64_t in_range(const RuleLanes::Lane<T>& lane, std::uint64_t first,
                                       std::uint64_t last) const {
    if (last < first) return 0;
    const auto low = static_cast<T>(first);
    const auto width = static_cast<T>(last - first);
    return where(lane, [=](T v) { return static_cast<T>(v - low) <= width; });
  }
};

RuleProgram::Op RuleProgram::op_of(const Rule& rule, const Network& network) {
  const std::uint8_t* d = rule.data.data();
  Op op;
  op.type = static_cast<RuleType>(rule.code());
  op.is_not = rule.is_not();
  op.is_or = rule.is_or();
  op.action = rule.is_action();
  op.rule = &rule;
  switch (op.type) {
    case RuleType::kActionTee:
    case RuleType::kActionWatch:
    case RuleType::kActionRedirect:
      op.a = load_be64(d) & 0xffffffffffULL;
      break;
    case RuleType::kMatchSourceZeroTierAddress:
    case RuleType::kMatchDestZeroTierAddress:
      op.a = (std::uint64_t{d[0]} << 32) | load_be32(d + 1);
      break;
    case RuleType::kMatchVlanPcp:
    case RuleType::kMatchVlanDei:
    case RuleType::kMatchIpProtocol:
      op.a = d[0];
      break;
    case RuleType::kMatchVlanId:
    case RuleType::kMatchEthertype:
      op.a = load_be16(d);
      break;
    case RuleType::kMatchMacSource:
    case RuleType::kMatchMacDest:
      op.a = wire::Mac::load(d).value;
      break;
    case RuleType::kMatchIpv4Source:
    case RuleType::kMatchIpv4Dest:
      op.b = prefix_mask<std::uint32_t>(d[4]);
      op.a = load_be32(d) & op.b;
      break;
    case RuleType::kMatchIpv6Source:
    case RuleType::kMatchIpv6Dest:
      op.a = load_be64(d);
      op.b = load_be64(d + 8);
      op.c = prefix_mask<std::uint64_t>(d[16]);
      op.d = prefix_mask<std::uint64_t>(d[16] > 64 ? d[16] - 64u : 0);
      break;
    case RuleType::kMatchIpTos:
    case RuleType::kMatchIcmp:
      op.a = d[0];
      op.b = d[1];
      op.c = d[2];
      break;
    case RuleType::kMatchIpSourcePortRange:
    case RuleType::kMatchIpDestPortRange:
    case RuleType::kMatchFrameSizeRange:
      op.a = load_be16(d);
      op.b = load_be16(d + 2);
      break;
    case RuleType::kMatchCharacteristics:
      op.a = load_be64(d);
      break;
    case RuleType::kMatchRandom:
      op.a = load_be32(d);
      break;
    case RuleType::kMatchTagsDifference:
    case RuleType::kMatchTagsBitwiseAnd:
    case RuleType::kMatchTagsBitwiseOr:
    case RuleType::kMatchTagsBitwiseXor:
    case RuleType::kMatchTagsEqual:
    case RuleType::kMatchTagSender:
    case RuleType::kMatchTagReceiver: {
      op.a = load_be32(d);
      op.b = load_be32(d + 4);
      const auto local = tag_value(network.tags, static_cast<std::uint32_t>(op.a));
      op.local_known = local.has_value();
      op.local = local.value_or(0);
      break;
    }
    default:
      break;
  }
  return op;
}

RuleProgram::RuleProgram(const Network& network) : needs_(needs_of(network.rules)) {
  ops_.reserve(network.rules.size());
  for (const Rule& rule : network.rules) ops_.push_back(op_of(rule, network));
}

void RuleProgram::tags(const Op& op, State& s) {
  const std::uint64_t look = s.look;
  if (!op.local_known) {
    s.definite_no = ~0ull;
    return;
  }
  const Member* member = nullptr;
  std::optional<std::uint32_t> remote;
  for (std::uint64_t left = look; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    const std::uint64_t bit = left & -left;
    if (left == look || s.lanes.member[i] != member) {
      member = s.lanes.member[i];
      remote = member != nullptr ? tag_value(member->tags, static_cast<std::uint32_t>(op.a))
                                 : std::nullopt;
    }
    if (remote) {
      if (compare_tags(op.type, op.local, *remote, static_cast<std::uint32_t>(op.b))) s.yes |= bit;
    } else if (s.inbound && (s.super_accept & bit) == 0) {
      s.definite_no |= bit;
    } else {
      s.skip_drop |= bit;
      s.definite_yes |= bit;
    }
  }
}

void RuleProgram::tag_of(const Op& op, State& s) {
  const std::uint64_t look = s.look;
  const bool sender = op.type == RuleType::kMatchTagSender;
  const std::uint64_t trusted = look & s.super_accept;
  s.skip_drop |= trusted;
  s.definite_yes |= trusted;
  const auto value = static_cast<std::uint32_t>(op.b);
  if (sender != s.inbound) {  // the tag is ours
    if (!op.local_known) {
      s.definite_no |= ~trusted;
    } else if (op.local == value) {
      s.yes = ~0ull;
    }
    return;
  }
  for (std::uint64_t left = look & ~trusted; left != 0; left &= left - 1) {
    const Member* member = s.lanes.member[static_cast<unsigned>(std::countr_zero(left))];
    const std::uint64_t bit = left & -left;
    const auto remote = member != nullptr
                            ? tag_value(member->tags, static_cast<std::uint32_t>(op.a))
                            : std::nullopt;
    if (remote) {
      if (*remote == value) s.yes |= bit;
    } else if (sender) {
      s.definite_no |= bit;
    } else {
      s.skip_drop |= bit;
      s.definite_yes |= bit;
    }
  }
}

void RuleProgram::match(const Op& op, State& s) {
  const std::uint64_t look = s.look;
  const RuleLanes& l = s.lanes;
  s.yes = s.definite_yes = s.definite_no = 0;
  const auto frames = [&](auto value_of) {
    s.yes = each_lane_where(look, [&](unsigned i) { return value_of(l.frame[i]) == op.a; });
  };
  const auto ipv4 = [&](const RuleLanes::Lane<std::uint32_t>& lane) {
    const auto wanted = static_cast<std::uint32_t>(op.a);
    const auto mask = static_cast<std::uint32_t>(op.b);
    s.definite_no = ~l.ipv4;
    s.yes = s.where(lane, [=](std::uint32_t ip) { return (ip & mask) == wanted; });
  };
  const auto ipv6 = [&](std::size_t offset) {
    s.definite_no = ~l.ipv6;
    s.yes = each_lane_where(look & l.ipv6, [&](unsigned i) {
      const std::uint8_t* ip = l.frame[i].payload.data() + offset;
      // The rule's address is not masked: with host bits set it never matches.
      return (load_be64(ip) & op.c) == op.a && (load_be64(ip + 8) & op.d) == op.b;
    });
  };
  const auto ports = [&](const RuleLanes::Lane<std::uint16_t>& lane) {
    s.definite_no = ~(l.ipv4 | l.upper);
    s.yes = l.ports & s.in_range(lane, op.a, op.b);
    // Port 0 counts as none in IPv6.
    if (op.a == 0) s.yes &= l.ipv4 | ~s.where(lane, [](std::uint16_t p) { return p == 0; });
  };
  switch (op.type) {
    case RuleType::kMatchSourceZeroTierAddress:
      return frames([](const RuleFrame& f) { return f.source.value; });
    case RuleType::kMatchDestZeroTierAddress:
      return frames([](const RuleFrame& f) { return f.destination.value; });
    case RuleType::kMatchMacSource:
      return frames([](const RuleFrame& f) { return f.mac_source.value; });
    case RuleType::kMatchMacDest:
      return frames([](const RuleFrame& f) { return f.mac_destination.value; });
    case RuleType::kMatchVlanId:
      s.yes = s.where(l.tag_control, [&](std::uint16_t tag) { return wire::vlan_of(tag) == op.a; });
      return;
    case RuleType::kMatchVlanPcp:
      s.yes = s.where(l.tag_control, [&](std::uint16_t tag) { return (tag >> 13) == op.a; });
      return;
    case RuleType::kMatchVlanDei:
      s.yes = s.where(l.tag_control, [&](std::uint16_t tag) { return (tag >> 12 & 1u) == op.a; });
      return;
    case RuleType::kMatchIpv4Source:
      return ipv4(l.ipv4_source);
    case RuleType::kMatchIpv4Dest:
      return ipv4(l.ipv4_destination);
    case RuleType::kMatchIpv6Source:
      return ipv6(8);
    case RuleType::kMatchIpv6Dest:
      return ipv6(24);
    case RuleType::kMatchIpTos: {
      const auto mask = static_cast<std::uint8_t>(op.a);
      const auto low = static_cast<std::uint8_t>(op.b), high = static_cast<std::uint8_t>(op.c);
      s.definite_no = ~(l.ipv4 | l.ipv6);
      s.yes = s.where(l.tos, [=](std::uint8_t tos) {
        const auto masked = static_cast<std::uint8_t>(tos & mask);
        return (masked >= low) & (masked <= high);
      });
      return;
    }
    case RuleType::kMatchIpProtocol: {
      const auto wanted = static_cast<std::uint8_t>(op.a);
      s.definite_no = ~(l.ipv4 | l.upper);
      s.yes = s.where(l.protocol, [=](std::uint8_t protocol) { return protocol == wanted; });
      return;
    }
    case RuleType::kMatchEthertype: {
      const auto wanted = static_cast<std::uint16_t>(op.a);
      s.yes = s.where(l.ethertype, [=](std::uint16_t ethertype) { return ethertype == wanted; });
      return;
    }
    case RuleType::kMatchIcmp: {
      const auto type = static_cast<std::uint8_t>(op.a), code = static_cast<std::uint8_t>(op.b);
      const std::uint64_t same =
          l.icmp & s.where(l.icmp_type, [=](std::uint8_t t) { return t == type; });
      s.definite_no = ~same;
      if ((op.c & 1) == 0) {
        s.definite_yes = same;
      } else {
        s.yes = s.where(l.icmp_code, [=](std::uint8_t c) { return c == code; });
      }
      return;
    }
    case RuleType::kMatchIpSourcePortRange:
      return ports(l.source_port);
    case RuleType::kMatchIpDestPortRange:
      return ports(l.destination_port);
    case RuleType::kMatchCharacteristics:
      s.yes = each_lane_where(look, [&](unsigned i) { return (l.characteristics[i] & op.a) != 0; });
      return;
    case RuleType::kMatchFrameSizeRange:
      s.yes = s.in_range(l.size, op.a, op.b);
      return;
    case RuleType::kMatchRandom:
      s.yes = each_lane_where(look, [&](unsigned i) { return l.random[i] <= op.a; });
      return;
    case RuleType::kMatchTagsDifference:
    case RuleType::kMatchTagsBitwiseAnd:
    case RuleType::kMatchTagsBitwiseOr:
    case RuleType::kMatchTagsBitwiseXor:
    case RuleType::kMatchTagsEqual:
      return tags(op, s);
    case RuleType::kMatchTagSender:
    case RuleType::kMatchTagReceiver:
      return tag_of(op, s);
    case RuleType::kMatchIntegerRange:
      s.yes = each_lane_where(
          look, [&](unsigned i) { return integer_in_range(*op.rule, l.frame[i].payload); });
      return;
    default:
      s.yes = s.network.unknown_match_result ? ~0ull : 0;
      return;
  }
}

ListMasks RuleProgram::run(const Network& network, bool inbound, const RuleLanes& lanes,
                           std::uint64_t live, RuleHits& hits, std::uint16_t* decided_by) const {
  State s{network, lanes, inbound, live};
  s.few = is_few(live);
  ListMasks masks;
  std::uint64_t copied = 0;
  const auto decide = [&](std::size_t rule, std::uint64_t taken, std::uint64_t& whose) {
    if (taken == 0) return;
    whose |= taken;
    s.live &= ~taken;
    s.few = is_few(s.live);
    // BREAK leaves the frame to capabilities, or nobody lets it through.
    if (&whose != &masks.no_match) hits.add(rule, taken);
    for (; decided_by != nullptr && taken != 0; taken &= taken - 1)
      decided_by[std::countr_zero(taken)] = static_cast<std::uint16_t>(rule);
  };
  if (decided_by != nullptr) std::fill_n(decided_by, kRuleLanes, kNobody);
  for (std::size_t k = 0; k < ops_.size() && s.live != 0; ++k) {
    const Op& op = ops_[k];
    if (!op.action) {
      const std::uint64_t look = op.is_or ? s.live : s.live & s.set;
      if (look == 0) continue;
      s.look = look;
      match(op, s);
      const std::uint64_t yes = s.definite_yes | (~s.definite_no & (op.is_not ? ~s.yes : s.yes));
      s.set = op.is_or ? s.set | (yes & look) : s.set & yes;
      continue;
    }
    const std::uint64_t taken = s.live & s.set, not_taken = s.live & ~s.set;
    s.set = ~0ull;
    switch (op.type) {
      case RuleType::kActionDrop: {
        const std::uint64_t spared = taken & s.skip_drop;
        s.skip_drop &= ~spared;
        decide(k, taken & ~spared, masks.drop);
        break;
      }
      case RuleType::kActionAccept:
        decide(k, taken, masks.accept);
        break;
      case RuleType::kActionPriority:
        decide(k, taken, masks.accept);
        // never SUPER_ACCEPT
        s.super_accept &= ~taken;
        break;
      case RuleType::kActionBreak:
        decide(k, taken, masks.no_match);
        break;
      case RuleType::kActionTee:
      case RuleType::kActionWatch:
      case RuleType::kActionRedirect: {
        const bool ours = op.a == network.self.value;
        const std::uint64_t others =
            each_lane_where(taken, [&](unsigned i) { return lanes.frame[i].source.value != op.a; });
        if (ours) {
          if (!inbound) break;
          s.super_accept |= not_taken;
          decide(k, others, masks.super_accept);
          break;
        }
        const std::uint64_t away = each_lane_where(
            others, [&](unsigned i) { return lanes.frame[i].destination.value != op.a; });
        if (op.type == RuleType::kActionRedirect) {
          decide(k, away, masks.forwards);
        } else if (away != 0) {
          copied |= away;
          hits.add(k, away);
        }
        break;
      }
      default:
        break;  // an action of a later version
    }
  }
  masks.no_match |= s.live;
  masks.super_accept |= masks.accept & s.super_accept;
  masks.accept &= ~s.super_accept;
  // A copy goes out if the frame is let through: by this list or a capability.
  const std::uint64_t with_copy = copied & (masks.accept | masks.super_accept);
  masks.forwards |= with_copy;
  masks.accept &= ~with_copy;
  masks.super_accept &= ~with_copy;
  return masks;
}

}  // namespace orrery::fib
