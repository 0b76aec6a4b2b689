#include "fib/rules.h"

#include <algorithm>
#include <optional>

#include "fib/rule_packet.h"
#include "wire/vlan.h"

namespace orrery::fib {
namespace {

using wire::Rule;
using wire::RuleType;

/// Result of one match. "Definite" ones are not inverted by NOT.
enum class Match : std::uint8_t { kNo, kYes, kDefiniteNo, kDefiniteYes };

Match plain(bool yes) {
  return yes ? Match::kYes : Match::kNo;
}

RuleStep step_of(Match match) {
  switch (match) {
    case Match::kNo:
      return RuleStep::kNo;
    case Match::kYes:
      return RuleStep::kYes;
    case Match::kDefiniteNo:
      return RuleStep::kDefiniteNo;
    case Match::kDefiniteYes:
      break;
  }
  return RuleStep::kDefiniteYes;
}

/// What one frame is, found once for all lists that judge it.
class FrameFacts {
 public:
  FrameFacts(const RuleContext& context, const RuleFrame& frame)
      : c_(context), f_(frame), p_(frame.payload) {
    ipv4 = is_ipv4(f_.ethertype, p_);
    ipv6 = is_ipv6(f_.ethertype, p_);
    if (ipv6) upper = walk_ipv6(p_);
  }

  /// Computed when first asked for: the authentication bits cost look-ups. Source: section 5.
  [[nodiscard]] std::uint64_t characteristics() {
    if (!characteristics_) characteristics_ = find_characteristics();
    return *characteristics_;
  }

  bool ipv4 = false;
  bool ipv6 = false;
  std::optional<UpperLayer> upper;

 private:
  [[nodiscard]] std::uint64_t find_characteristics() const;
  [[nodiscard]] bool ip_authenticated() const;

  const RuleContext& c_;
  const RuleFrame& f_;
  Bytes p_;
  std::optional<std::uint64_t> characteristics_;
};

/// One rule list over one frame.
class Evaluation {
 public:
  Evaluation(const RuleContext& context, const RuleFrame& frame, FrameFacts& facts)
      : c_(context), f_(frame), facts_(facts), p_(frame.payload) {}

  ListVerdict run(std::span<const Rule> rules);

 private:
  void told(std::size_t index, RuleStep step) const {
    if (c_.observer != nullptr) [[unlikely]]
      c_.observer->on_step(index, step);
  }

  /// An action whose set matches.
  [[nodiscard]] RuleStep act(RuleType type, const Rule& rule, wire::Address target,
                             ListVerdict& verdict);
  [[nodiscard]] Match match(const Rule& rule);
  [[nodiscard]] Match ipv4_in(const Rule& rule, std::size_t offset) const;
  [[nodiscard]] Match ipv6_in(const Rule& rule, std::size_t offset) const;
  [[nodiscard]] Match icmp(const Rule& rule) const;
  [[nodiscard]] Match ports(const Rule& rule, std::size_t offset) const;
  [[nodiscard]] Match tags(const Rule& rule);
  [[nodiscard]] Match tag_of(const Rule& rule, bool sender);

