// Rules over many frames at once say what rules over one frame say, with the cache of flows and
// without; what must not be cached is not.
#include "fib/rule_judge.h"

#include <gtest/gtest.h>

#include "support/rule_race.h"
#include "support/rule_scene.h"

namespace orrery::fib {
namespace {

using wire::Rule;
using wire::RuleType;

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};

Rule rule(RuleType type, std::initializer_list<std::uint8_t> data = {}) {
  Rule r;
  r.type = static_cast<std::uint8_t>(type);
  std::copy(data.begin(), data.end(), r.data.begin());
  return r;
}

TEST(RuleJudge, SaysWhatTheEvaluatorOfOneFrameSays) {
  for (const std::size_t flows : {0u, 64u, 4096u}) {
    test::RuleRace race(flows);
    for (std::uint64_t seed = 1; seed <= 60; ++seed) ASSERT_EQ(race.run(seed + flows), "");
    EXPECT_GT(race.pairs(), 10'000u);
    EXPECT_EQ(race.cached() == 0, flows == 0);
  }
}

/// One network, one member, TCP from port 1024 to 80.
class Judging : public ::testing::Test {
 protected:
  Judging() {
    network_.id = kNetwork;
    network_.self = wire::Address{0x1111111111};
    network_.revision = 1;
    member_.network = kNetwork;
    member_.address = wire::Address{0x2222222222};
    member_.allowed = true;
    member_.revision = 2;
    payload_[0] = 0x45;
    payload_[9] = 6;
    store_be16(payload_.data() + 20, 1024);
    store_be16(payload_.data() + 22, 80);
  }

  void rules(std::vector<Rule> list) {
    network_.rules = std::move(list);
    network_.revision += 10;
    ready_.emplace(network_);
  }

  Filter judge(std::uint32_t random = 0) {
    RuleFrame frame;
    frame.source = member_.address;
    frame.destination = network_.self;
    frame.ethertype = 0x0800;
    frame.payload = payload_;
    RuleLanes::Filling(lanes_).add(frame, &member_);
    hits_ = {};
    judge_.judge(network_, *ready_, true, true, lanes_, judged_, hits_, [&] { return random; });
    return test::verdict_of(judged_, 0).filter;
  }

  Network network_;
  Member member_;
  std::array<std::uint8_t, 60> payload_{};
  std::optional<ReadyRules> ready_;
  RuleJudge judge_{1024, 1, 0};
  RuleLanes lanes_{};
  Judged judged_;
  RuleHits hits_;
};

TEST_F(Judging, AFlowIsLookedUpAndItsRuleCounted) {
  rules({rule(RuleType::kMatchIpDestPortRange, {0, 80, 0, 80}), rule(RuleType::kActionDrop),
         rule(RuleType::kActionAccept)});
  for (std::uint64_t n = 0; n < 3; ++n) {
    EXPECT_EQ(judge(), Filter::kDrop);
    EXPECT_EQ(judge_.found(), n);
    ASSERT_EQ(hits_.count, 1u);
    EXPECT_EQ(hits_.hit[0].rule, 1);
  }
  store_be16(payload_.data() + 22, 81);
  EXPECT_EQ(judge(), Filter::kAccept) << "another port is another flow";
  EXPECT_EQ(judge_.found(), 2u);
  payload_[30] = 1;
  EXPECT_EQ(judge(), Filter::kAccept);
  EXPECT_EQ(judge_.found(), 3u) << "contents that no rule looks at are no other flow";
}

TEST_F(Judging, ChanceAndContentsAreNeverCached) {
  rules({rule(RuleType::kMatchRandom, {0x80, 0, 0, 0}), rule(RuleType::kActionDrop),
         rule(RuleType::kActionAccept)});
  for (const std::uint32_t random : {0u, 0xffffffffu, 0u, 0xffffffffu})
    EXPECT_EQ(judge(random), random == 0 ? Filter::kDrop : Filter::kAccept);
  // The byte at 40, which is the last of eight at 33.
  rules({rule(RuleType::kMatchIntegerRange,
              {0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 33, 7}),
         rule(RuleType::kActionDrop), rule(RuleType::kActionAccept)});
  for (const int byte : {5, 6, 5, 6}) {
    payload_[40] = static_cast<std::uint8_t>(byte);
    EXPECT_EQ(judge(), byte == 5 ? Filter::kDrop : Filter::kAccept);
  }
  EXPECT_EQ(judge_.found(), 0u);
}

TEST_F(Judging, ANewRevisionOfTheMemberIsAnotherFlow) {
  network_.tags = {{7, 1}};
  rules({rule(RuleType::kMatchTagsEqual, {0, 0, 0, 7, 0, 0, 0, 1}), rule(RuleType::kActionAccept),
         rule(RuleType::kActionDrop)});
  EXPECT_EQ(judge(), Filter::kDrop);
  member_.tags = {{7, 1}};
  member_.revision = 3;
  EXPECT_EQ(judge(), Filter::kAccept);
  EXPECT_EQ(judge_.found(), 0u);
}

TEST_F(Judging, FlagsOfTcpArePartOfAFlowWhereRulesLookAtThem) {
  rules({rule(RuleType::kMatchCharacteristics, {0, 0, 0, 0, 0, 0, 0, 2}),
         rule(RuleType::kActionDrop), rule(RuleType::kActionAccept)});
  for (const int flags : {0x02, 0x10, 0x02, 0x18}) {
    payload_[33] = static_cast<std::uint8_t>(flags);
    EXPECT_EQ(judge(), (flags & 2) != 0 ? Filter::kDrop : Filter::kAccept);
  }
  EXPECT_EQ(judge_.found(), 2u) << "only the flag that is looked at";
}

TEST_F(Judging, CopiesAreMadeOfEveryFrame) {
  rules({rule(RuleType::kActionTee, {0, 0, 0, 0x33, 0x33, 0x33, 0x33, 0x33, 0, 0, 0, 0, 0, 16}),
         rule(RuleType::kActionAccept)});
  for (int n = 0; n < 3; ++n) {
    EXPECT_EQ(judge(), Filter::kAccept);
    EXPECT_EQ(test::verdict_of(judged_, 0).emissions, 1);
  }
  EXPECT_EQ(judge_.found(), 0u);
}

TEST_F(Judging, ACapabilityLetsThroughWhatNoRuleDecides) {
  rules({rule(RuleType::kActionBreak)});
  EXPECT_EQ(judge(), Filter::kDrop);
  EXPECT_EQ(hits_.hit[hits_.count - 1].rule, ready_->nobody());
  member_.capabilities = {
      {1, std::make_shared<const std::vector<Rule>>(std::vector{rule(RuleType::kActionAccept)})}};
  member_.revision = 4;
  for (std::uint64_t n = 0; n < 2; ++n) {
    EXPECT_EQ(judge(), Filter::kAccept);
    EXPECT_EQ(hits_.hit[hits_.count - 1].rule, ready_->by_capability());
    EXPECT_EQ(judge_.found(), n);
  }
}

}  // namespace
}  // namespace orrery::fib
