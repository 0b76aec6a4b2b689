// A network's rules, made ready to judge up to 64 frames at once.
//
// Where fib/rules.h takes a frame and goes through the list, this goes through the list once and
// asks each entry about all frames that are still undecided: their sets are bits of one word, and a
// match is a loop over one array (rule_lanes.h). It says the same, by construction entry for entry
// and by tests/fib/rule_program_test.cc and tools/rules_race over millions of random lists and
// frames. What is rare it leaves to the other: copies, redirects and capabilities (kAsk).
//
// Immutable; belongs to one published network, whose own tags and address are part of it.
// Cost: docs/performance.md, "Rules". Source: docs/protocol/09-rules-engine.md sections 3, 4, 6.
#pragma once

#include "fib/rule_lanes.h"

namespace orrery::fib {

/// Lanes by what the network's list says of them. Each live lane stands in one.
struct ListMasks {
  std::uint64_t drop = 0;
  std::uint64_t accept = 0;
  std::uint64_t super_accept = 0;
  std::uint64_t no_match = 0;
  std::uint64_t forwards = 0;  // a redirect, or a copy is remembered: evaluate() has the details
};

/// How many frames an entry decided (but for BREAK) or copied.
struct RuleHits {
  struct Hit {
    std::uint16_t rule;
    std::uint16_t frames;
  };

  static constexpr std::size_t kMost = 4 * kRuleLanes;

  std::array<Hit, kMost> hit;
  std::size_t count = 0;

  /// Beyond kMost, which takes as many copies by rules of one list, hits are not counted.
  void add(std::size_t rule, std::uint64_t lanes) {
    if (count == kMost) return;
    hit[count++] = {static_cast<std::uint16_t>(rule),
                    static_cast<std::uint16_t>(__builtin_popcountll(lanes))};
  }

  /// One frame; of those in a row for one rule one hit.
  void add_one(std::uint16_t rule) {
    if (count != 0 && hit[count - 1].rule == rule) {
      ++hit[count - 1].frames;
    } else if (count != kMost) {
      hit[count++] = {rule, 1};
    }
  }
};

class RuleProgram {
 public:
  RuleProgram() = default;
  explicit RuleProgram(const Network& network);

  /// Judges the lanes in `live`. `network`: the one that it was made from. `decided_by`, unless
  /// null: of each lane that an entry decided its index, else kNobody.
  [[nodiscard]] ListMasks run(const Network& network, bool inbound, const RuleLanes& lanes,
                              std::uint64_t live, RuleHits& hits,
                              std::uint16_t* decided_by = nullptr) const;

  static constexpr std::uint16_t kNobody = 0xffff;

  [[nodiscard]] const RuleNeeds& needs() const { return needs_; }

  [[nodiscard]] std::size_t size() const { return ops_.size(); }

 private:
  struct Op {
    wire::RuleType type{};
    bool is_not = false, is_or = false, action = false;
    bool local_known = false;  // the tag is one of ours
    std::uint32_t local = 0;   // its value
    std::uint64_t a = 0, b = 0, c = 0, d = 0;
    const wire::Rule* rule = nullptr;  // of the network, for what is rare
  };

  struct State;
  static Op op_of(const wire::Rule& rule, const Network& network);
  static void match(const Op& op, State& s);
  static void tags(const Op& op, State& s);
  static void tag_of(const Op& op, State& s);

  std::vector<Op> ops_;
  RuleNeeds needs_;
};

}  // namespace orrery::fib
