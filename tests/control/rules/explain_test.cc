// Rules in words, frames from fields, and why a frame passes.
#include "control/rules/explain.h"

#include <gtest/gtest.h>

#include "control/controller/json_text.h"
#include "control/controller/rule_json.h"
#include "control/rules/compiler.h"
#include "control/rules/frame_fields.h"
#include "control/rules/rule_set.h"
#include "control/rules/rule_text.h"
#include "support/vectors.h"

namespace orrery::control {
namespace {

using nlohmann::json;

RuleSet set_of(std::string_view source) {
  const auto compiled = compile_rules(source);
  EXPECT_TRUE(compiled) << compiled.error().text;
  return rule_set(*compiled);
}

TEST(RuleText, WhatItSaysCompilesToTheSameRule) {
  const RuleSet set = set_of(
      "accept ztsrc 89e92ceee5 not ztdest 89e92ceee5 vlan 5 vlanpcp 3 vlandei 1 ethertype arp "
      "or ethertype 0x88cc macsrc 32:01:02:03:04:05 ipsrc 10.0.0.0/8 not or ipdest fd00::/8 "
      "iptos 252 16-32 ipprotocol udplite ipprotocol 200 icmp 8 -1 icmp 3 1 sport 1-5 dport 22 "
      "chr inbound,tcp_syn framesize 1-1500 tand 1 2 tor 1 2 txor 1 2 tdiff 1 2 teq 1 2 tseq 1 2 "
      "treq 1 2; tee 65535 89e92ceee5; watch 20 89e92ceee5; redirect 89e92ceee5; break; drop;");
  ASSERT_EQ(set.rules.size(), 32u);
  for (const wire::Rule& rule : set.rules) {
    const std::string text = rule_text(rule);
    const RuleSet again = set_of(rule.is_action() ? text + ';' : "drop " + text + ';');
    ASSERT_EQ(again.rules.size(), rule.is_action() ? 1u : 2u) << text;
    EXPECT_EQ(again.rules[0], rule) << text;
  }
}

TEST(RuleText, WhatTheLanguageHasNoWordsForIsInBrackets) {
  for (const auto& [code, words] :
       {std::pair{51, "<integer"}, {60, "<match 60>"}, {9, "<action 9>"}, {6, "<priority 0>"}}) {
    wire::Rule rule;
    rule.type = static_cast<std::uint8_t>(code);
    EXPECT_NE(rule_text(rule).find(words), std::string::npos) << rule_text(rule);
  }
}

TEST(RuleText, EveryRuleOfTheVectorsHasOne) {
  for (const json& c : test::cases("rule_codec.json", "rules")) {
    const ByteVector bytes = test::hex_bytes(c["bytes"]);
    Reader r(bytes);
    const auto rule = wire::read_rule(r);
    ASSERT_TRUE(rule);
    EXPECT_FALSE(rule_text(*rule).empty());
  }
}

TEST(FrameFields, MakeHeadersThatRulesRead) {
  FrameFields f;
  f.from = wire::Endpoint::v4(0x0a000001, 1024);
  f.to = wire::Endpoint::v4(0x0a000002, 22);
  f.tcp_flags = 2;
  const auto v4 = build_frame(f);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->ethertype, 0x0800);
  EXPECT_EQ(v4->payload[9], 6) << "TCP, since there are ports";
  EXPECT_EQ(load_be16(v4->payload.data() + 22), 22);
  f.tag_control = 5;
  const auto tagged = build_frame(f);
  EXPECT_EQ(tagged->ethertype, 0x8100);
  EXPECT_EQ(load_be16(tagged->payload.data()), 5);
  EXPECT_EQ(load_be16(tagged->payload.data() + 2), 0x0800);
  f.to = wire::Endpoint::v6(std::array<std::uint8_t, 16>{0xfd}, 22);
  EXPECT_FALSE(build_frame(f)) << "two families";
  f.from = {};
  f.tag_control = 0;
  EXPECT_EQ(build_frame(f)->ethertype, 0x86dd);
  f.ethertype = 0x0806;
  EXPECT_FALSE(build_frame(f)) << "ARP is of IPv4";
}

class Explaining : public ::testing::Test {
 protected:
  void ask(std::string_view source) {
    const RuleSet set = set_of(source);
    question_.network = wire::NetworkId{0x8056c2e21c000001ULL};
    question_.rules = set.rules;
    question_.sender.address = wire::Address{0x1111111111};
    question_.receiver.address = wire::Address{0x2222222222};
    FrameFields f;
    f.from = wire::Endpoint::v4(0x0a000001, 1024);
    f.to = wire::Endpoint::v4(0x0a000002, 22);
    frame_ = *build_frame(f);
    question_.frame.ethertype = frame_.ethertype;
    question_.frame.payload = frame_.payload;
    answer_ = explain(question_);
  }

