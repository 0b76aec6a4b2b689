// The two evaluators of rules against each other, over random scenes.
#pragma once

#include <string>

#include "fib/rule_judge.h"

namespace orrery::test {

[[nodiscard]] bool same(const fib::FilterVerdict& a, const fib::FilterVerdict& b);

/// Lane `i` of what a judge said, as a verdict.
[[nodiscard]] fib::FilterVerdict verdict_of(const fib::Judged& judged, unsigned i);

class RuleRace {
 public:
  /// `flows`: entries of the cache in front of the lists.
  explicit RuleRace(std::size_t flows);

  /// A scene of some vectors, in between changed, with its flows seen twice. Empty, or what
  /// differed.
  [[nodiscard]] std::string run(std::uint64_t seed);

  /// Frames compared so far.
  [[nodiscard]] std::uint64_t pairs() const { return pairs_; }

  /// Of them, those whose verdict was cached.
  [[nodiscard]] std::uint64_t cached() const { return judge_.found(); }

 private:
  fib::RuleJudge judge_;
  fib::RuleLanes lanes_{};
  fib::Judged judged_;
  std::uint64_t pairs_ = 0;
  std::uint64_t revisions_ = 0;  // of scenes before
};

}  // namespace orrery::test
