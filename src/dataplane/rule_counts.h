// How many frames each rule of each network decided: counters of workers, and who has which.
//
// One writer each, the worker, with one addition per rule that decided something in a vector.
// Source of what counts as a decision: fib/rule_program.h.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "dataplane/counters.h"
#include "fib/rule_judge.h"

namespace orrery::dataplane {

/// The first of a network's counters in every worker's RuleCounts: one for each entry of its list,
/// one for frames that no rule accepts, one for those that a capability lets through. 0: nobody's,
/// which mean nothing.
using RuleCountSlot = std::uint32_t;

/// One worker's.
class RuleCounts {
 public:
  /// Nobody's, and 64 lists of full length or thousands of usual ones; 512 KiB, of which only pages
  /// in use become resident.
  static constexpr std::uint32_t kNobody = wire::kMaxRules + 2;
  static constexpr std::uint32_t kSlots = 65'536;

  RuleCounts() : counts_(static_cast<Counter*>(std::calloc(kSlots, sizeof(Counter)))) {
    if (!counts_) std::abort();
  }

  [[nodiscard]] Counter& operator[](std::uint32_t slot) noexcept { return counts_.get()[slot]; }

  [[nodiscard]] const Counter& operator[](std::uint32_t slot) const noexcept {
    return counts_.get()[slot];
  }

  void add(RuleCountSlot network, const fib::RuleHits& hits) noexcept {
    for (std::size_t i = 0; i < hits.count; ++i)
      (*this)[network + hits.hit[i].rule] += hits.hit[i].frames;
  }

 private:
  struct Free {
    void operator()(Counter* counts) const noexcept { std::free(counts); }
  };

  // Zero bytes are counters at zero; calloc() leaves pages alone that nobody counts in.
  std::unique_ptr<Counter, Free> counts_;
};

/// Who has which counters; control's. Those of lists that are gone are given to others, where they
/// begin at zero again.
class RuleCountSlots {
 public:
  explicit RuleCountSlots(const std::vector<std::unique_ptr<RuleCounts>>& workers)
      : workers_(workers) {}

  /// 0 when there is no room for so many.
  [[nodiscard]] RuleCountSlot take(std::uint32_t counts);
  /// REQUIRES: what take() returned for as many.
  void give_back(RuleCountSlot slot, std::uint32_t counts);
  /// Sums over workers since the counters were taken; zeros for slot 0.
  [[nodiscard]] std::vector<std::uint64_t> of(RuleCountSlot slot, std::uint32_t counts) const;

 private:
  struct Range {
    std::uint32_t begin, end;
  };

  [[nodiscard]] std::uint64_t sum(std::uint32_t slot) const;

  const std::vector<std::unique_ptr<RuleCounts>>& workers_;
  // Invariant 1: ranges in order, none touches the next.
  std::vector<Range> free_{{RuleCounts::kNobody, RuleCounts::kSlots}};
  std::vector<std::uint64_t> base_ = std::vector<std::uint64_t>(RuleCounts::kSlots);
};

}  // namespace orrery::dataplane
