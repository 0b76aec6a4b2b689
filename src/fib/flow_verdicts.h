// What rules said of flows: a cache in front of them, one worker's.
//
// The key is not a flow as a person would name it but every fact that the rules in question look
// at (RuleNeeds), with the revisions of network and member: whatever changes a verdict changes the
// key. It is compared as a whole, so a collision of the hash costs an evaluation and nothing else,
// and there is nothing to invalidate. Facts that no rule looks at are zero in it, so that packets
// of many flows share an entry where rules see no difference. Lists that look at contents or at
// chance are never cached, nor are copies, redirects and what a tag that is not known yet may
// change: that arrives as a new revision.
//
// Four places for each hash, given away in turn. Strangers cannot touch it (rules see frames of
// admitted members alone), and members who make up flows cost each other evaluations.
#pragma once

#include "fib/rule_lanes.h"

namespace orrery::fib {

class FlowVerdicts {
 public:
  /// Of a frame without copies or redirects.
  enum class Kind : std::uint8_t { kNone, kDrop, kAccept, kSuperAccept };

  struct Verdict {
    Kind kind = Kind::kNone;
    std::uint16_t rule = 0;  // that decided, as RuleProgram says it
  };

  /// `entries`: rounded up to a power of two, 4 at least; 0: nothing is ever found. `seed`: of the
  /// hash.
  FlowVerdicts(std::size_t entries, std::uint64_t seed);

  /// Of lanes in `wanted` fills `found`; returns those that are known. The keys of the others are
  /// kept for remember(), until the next look(). REQUIRES: `needs` are cacheable and cover those of
  /// the network and all members, whose records have revisions; the lanes' characteristics are
  /// found.
  [[nodiscard]] std::uint64_t look(const Network& network, bool inbound, const RuleNeeds& needs,
                                   const RuleLanes& lanes, std::uint64_t wanted,
                                   RuleLanes::Lane<Verdict>& found);
  /// REQUIRES: lane `i` was wanted and not found.
  void remember(unsigned i, Verdict verdict);

  [[nodiscard]] bool enabled() const { return !entries_.empty(); }

 private:
  // [0] revision of the network, [1] that of the member * 2 + inbound, [2] [16] ethertype, [16]
  // tag, [8] protocol, [8] type of service, [16] which headers are whole, [3] [16] source port,
  // [16] destination port, [16] size, [16] ICMP, [4..7] IPs, [8] and [9] MACs, [10] characteristics
  static constexpr std::size_t kWords = 11;
  static constexpr std::size_t kNarrow = 8;  // a cache line; the others are rarely looked at
  static constexpr std::size_t kWays = 4;

  struct alignas(64) Entry {
    std::array<std::uint64_t, kWords> key{};
  };

  static_assert(sizeof(Entry) == 128);

  /// Four entries: some bits of their hashes, never 0 unless the entry is free, and what was said.
  struct alignas(32) Set {
    std::array<std::uint16_t, kWays> tags{};
    std::array<Verdict, kWays> verdicts{};
  };

  static_assert(sizeof(Set) == 32);

  /// Where the key of a lane may stand.
  struct Place {
    std::uint32_t set;
    std::uint16_t tag;
  };

  template <std::size_t kUsed>
  [[nodiscard]] std::uint64_t look(const Network& network, bool inbound, const RuleNeeds& needs,
                                   const RuleLanes& lanes, std::uint64_t wanted,
                                   RuleLanes::Lane<Verdict>& found);
  /// And where it may stand.
  void make_key(const Network& network, bool inbound, const RuleNeeds& needs,
                const RuleLanes& lanes, unsigned i);
  /// The verdict that belongs to the key of lane `i`; null: there is none.
  [[nodiscard]] Verdict* find(unsigned i, std::size_t words);

  std::vector<Entry> entries_;  // [set][way]
  std::vector<Set> sets_;
  std::array<std::uint64_t, kWords> seeds_{};
  RuleLanes::Lane<std::array<std::uint64_t, kWords>> keys_{};
  RuleLanes::Lane<Place> places_{};
  std::size_t words_ = kWords;  // of the keys, at the last look
  std::size_t next_way_ = 0;
};

}  // namespace orrery::fib
