// rule_eval.json: every case through the evaluator and both filters.
#include <gtest/gtest.h>

#include "fib/rules.h"
#include "support/rule_race.h"
#include "support/vectors.h"

namespace orrery::fib {
namespace {

using nlohmann::json;
using test::hex_bytes;

constexpr std::int64_t kMaxDelta =
    300000;  // ms; README of the vectors: older or newer credentials are out of date

std::vector<wire::Rule> rules_of(const json& hex) {
  const ByteVector bytes = hex_bytes(hex);
  Reader reader(bytes);
  std::vector<wire::Rule> rules;
  while (reader.remaining() != 0) {
    const auto rule = wire::read_rule(reader);
    if (!rule) throw std::runtime_error("rules do not parse: " + hex.dump());
    rules.push_back(*rule);
  }
  return rules;
}

bool current(const json& c, const char* key) {
  const auto offset = c.value(key, std::int64_t{0});
  return offset <= kMaxDelta && offset >= -kMaxDelta;
}

std::vector<Tag> tags_of(const json& c, const char* key) {
  std::vector<Tag> tags;
  if (!c.contains(key)) return tags;
  for (const json& t : c[key]) {
    if (current(t, "timestamp_offset"))
      tags.push_back({t["id"].get<std::uint32_t>(), t["value"].get<std::uint32_t>()});
  }
  std::sort(tags.begin(), tags.end(), [](const Tag& a, const Tag& b) { return a.id < b.id; });
  return tags;
}

std::vector<CapabilityRules> capabilities_of(const json& c, const char* key) {
  std::vector<CapabilityRules> capabilities;
  if (!c.contains(key)) return capabilities;
  for (const json& k : c[key]) {
    if (!current(k, "timestamp_offset")) continue;
    capabilities.push_back({k["id"].get<std::uint32_t>(),
                            std::make_shared<const std::vector<wire::Rule>>(rules_of(k["rules"]))});
  }
  std::sort(capabilities.begin(), capabilities.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return capabilities;
}

Ownership ownership_of(const json& c, const char* key) {
  Ownership ownership;
  if (!c.contains(key)) return ownership;
  for (const json& thing : c[key]) {
    const auto text = thing.get<std::string>();
    if (const auto mac = wire::parse_mac(text);
        mac && text.size() == 17 && text[2] == ':' && text.find('/') == std::string::npos) {
      ownership.macs.push_back(*mac);
    } else {
      const auto ip = wire::parse_endpoint(text);
      if (!ip) throw std::runtime_error("neither MAC nor IP: " + text);
      ownership.ips.push_back(*ip);
    }
  }
  return ownership;
}

const char* name_of(ListResult result) {
  switch (result) {
    case ListResult::kNoMatch:
      return "no_match";
    case ListResult::kDrop:
      return "drop";
    case ListResult::kRedirect:
      return "redirect";
    case ListResult::kAccept:
      return "accept";
    case ListResult::kSuperAccept:
      return "super_accept";
  }
  return "";
}

TEST(RuleVectors, Evaluate) {
  RuleJudge judge(4096, 1, 0);
  const auto lanes = std::make_unique<RuleLanes>();
  const auto judged = std::make_unique<Judged>();
  std::size_t index = 0;
  for (const json& c : test::cases("rule_eval.json", "cases")) {
    const std::string name = std::to_string(index++) + " " + c["group"].get<std::string>() + ": " +
                             c["name"].get<std::string>();
    Network network;
    network.id = *wire::parse_network_id(c["network"].get<std::string>());
    network.self = *wire::parse_address(c["self"].get<std::string>());
    network.mac = wire::mac_of(network.self, network.id);
    network.unknown_match_result = c["unsupported_match_result"].get<bool>();
    network.ndp_emulation = c["ndp_emulation"].get<bool>();
    network.rules = rules_of(c["rules"]);
    network.tags = tags_of(c, "local_tags");
    network.capabilities = capabilities_of(c, "local_capabilities");
    network.ownership = ownership_of(c, "local_ownership");
    if (c.contains("local_ips")) {
      for (const json& ip : c["local_ips"])
        network.static_ips.push_back(*wire::parse_endpoint(ip.get<std::string>()));
    }
    Member member;
    member.network = network.id;
    member.tags = tags_of(c, "remote_tags");
    member.capabilities = capabilities_of(c, "remote_capabilities");
    if (current(c, "remote_ownership_timestamp_offset"))
      member.ownership = ownership_of(c, "remote_ownership");
    const ByteVector payload = hex_bytes(c["frame"]);
    const RuleFrame frame{*wire::parse_address(c["source"].get<std::string>()),
                          *wire::parse_address(c["dest"].get<std::string>()),
                          *wire::parse_mac(c["source_mac"].get<std::string>()),
                          *wire::parse_mac(c["dest_mac"].get<std::string>()),
                          c["ether_type"].get<std::uint16_t>(),
                          c["vlan"].get<std::uint16_t>(),
                          payload,
                          0};
    const bool inbound = c["inbound"].get<bool>();
    const Member* remote = c["remote_known"].get<bool>() ? &member : nullptr;

    const ListVerdict base = evaluate({&network, remote, inbound, 0}, frame, network.rules);
    const json& expected = c["base"];
    EXPECT_EQ(name_of(base.result), expected["result"].get<std::string>()) << name;
    EXPECT_EQ(base.bucket, expected.value("qos_bucket", 0)) << name;
    if (expected.contains("dest")) {
      EXPECT_EQ(wire::to_string(base.redirect_to), expected["dest"].get<std::string>()) << name;
    }
    EXPECT_EQ(static_cast<bool>(base.copy_to), expected.contains("copy_to")) << name;
    if (expected.contains("copy_to")) {
      EXPECT_EQ(wire::to_string(base.copy_to), expected["copy_to"].get<std::string>()) << name;
      EXPECT_EQ(base.copy_length, expected["copy_length"].get<std::uint32_t>()) << name;
      EXPECT_EQ(base.copy_watch, expected["copy_watch"].get<bool>()) << name;
    }

    const FilterVerdict verdict =
        inbound ? filter_in(network, member, frame, 0)
                : filter_out(network, remote, frame, c["no_tee"].get<bool>(), 0);
    // The evaluator of many frames: by the list, then by the cache of flows.
    network.revision = index * 2 + 1;
    member.revision = index * 2 + 2;
    const ReadyRules ready(network);
    for (int round = 0; round < 2; ++round) {
      RuleLanes::Filling(*lanes).add(frame, inbound ? &member : remote);
      RuleHits hits;
      judge.judge(network, ready, inbound, inbound || !c["no_tee"].get<bool>(), *lanes, *judged,
                  hits, [] { return 0u; });
      EXPECT_TRUE(test::same(test::verdict_of(*judged, 0), verdict)) << name << ", of many";
    }

    const char* filter = verdict.filter == Filter::kDrop     ? "drop"
                         : verdict.filter == Filter::kAccept ? "accept"
                                                             : "super_accept";
    EXPECT_EQ(filter, c["verdict"].get<std::string>()) << name;
    if (c.contains("qos_bucket") && verdict.filter != Filter::kDrop) {
      EXPECT_EQ(verdict.bucket, c["qos_bucket"].get<int>()) << name;
    }
    ASSERT_EQ(verdict.emissions, c["sent"].size()) << name;
    for (std::size_t i = 0; i < verdict.emissions; ++i) {
      EXPECT_EQ(wire::to_string(verdict.emit[i].to), c["sent"][i]["to"].get<std::string>()) << name;
      EXPECT_EQ(verdict.emit[i].flags, c["sent"][i]["flags"].get<int>()) << name;
      EXPECT_EQ(verdict.emit[i].length, c["sent"][i]["frame_length"].get<std::uint32_t>()) << name;
    }
  }
}

}  // namespace
}  // namespace orrery::fib