  const RuleContext& c_;
  const RuleFrame& f_;
  FrameFacts& facts_;
  Bytes p_;
  bool super_accept_ = false;
  bool skip_drop_ = false;
};

ListVerdict Evaluation::run(std::span<const Rule> rules) {
  ListVerdict verdict;
  bool set = true;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Rule& rule = rules[i];
    if (!rule.is_action()) {
      if (!set && !rule.is_or()) {
        told(i, RuleStep::kNotLooked);
        continue;
      }
      const Match m = match(rule);
      told(i, step_of(m));
      const bool yes = m == Match::kDefiniteYes ||
                       (m != Match::kDefiniteNo && ((m == Match::kYes) != rule.is_not()));
      set = rule.is_or() ? (set || yes) : (set && yes);
      continue;
    }
    const auto type = static_cast<RuleType>(rule.code());
    const bool forwards = type == RuleType::kActionTee || type == RuleType::kActionWatch ||
                          type == RuleType::kActionRedirect;
    const wire::Address target{load_be64(rule.data.data()) & 0xffffffffffULL};
    if (!set) {
      told(i, RuleStep::kNotTaken);
      if (c_.inbound && forwards && target == c_.network->self) super_accept_ = true;
      set = true;
      continue;
    }
    const RuleStep step = act(type, rule, target, verdict);
    told(i, step);
    if (step == RuleStep::kDecides) return verdict;
  }
  return verdict;
}

RuleStep Evaluation::act(RuleType type, const Rule& rule, wire::Address target,
                         ListVerdict& verdict) {
  switch (type) {
    case RuleType::kActionTee:
    case RuleType::kActionWatch:
    case RuleType::kActionRedirect: {
      if (target == f_.source) return RuleStep::kWithout;
      if (target == c_.network->self) {
        if (!c_.inbound) return RuleStep::kWithout;
        verdict.result = ListResult::kSuperAccept;
        return RuleStep::kDecides;
      }
      if (target == f_.destination) return RuleStep::kWithout;
      if (type == RuleType::kActionRedirect) {
        verdict.result = ListResult::kRedirect;
        verdict.redirect_to = target;
        return RuleStep::kDecides;
      }
      const std::uint16_t limit = load_be16(rule.data.data() + 12);
      verdict.copy_to = target;
      verdict.copy_length = static_cast<std::uint32_t>(
          f_.tag + (limit == 0 ? p_.size() : std::min<std::size_t>(limit, p_.size())));
      verdict.copy_watch = type == RuleType::kActionWatch;
      return RuleStep::kCopies;
    }
    case RuleType::kActionDrop:
      if (skip_drop_) {
        skip_drop_ = false;
        return RuleStep::kSpared;
      }
      verdict.result = ListResult::kDrop;
      return RuleStep::kDecides;
    case RuleType::kActionAccept:
      verdict.result = super_accept_ ? ListResult::kSuperAccept : ListResult::kAccept;
      return RuleStep::kDecides;
    case RuleType::kActionPriority:
      verdict.bucket = rule.data[0] <= 8 ? rule.data[0] : std::uint8_t{4};
      verdict.result = ListResult::kAccept;
      return RuleStep::kDecides;
    case RuleType::kActionBreak:
      verdict.result = ListResult::kNoMatch;
      return RuleStep::kDecides;
    default:
      return RuleStep::kWithout;  // an action of a later version
  }
}

Match Evaluation::match(const Rule& rule) {
  const std::uint8_t* d = rule.data.data();
  switch (static_cast<RuleType>(rule.code())) {
    case RuleType::kMatchSourceZeroTierAddress:
    case RuleType::kMatchDestZeroTierAddress: {
      const wire::Address wanted{(std::uint64_t{d[0]} << 32) | load_be32(d + 1)};
      const bool source =
          static_cast<RuleType>(rule.code()) == RuleType::kMatchSourceZeroTierAddress;
      return plain(wanted == (source ? f_.source : f_.destination));
    }
    case RuleType::kMatchVlanId:
      return plain(load_be16(d) == wire::vlan_of(f_.tag_control));
    case RuleType::kMatchVlanPcp:
      return plain(d[0] == f_.tag_control >> 13);
    case RuleType::kMatchVlanDei:
      return plain(d[0] == (f_.tag_control >> 12 & 1));
    case RuleType::kMatchMacSource:
      return plain(wire::Mac::load(d) == f_.mac_source);
    case RuleType::kMatchMacDest:
      return plain(wire::Mac::load(d) == f_.mac_destination);
    case RuleType::kMatchIpv4Source:
      return ipv4_in(rule, 12);
    case RuleType::kMatchIpv4Dest:
      return ipv4_in(rule, 16);
    case RuleType::kMatchIpv6Source:
      return ipv6_in(rule, 8);
    case RuleType::kMatchIpv6Dest:
      return ipv6_in(rule, 24);
    case RuleType::kMatchIpTos: {
      if (!facts_.ipv4 && !facts_.ipv6) return Match::kDefiniteNo;
      const auto tos = static_cast<std::uint8_t>(
          (facts_.ipv4 ? p_[1] : static_cast<std::uint8_t>((p_[0] << 4) | (p_[1] >> 4))) & d[0]);
      return plain(tos >= d[1] && tos <= d[2]);
    }
    case RuleType::kMatchIpProtocol:
      if (facts_.ipv4) return plain(p_[9] == d[0]);
      if (facts_.upper) return plain(facts_.upper->protocol == d[0]);
      return Match::kDefiniteNo;
    case RuleType::kMatchEthertype:
      return plain(load_be16(d) == f_.ethertype);
    case RuleType::kMatchIcmp:
      return icmp(rule);
    case RuleType::kMatchIpSourcePortRange:
      return ports(rule, 0);
    case RuleType::kMatchIpDestPortRange:
      return ports(rule, 2);
    case RuleType::kMatchCharacteristics:
      return plain((facts_.characteristics() & load_be64(d)) != 0);
    case RuleType::kMatchFrameSizeRange:
      return plain(p_.size() >= load_be16(d) && p_.size() <= load_be16(d + 2));
    case RuleType::kMatchRandom:
      return plain(c_.random <= load_be32(d));
    case RuleType::kMatchTagsDifference:
    case RuleType::kMatchTagsBitwiseAnd:
    case RuleType::kMatchTagsBitwiseOr:
    case RuleType::kMatchTagsBitwiseXor:
    case RuleType::kMatchTagsEqual:
      return tags(rule);
    case RuleType::kMatchTagSender:
      return tag_of(rule, true);
    case RuleType::kMatchTagReceiver:
      return tag_of(rule, false);
    case RuleType::kMatchIntegerRange:
      return plain(integer_in_range(rule, p_));
    default:
      return plain(c_.network->unknown_match_result);
  }
}

Match Evaluation::ipv4_in(const Rule& rule, std::size_t offset) const {
  if (!facts_.ipv4) return Match::kDefiniteNo;
  const auto mask = prefix_mask<std::uint32_t>(rule.data[4]);
  const std::uint32_t ip = load_be32(p_.data() + offset);
  return plain(((ip ^ load_be32(rule.data.data())) & mask) == 0);
}

Match Evaluation::ipv6_in(const Rule& rule, std::size_t offset) const {
  if (!facts_.ipv6) return Match::kDefiniteNo;
  const unsigned bits = rule.data[16];
  const auto high = prefix_mask<std::uint64_t>(bits);
  const auto low = prefix_mask<std::uint64_t>(bits > 64 ? bits - 64 : 0);
  const std::uint8_t* ip = p_.data() + offset;
  // The rule's address is not masked: with host bits set it never matches.
  return plain((load_be64(ip) & high) == load_be64(rule.data.data()) &&
               (load_be64(ip + 8) & low) == load_be64(rule.data.data() + 8));
}

Match Evaluation::icmp(const Rule& rule) const {
  std::size_t position = 0;
  if (facts_.ipv4 && p_[9] == 1) {
    position = behind_ipv4(p_);
  } else if (facts_.upper && facts_.upper->protocol == 58) {
    position = facts_.upper->position;
  } else {
    return Match::kDefiniteNo;
  }
  if (p_.size() < position + 2 || p_[position] != rule.data[0]) return Match::kDefiniteNo;
  if ((rule.data[2] & 1) == 0) return Match::kDefiniteYes;
  return plain(p_[position + 1] == rule.data[1]);
}

Match Evaluation::ports(const Rule& rule, std::size_t offset) const {
  const std::uint16_t first = load_be16(rule.data.data());
  const std::uint16_t last = load_be16(rule.data.data() + 2);
  if (facts_.ipv4) {
    const std::size_t header = behind_ipv4(p_);
    if (!has_ports(p_[9]) || p_.size() <= header + 4) return Match::kNo;
    const std::uint16_t port = load_be16(p_.data() + header + offset);
    return plain(port >= first && port <= last);
  }
  if (!facts_.upper) return Match::kDefiniteNo;
  if (!has_ports(facts_.upper->protocol) || p_.size() <= facts_.upper->position + 4)
    return Match::kNo;
  const std::uint16_t port = load_be16(p_.data() + facts_.upper->position + offset);
  return plain(port != 0 && port >= first && port <= last);
}

Match Evaluation::tags(const Rule& rule) {
  const std::uint32_t id = load_be32(rule.data.data());
  const std::uint32_t value = load_be32(rule.data.data() + 4);
  const auto local = tag_value(c_.network->tags, id);
  if (!local) return Match::kDefiniteNo;
  const auto remote = c_.remote != nullptr ? tag_value(c_.remote->tags, id) : std::nullopt;
  if (!remote) {
    if (c_.inbound && !super_accept_) return Match::kDefiniteNo;
    skip_drop_ = true;
    return Match::kDefiniteYes;
  }
  return plain(compare_tags(static_cast<RuleType>(rule.code()), *local, *remote, value));
}

Match Evaluation::tag_of(const Rule& rule, bool sender) {
  const std::uint32_t id = load_be32(rule.data.data());
  const std::uint32_t value = load_be32(rule.data.data() + 4);
  if (super_accept_) {
    skip_drop_ = true;
    return Match::kDefiniteYes;
  }
  if (sender == c_.inbound) {  // the tag is the peer's
    const auto remote = c_.remote != nullptr ? tag_value(c_.remote->tags, id) : std::nullopt;
    if (remote) return plain(*remote == value);
    if (sender) return Match::kDefiniteNo;
    skip_drop_ = true;
    return Match::kDefiniteYes;
  }
  const auto local = tag_value(c_.network->tags, id);
  return local ? plain(*local == value) : Match::kDefiniteNo;
}

bool owns_ip(const Ownership& ownership, const wire::Endpoint& ip) {
  return std::any_of(ownership.ips.begin(), ownership.ips.end(),
                     [&](const auto& o) { return o.same_ip(ip); });
}

bool FrameFacts::ip_authenticated() const {
  wire::Endpoint ip;
  if (ipv4) {
    ip = wire::Endpoint::v4(load_be32(p_.data() + 12), 0);
  } else if (ipv6) {
    ip = wire::Endpoint::v6(p_.subspan(8, 16), 0);
    if (p_[6] == 58 && p_.size() >= 64) {
      if (p_[40] == 135) return true;  // a solicitation is always authenticated
      if (p_[40] == 136) ip = wire::Endpoint::v6(p_.subspan(48, 16), 0);
    }
  } else if (f_.ethertype == kEtherArp && p_.size() >= 28) {
    ip = wire::Endpoint::v4(load_be32(p_.data() + 14), 0);
  } else {
    return false;
  }
  if (!c_.inbound) return owns_ip(c_.network->ownership, ip);
  if (c_.remote == nullptr) return false;
  if (owns_ip(c_.remote->ownership, ip)) return true;
  // Derived IPv6 addresses need no certificate. Stricter than the reference, which does not check
  // that the address embeds the sender's: docs/protocol/08-credentials.md section 10.2.
  if (!c_.network->ndp_emulation || ip.family != 6) return false;
  const wire::Endpoint plane = wire::sixplane_address(c_.network->self, c_.network->id);
  const wire::Endpoint rfc = wire::rfc4193_address(c_.network->self, c_.network->id);
  for (const wire::Endpoint& mine : c_.network->static_ips) {
    const bool is_plane = mine.same_ip(plane);
    if (!is_plane && !mine.same_ip(rfc)) continue;
    // A member owns a /80 of 6PLANE, and one address of the other form.
    const wire::Endpoint theirs = is_plane ? wire::sixplane_address(f_.source, c_.network->id)
                                           : wire::rfc4193_address(f_.source, c_.network->id);
    const std::ptrdiff_t owned = is_plane ? 10 : 16;  // bytes
    if (std::equal(ip.ip.begin(), ip.ip.begin() + owned, theirs.ip.begin())) return true;
  }
  return false;
}

std::uint64_t FrameFacts::find_characteristics() const {
  std::uint64_t bits = 0;
  if (c_.inbound) bits |= std::uint64_t{1} << 63;
  if (f_.mac_destination.is_multicast()) bits |= std::uint64_t{1} << 62;
  if (f_.mac_destination.is_broadcast()) bits |= std::uint64_t{1} << 61;
  if (ip_authenticated()) bits |= std::uint64_t{1} << 60;
  const Ownership* owner = c_.inbound ? (c_.remote != nullptr ? &c_.remote->ownership : nullptr)
                                      : &c_.network->ownership;
  if (owner != nullptr &&
      std::find(owner->macs.begin(), owner->macs.end(), f_.mac_source) != owner->macs.end()) {
    bits |= std::uint64_t{1} << 59;
  }
  return bits | tcp_bits(f_);
}

void emit(FilterVerdict& verdict, wire::Address to, std::uint8_t flags, std::size_t length) {
  verdict.emit[verdict.emissions++] = {to, flags, static_cast<std::uint32_t>(length)};
}

// EXT_FRAME flags. Source: section 7.1.
struct EmissionFlags {
  std::uint8_t tee, watch, redirect;
};

constexpr EmissionFlags kOutFlags{0x02, 0x16, 0x04};
constexpr EmissionFlags kInFlags{0x08, 0x1c, 0x0a};

void emit_copy(FilterVerdict& verdict, const ListVerdict& list, const EmissionFlags& flags) {
  if (list.copy_to)
    emit(verdict, list.copy_to, list.copy_watch ? flags.watch : flags.tee, list.copy_length);
}

/// Base list first, then capabilities while nothing matched; copies and redirects as the
/// direction's flags say.
FilterVerdict filter(const RuleContext& context, const RuleFrame& frame,
                     std::span<const CapabilityRules> capabilities, bool copies) {
  FilterVerdict verdict;
  const EmissionFlags& flags = context.inbound ? kInFlags : kOutFlags;
  FrameFacts facts(context, frame);
  if (context.observer != nullptr) context.observer->on_list(nullptr);
  const ListVerdict base = Evaluation(context, frame, facts).run(context.network->rules);
  ListVerdict deciding = base;
  if (base.result == ListResult::kNoMatch) {
    for (const CapabilityRules& capability : capabilities) {
      if (context.observer != nullptr) context.observer->on_list(&capability);
      const ListVerdict list = Evaluation(context, frame, facts).run(*capability.rules);
      // A DROP only ends that capability.
      if (list.result == ListResult::kNoMatch || list.result == ListResult::kDrop) continue;
      deciding = list;
      if (copies) emit_copy(verdict, list, flags);
      break;
    }
  }
  if (deciding.result == ListResult::kNoMatch || deciding.result == ListResult::kDrop) return {};
  verdict.filter = context.inbound && deciding.result == ListResult::kSuperAccept
                       ? Filter::kSuperAccept
                       : Filter::kAccept;
  verdict.bucket = deciding.bucket;
  if (copies) emit_copy(verdict, base, flags);
  if (deciding.result == ListResult::kRedirect) {
    emit(verdict, deciding.redirect_to, flags.redirect, frame.tag + frame.payload.size());
    verdict.filter = Filter::kDrop;
  }
  return verdict;
}

}  // namespace

