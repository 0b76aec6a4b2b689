#include "fib/rule_judge.h"

#include <bit>

namespace orrery::fib {
namespace {

using Kind = FlowVerdicts::Kind;

Kind kind_of(Filter filter) {
  switch (filter) {
    case Filter::kAccept:
      return Kind::kAccept;
    case Filter::kSuperAccept:
      return Kind::kSuperAccept;
    case Filter::kDrop:
      break;
  }
  return Kind::kDrop;
}

/// Whether any of the lanes may need one, which are asked about frame by frame.
bool any_capability(const Network& network, bool inbound, const RuleLanes& lanes) {
  if (!inbound) return !network.capabilities.empty();
  for (unsigned i = 0; i < lanes.n; ++i) {
    if (lanes.member[i] != nullptr && !lanes.member[i]->capabilities.empty()) return true;
  }
  return false;
}

template <typename Do>
void for_each_lane(std::uint64_t lanes, Do act) {
  for (; lanes != 0; lanes &= lanes - 1) act(static_cast<unsigned>(std::countr_zero(lanes)));
}

}  // namespace

const RuleNeeds& RuleJudge::needs_of_member(const Member& member) {
  MemberNeeds& known = members_[member.revision % members_.size()];
  if (known.revision != member.revision || member.revision == 0)
    known = {member.revision, needs_of(member.capabilities)};
  return known.needs;
}

RuleNeeds RuleJudge::needs_of_lanes(const ReadyRules& rules, bool inbound, const RuleLanes& lanes) {
  RuleNeeds needs = rules.needs;
  if (!inbound) {
    needs |= rules.capabilities;
    return needs;
  }
  const Member* last = nullptr;
  for (unsigned i = 0; i < lanes.n; ++i) {
    if (lanes.member[i] == last) continue;
    last = lanes.member[i];
    if (last != nullptr && !last->capabilities.empty()) needs |= needs_of_member(*last);
  }
  return needs;
}

void RuleJudge::ask(const Network& network, const ReadyRules& rules, bool inbound, bool copies,
                    const RuleLanes& lanes, std::uint64_t remember, Judged& out, RuleHits& hits,
                    std::uint64_t by_capability) {
  static constexpr Member kNobody{};
  for_each_lane(out.asked, [&](unsigned i) {
    const Member* member = lanes.member[i];
    const RuleFrame& frame = lanes.frame[i];
    FilterVerdict& verdict = out.verdict[i];
    verdict =
        inbound ? filter_in(network, member != nullptr ? *member : kNobody, frame, lanes.random[i])
                : filter_out(network, member, frame, !copies, lanes.random[i]);
    const std::uint64_t bit = std::uint64_t{1} << i;
    std::size_t rule = decided_by_[i];
    if ((by_capability & bit) != 0) {
      rule = verdict.filter == Filter::kDrop && verdict.emissions == 0 ? rules.nobody()
                                                                       : rules.by_capability();
      hits.add(rule, bit);
    }
    if ((remember & bit) != 0 && verdict.emissions == 0)
      flows_.remember(i, {kind_of(verdict.filter), static_cast<std::uint16_t>(rule)});
  });
}

void RuleJudge::judge(const Network& network, const ReadyRules& rules, bool inbound, bool copies,
                      const RuleNeeds& needs, RuleLanes& lanes, Judged& out, RuleHits& hits) {
  const std::uint64_t all = first_lanes(lanes.n);
  if (needs.characteristics != 0)
    lanes.find_characteristics(network, inbound, needs.characteristics);
  const bool look = flows_.enabled() && needs.cacheable() &&
                    (rules.program.size() >= from_ || any_capability(network, inbound, lanes));
  out.drop = out.accept = out.super_accept = out.asked = 0;
  std::uint64_t known = 0;
  if (look) {
    known = flows_.look(network, inbound, needs, lanes, all, known_);
    found_ += static_cast<std::uint64_t>(std::popcount(known));
    for_each_lane(known, [&](unsigned i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      const FlowVerdicts::Verdict verdict = known_[i];
      (verdict.kind == Kind::kDrop     ? out.drop
       : verdict.kind == Kind::kAccept ? out.accept
                                       : out.super_accept) |= bit;
      hits.add_one(verdict.rule);
    });
  }
  const std::uint64_t unknown = all & ~known;
  if (unknown == 0) return;
  const ListMasks list = rules.program.run(network, inbound, lanes, unknown, hits,
                                           look ? decided_by_.data() : nullptr);
  std::uint64_t capable = 0;  // lanes that a capability may still let through
  if (!inbound) {
    if (!network.capabilities.empty()) capable = list.no_match;
  } else {
    for_each_lane(list.no_match, [&](unsigned i) {
      if (lanes.member[i] != nullptr && !lanes.member[i]->capabilities.empty())
        capable |= std::uint64_t{1} << i;
    });
  }
  const std::uint64_t nobody = list.no_match & ~capable;
  if (nobody != 0) hits.add(rules.nobody(), nobody);
  if (look) {
    const auto remember = [&](std::uint64_t lanes_of, Kind kind) {
      for_each_lane(lanes_of, [&](unsigned i) {
        const std::uint16_t by = decided_by_[i];
        const bool none = by == RuleProgram::kNobody || (nobody >> i & 1) != 0;
        flows_.remember(i, {kind, none ? static_cast<std::uint16_t>(rules.nobody()) : by});
      });
    };
    remember(list.drop | nobody, Kind::kDrop);
    remember(list.accept, Kind::kAccept);
    remember(inbound ? list.super_accept : 0, Kind::kSuperAccept);
    remember(inbound ? 0 : list.super_accept, Kind::kAccept);
  }
  out.drop |= list.drop | nobody;
  out.accept |= list.accept | (inbound ? 0 : list.super_accept);
  out.super_accept |= inbound ? list.super_accept : 0;
  out.asked = list.forwards | capable;
  // Without copies a verdict says nothing of those that belong to it.
  if (out.asked != 0)
    ask(network, rules, inbound, copies, lanes, look && copies ? capable : 0, out, hits, capable);
}

}  // namespace orrery::fib
