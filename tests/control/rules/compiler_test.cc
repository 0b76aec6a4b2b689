// The rule compiler beyond the reference's vectors: what it takes where the reference's does not,
// what it refuses and warns of, and that errors name place, finding and expectation.
#include "control/rules/compiler.h"

#include <gtest/gtest.h>

#include "control/controller/rule_json.h"

namespace orrery::control {
namespace {

using nlohmann::json;

CompiledRules compiled(std::string_view source) {
  auto result = compile_rules(source);
  EXPECT_TRUE(result) << source << ": " << (result ? "" : result.error().text);
  return result ? std::move(*result) : CompiledRules{};
}

std::vector<std::string> types(const RuleList& list) {
  std::vector<std::string> names;
  for (const json& entry : list.entries) names.push_back(entry["type"]);
  return names;
}

TEST(RuleCompiler, StatementsWithoutMatchesStandAnywhere) {
  const std::vector<std::string> expected = {"ACTION_DROP", "MATCH_ETHERTYPE", "ACTION_BREAK",
                                             "ACTION_ACCEPT"};
  for (const char* source :
       {"drop; break ethertype arp; accept;", "drop ; break ethertype arp ; accept ;",
        "drop\n;\nbreak\nethertype arp\n;\naccept"}) {
    EXPECT_EQ(types(compiled(source).rules), expected) << source;
  }
  const auto both = compiled("cap c id 1 accept; drop; ; macro m accept; ; include m drop;");
  EXPECT_EQ(types(both.capabilities.at(0).rules),
            (std::vector<std::string>{"ACTION_ACCEPT", "ACTION_DROP"}));
  EXPECT_EQ(types(both.rules), (std::vector<std::string>{"ACTION_ACCEPT", "ACTION_DROP"}));
}

TEST(RuleCompiler, MacrosHandTheirParametersOn) {
  const auto nested = compiled(
      "macro inner($p,$q) accept ipprotocol $p dport $q; ;\n"
      "macro outer($q) include inner(udp,$q) include inner(tcp,$q) ;\n"
      "include outer(53) drop;");
  ASSERT_EQ(nested.rules.entries.size(), 7u);
  EXPECT_EQ(nested.rules.entries[0]["ipProtocol"], 17);
  EXPECT_EQ(nested.rules.entries[4]["start"], 53);
  EXPECT_EQ(nested.rules.at[0], (Position{1, 27})) << "an entry's place is in the macro";
}

TEST(RuleCompiler, MasksAreWhole) {
  const auto rules = compiled(
      "drop chr inbound,multicast,tcp_fin; tag t id 1 flag 31,0 both; "
      "accept teq t both;");
  EXPECT_EQ(rules.rules.entries[0]["mask"], "c000000000000001");
  EXPECT_EQ(rules.rules.entries[2]["value"], 0x80000001u);
}

TEST(RuleCompiler, BinaryIsWhatAControllerTakes) {
  const auto rules = compiled("tee -1 89e92ceee5 ipprotocol tcp; accept vlan 70000;");
  const auto binary = binary_rules(rules.rules);
  ASSERT_EQ(binary.size(), 4u);
  EXPECT_EQ(load_be16(binary[1].data.data() + 12), 0xffff) << "-1 becomes the longest";
  EXPECT_EQ(load_be16(binary[2].data.data()), 70000 - 65536);
}

struct Refused {
  const char* source;
  Position at;
  const char* finding;  // words of the message
  const char* expectation;
};

TEST(RuleCompiler, ErrorsSayWhereAndWhatWasExpected) {
  const Refused rows[] = {
      {"drop dport 80abc;", {1, 12}, "80abc", "number or range"},
      {"accept;\ndrop ipsrc 10.0.0.0/8x;", {2, 12}, "10.0.0.0/8x", "prefix length"},
      {"drop ipdest 1.2.3.4.5/8;", {1, 13}, "1.2.3.4.5/8", "IPv4 or IPv6"},
      {"drop macsrc 32:01:02:03:04:05:06;", {1, 13}, "32:01", "12 hexadecimal digits"},
      {"drop random x;", {1, 13}, "\"x\"", "0.0 to 1.0"},
      {"drop random nan;", {1, 13}, "nan", "0.0 to 1.0"},
      {"drop iptos 256 1;", {1, 12}, "256", "mask"},
      {"drop iptos 255 9-3;", {1, 16}, "9-3", "low-high"},
      {"drop icmp 8 256;", {1, 13}, "256", "-1 for any"},
      {"drop ipprotocol icmp;", {1, 6}, "reserved word", "argument"},
      {"watch 65536 89e92ceee5;", {1, 13}, "65536", "length"},
      {"tee 1 89e92ceeeg;", {1, 7}, "89e92ceeeg", "10 hexadecimal digits"},
      {"redirect;", {1, 1}, "redirect", "an address"},
      {"macro m(port) accept dport 1; ; accept;", {1, 7}, "port", "'$'"},
      {"macro m($a accept; ;", {1, 7}, "m($a", "NAME($ONE,$TWO)"},
      {"macro m include m ; include m", {1, 17}, "\"m\"", "includes itself"},
      {"macro m($a) drop dport $a; ; include m", {1, 38}, "got 0", "wants 1"},
      {"tag t id 5 default nothing;", {1, 20}, "nothing", "enum or flag"},
      {"tag t id 5 flag 32 high;", {1, 17}, "32", "0 to 31"},
      {"cap c id 1; cap d id 1;", {1, 19}, "\"c\"", "id already"},
      {"tag 5t id 5;", {1, 5}, "5t", "name of letters"},
      {"TAG t id 5;", {1, 1}, "TAG", "lower case"},
      {"DROP ethertype arp;", {1, 6}, "\"DROP\"", "lower case"},
      {"drop dport $x;", {1, 12}, "$x", "parameter"},
      {"drop vlan 4294967296;", {1, 11}, "4294967296", "number"},
      {"priority 3;", {1, 1}, "priority", "drop, accept"},
      {"accept macrö;", {1, 8}, "macrö", "match"},
  };
  for (const Refused& row : rows) {
    const auto result = compile_rules(row.source);
    ASSERT_FALSE(result) << row.source;
    EXPECT_EQ(result.error().at, row.at)
        << row.source << ": " << result.error().at.line << ':' << result.error().at.column;
    EXPECT_NE(result.error().text.find(row.finding), std::string::npos) << result.error().text;
    EXPECT_NE(result.error().text.find(row.expectation), std::string::npos) << result.error().text;
  }
}

TEST(RuleCompiler, WarnsOfWhatMeansLessThanItSays) {
  const std::pair<const char*, const char*> rows[] = {
      {"drop vlan 4096000;", "16 bits"},
      {"drop ipsrc fd00::1/8;", "matches nothing"},
      {"drop ipsrc 10.0.0.0/40;", "counts as 32"},
      {"drop random 1.5;", "counts as 1"},
      {"drop ethertype arp not;", "before no match"},
      {"macro m accept; ; include m(1)", "count for nothing"},
      {"cap c id 1 accept ethertype arp;\ndrop;", "closed by the end"},
  };
  for (const auto& [source, words] : rows) {
    const auto result = compiled(source);
    ASSERT_EQ(result.warnings.size(), 1u) << source;
    EXPECT_NE(result.warnings[0].text.find(words), std::string::npos) << result.warnings[0].text;
  }
  std::string long_list;
  for (int i = 0; i < 600; ++i) long_list += "drop ethertype arp;\n";
  EXPECT_EQ(compiled(long_list).warnings.at(0).at, (Position{513, 6}));
  EXPECT_TRUE(compiled("drop not ethertype arp; accept;").warnings.empty());
}

TEST(RuleCompiler, ColumnsCountCharacters) {
  const auto result = compile_rules("tag straße id 1; drop teq straße x;");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().at, (Position{1, 34}));
}

TEST(RuleCompiler, LongWordsAreCutBetweenCharacters) {
  const auto found = [](const std::string& word) {
    const auto result = compile_rules(word + " ;");
    EXPECT_FALSE(result) << word;
    return result ? std::string() : result.error().text;
  };
  std::string umlauts;
  while (umlauts.size() < 70) umlauts += "ä";
  EXPECT_NE(found(umlauts).find('"' + umlauts.substr(0, 60) + "…\""), std::string::npos);
  EXPECT_NE(found("x" + umlauts).find("\"x" + umlauts.substr(0, 58) + "…\""), std::string::npos);
  EXPECT_FALSE(found(std::string(100, '\x94')).empty()) << "no UTF-8 at all";
}

TEST(RuleCompiler, WorkIsBounded) {
  std::string doubling = "macro m0 drop ethertype arp; ;\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "m" + std::to_string(i - 1);
    doubling +=
        "macro m" + std::to_string(i) + " include " + before + " include " + before + " ;\n";
  }
  const auto result = compile_rules(doubling + "include m29");
  ASSERT_FALSE(result);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "drop ";
  EXPECT_FALSE(compile_rules(deep));
}

}  // namespace
}  // namespace orrery::control