  Question question_;
  BuiltFrame frame_;
  json answer_;
};

TEST_F(Explaining, EveryEntryUpToTheOneThatDecides) {
  ask("drop ethertype arp not ipprotocol udp; accept dport 22; drop;");
  EXPECT_TRUE(answer_["passes"]);
  const json& sender = answer_["sender"];
  EXPECT_EQ(sender["verdict"], "accept");
  EXPECT_EQ(sender["decided_by"], (json{{"list", "network"}, {"rule", 4}, {"text", "accept"}}));
  std::vector<std::string> outcomes;
  for (const json& step : sender["lists"][0]["steps"]) outcomes.push_back(step["outcome"]);
  EXPECT_EQ(outcomes,
            (std::vector<std::string>{"no", "not looked at", "not taken", "yes", "decides"}));
  EXPECT_NE(explanation_text(answer_).find("the frame passes"), std::string::npos);
}

TEST_F(Explaining, NobodyAcceptsAndCopies) {
  ask("tee 20 3333333333; break dport 22;");
  EXPECT_FALSE(answer_["passes"]);
  EXPECT_EQ(answer_["sender"]["decided_by"]["text"], "break");
  EXPECT_TRUE(answer_["sender"]["copies"].empty()) << "what is dropped is not copied";
  ask("tee 20 3333333333; accept;");
  EXPECT_EQ(answer_["sender"]["copies"][0],
            (json{{"to", "3333333333"}, {"flags", 2}, {"length", 20}}));
  EXPECT_NE(explanation_text(answer_).find("20 bytes go to 3333333333"), std::string::npos);
}

TEST_F(Explaining, TagsOnTrustAtOneEndAreKnownAtTheOther) {
  question_.sender.tags = {{7, 1}};
  question_.receiver.tags = {{7, 2}};
  ask("drop not teq 7 1; accept;");
  EXPECT_FALSE(answer_["passes"]);
  EXPECT_EQ(answer_["sender"]["verdict"], "drop");
  EXPECT_EQ(answer_["sender"]["decided_by"]["rule"], 1);
}

TEST(RuleSetJson, TakesWhatTheCompilerAndTheApiGive) {
  const auto compiled = compile_rules("tag t id 4 enum 9 nine; cap c id 2 drop;; accept;");
  const auto of_compiler = rule_set(to_json(*compiled));
  ASSERT_TRUE(of_compiler);
  EXPECT_EQ(of_compiler->rules, rule_set(*compiled).rules);
  ASSERT_NE(of_compiler->capability("c"), nullptr);
  EXPECT_EQ(of_compiler->capability("2"), of_compiler->capability("c"));
  EXPECT_EQ(of_compiler->tag("t=nine"), (fib::Tag{4, 9}));
  EXPECT_EQ(of_compiler->tag("5=6"), (fib::Tag{5, 6}));
  EXPECT_FALSE(of_compiler->tag("u=6"));
  EXPECT_TRUE(rule_set(json{{"rules", json::array()}}));
  for (const char* wrong : {"[]", "{}", R"({"rules":5})", R"({"rules":[],"capabilities":[5]})",
                            R"({"rules":[{"type":"MATCH_CHARACTERISTICS","mask":[]}]})",
                            R"({"rules":[],"tagsByName":{"t":5}})"}) {
    EXPECT_FALSE(rule_set(*parse_json(wrong))) << wrong;
  }
}

}  // namespace
}  // namespace orrery::control