bool integer_in_range(const wire::Rule& rule, Bytes payload) {
  const std::uint64_t start = load_be64(rule.data.data());
  // A reader keeps the width of the range in 32 bits.
  const std::uint64_t end =
      start + static_cast<std::uint32_t>(load_be64(rule.data.data() + 8) - start);
  const std::size_t index = load_be16(rule.data.data() + 16);
  const std::uint8_t format = rule.data[18];
  const unsigned bits = (format & 63u) + 1;
  const std::size_t bytes = (bits + 7) / 8;
  const bool little = (format & 0x80) != 0;
  const std::size_t begin = little ? index : index + (8 - bytes);
  std::uint64_t value = 0;
  if (begin + bytes <= payload.size()) {
    for (std::size_t i = 0; i < bytes; ++i) {
      value = (value << 8) | payload[begin + (little ? bytes - 1 - i : i)];
    }
    if (!little && bits < 64) value &= (std::uint64_t{1} << bits) - 1;
    if (little && bits % 8 != 0) value = (value << (64 - 8 * bytes)) >> (64 - bits);
  }
  return value >= start && value <= end;
}

std::uint64_t tcp_bits(const RuleFrame& frame) {
  const Bytes p = frame.payload;
  std::size_t tcp = 0;
  if (is_ipv4(frame.ethertype, p)) {
    if (p[9] != 6) return 0;
    tcp = behind_ipv4(p);
  } else if (is_ipv6(frame.ethertype, p)) {
    const auto upper = walk_ipv6(p);
    if (!upper || upper->protocol != 6 || p.size() <= upper->position + 14) return 0;
    tcp = upper->position;
  } else {
    return 0;
  }
  std::uint64_t bits = p.size() > tcp + 13 ? p[tcp + 13] : 0;
  if (p.size() > tcp + 12) bits |= std::uint64_t{p[tcp + 12] & 0x0fu} << 8;
  return bits;
}

std::uint64_t characteristics(const RuleContext& context, const RuleFrame& frame) {
  return FrameFacts(context, frame).characteristics();
}

ListVerdict evaluate(const RuleContext& context, const RuleFrame& frame,
                     std::span<const wire::Rule> rules) {
  FrameFacts facts(context, frame);
  return Evaluation(context, frame, facts).run(rules);
}

FilterVerdict filter_out(const Network& network, const Member* remote, const RuleFrame& frame,
                         bool no_tee, std::uint32_t random, RuleObserver* observer) {
  return filter({&network, remote, false, random, observer}, frame, network.capabilities, !no_tee);
}

FilterVerdict filter_in(const Network& network, const Member& member, const RuleFrame& frame,
                        std::uint32_t random, RuleObserver* observer) {
  return filter({&network, &member, true, random, observer}, frame, member.capabilities, true);
}

}  // namespace orrery::fib
