// The verdict of a network's rules over up to 64 frames: what flows are known to get
// (flow_verdicts.h), else what the list says (rule_program.h), else, for copies, redirects and
// capabilities, what the evaluator of one frame says (rules.h). All three say the same.
//
// One worker's; nothing is allocated after construction.
#pragma once

#include "fib/flow_verdicts.h"
#include "fib/rule_program.h"

namespace orrery::fib {

/// A network's rules, ready for use. Immutable; refers to the network, which outlives it.
struct ReadyRules {
  explicit ReadyRules(const Network& network)
      : program(network), needs(program.needs()), capabilities(needs_of(network.capabilities)) {}

  RuleProgram program;
  RuleNeeds needs;         // of the network's list
  RuleNeeds capabilities;  // of our own, which frames on their way out may use

  /// `Hits` beside those of the list's entries.
  [[nodiscard]] std::size_t nobody() const { return program.size(); }  // dropped: no rule accepts

  [[nodiscard]] std::size_t by_capability() const { return program.size() + 1; }

  /// Entries of the list, and these two.
  [[nodiscard]] std::size_t counts() const { return program.size() + 2; }
};

struct Judged {
  // Masks of lanes; each judged lane stands in one.
  std::uint64_t drop = 0, accept = 0, super_accept = 0;
  std::uint64_t asked = 0;                   // `verdict` has it, perhaps with copies
  RuleLanes::Lane<FilterVerdict> verdict{};  // of lanes in `asked`
};

class RuleJudge {
 public:
  /// Lists of fewer entries are gone through sooner than flows are looked up: see "Rules" in
  /// docs/performance.md.
  static constexpr std::size_t kWorthLooking = 128;

  /// `flows`: entries of the cache, 0 for none.
  explicit RuleJudge(std::size_t flows, std::uint64_t seed, std::size_t from = kWorthLooking)
      : flows_(flows, seed), from_(from) {}

  /// REQUIRES: all lanes are of this network, and the other end of each is its member; where that
  /// is null nobody is: the destination is not decided yet. `copies`: false in a pass whose copies
  /// were made before. `random`: where rules look at chance it is asked once for each lane.
  template <typename Random>
  void judge(const Network& network, const ReadyRules& rules, bool inbound, bool copies,
             RuleLanes& lanes, Judged& out, RuleHits& hits, Random random) {
    const RuleNeeds needs = needs_of_lanes(rules, inbound, lanes);
    if (!needs.cacheable()) {
      for (unsigned i = 0; i < lanes.n; ++i) lanes.random[i] = random();
    }
    judge(network, rules, inbound, copies, needs, lanes, out, hits);
  }

  /// Frames whose verdict was found in the cache, since the start.
  [[nodiscard]] std::uint64_t found() const { return found_; }

 private:
  /// What capabilities of one member look at, of one revision of it.
  struct MemberNeeds {
    std::uint64_t revision = 0;
    RuleNeeds needs;
  };

  [[nodiscard]] const RuleNeeds& needs_of_member(const Member& member);
  [[nodiscard]] RuleNeeds needs_of_lanes(const ReadyRules& rules, bool inbound,
                                         const RuleLanes& lanes);
  void judge(const Network& network, const ReadyRules& rules, bool inbound, bool copies,
             const RuleNeeds& needs, RuleLanes& lanes, Judged& out, RuleHits& hits);
  void ask(const Network& network, const ReadyRules& rules, bool inbound, bool copies,
           const RuleLanes& lanes, std::uint64_t remember, Judged& out, RuleHits& hits,
           std::uint64_t by_capability);

  FlowVerdicts flows_;
  std::size_t from_;
  std::uint64_t found_ = 0;
  std::array<MemberNeeds, 64> members_{};  // those asked about lately, by revision
  RuleLanes::Lane<FlowVerdicts::Verdict> known_{};
  std::array<std::uint16_t, kRuleLanes> decided_by_{};
};

}  // namespace orrery::fib
