// The page of metrics: every family and line that zerotier-one's page has, but for what
// docs/interop.md leaves out, and numbers in their places.
#include "service/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "support/vectors.h"

namespace orrery::service {
namespace {

/// Families by name with their types, and lines with their values.
struct Page {
  explicit Page(const std::string& text) {
    std::istringstream lines(text);
    std::string family;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# HELP ")) {
        EXPECT_GT(line.size(), line.find(' ', 7) + 1) << "says nothing: " << line;
        continue;
      }
      const std::size_t end = line.rfind(' ');
      if (line.starts_with("# TYPE ")) {
        family = line.substr(7, end - 7);
        EXPECT_TRUE(types.emplace(family, line.substr(end + 1)).second) << "twice: " << family;
        continue;
      }
      EXPECT_TRUE(line.starts_with(family)) << "no line of " << family << ": " << line;
      EXPECT_TRUE(values.emplace(line.substr(0, end), std::stoull(line.substr(end + 1))).second)
          << "twice: " << line;
    }
  }

  std::map<std::string, std::string> types;
  std::map<std::string, std::uint64_t> values;
};

constexpr wire::NetworkId kNetwork{0x8056c2e21c000001};
constexpr wire::Address kRoot{0x1122334455}, kOther{0x99aabbccdd};

Metrics small_node() {
  Metrics m;
  m.controller.emplace();
  m.networks.resize(1);
  m.networks[0].id = kNetwork;
  m.peers.resize(2);
  m.peers[0].address = kRoot;
  m.peers[1].address = kOther;
  return m;
}

TEST(Metrics, EverythingThatTheRecordedPageHas) {
  std::ifstream file(std::filesystem::path(test::vectors_directory()) / "metrics.txt");
  std::ostringstream text;
  text << file.rdbuf();
  std::string recorded = text.str();
  ASSERT_FALSE(recorded.empty());
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>("{network}", wire::to_string(kNetwork)),
        {"{root}", wire::to_string(kRoot)},
        {"{other}", wire::to_string(kOther)}}) {
    for (std::size_t at = recorded.find(name); at != std::string::npos;
         at = recorded.find(name, at))
      recorded.replace(at, name.size(), value);
  }
  const Page theirs(recorded), ours(to_text(small_node()));
  const auto left_out = [](const std::string& name) {
    return name.starts_with("controller_db_") || name.starts_with("controller_sso_");
  };
  EXPECT_GT(theirs.values.size(), 100u);
  for (const auto& [family, type] : theirs.types) {
    if (left_out(family)) continue;
    ASSERT_TRUE(ours.types.contains(family)) << family;
    EXPECT_EQ(ours.types.at(family), type) << family;
  }
  for (const auto& [line, value] : theirs.values)
    EXPECT_TRUE(left_out(line) || ours.values.contains(line)) << line;
  // What is not theirs says so by its name.
  for (const auto& [family, type] : ours.types)
    EXPECT_TRUE(theirs.types.contains(family) || family.starts_with("orrery_")) << family;
}

TEST(Metrics, NumbersStandInTheirPlaces) {
  Metrics m = small_node();
  m.received.add(wire::Verb::kHello, {});
  const std::uint8_t error[] = {0x0b, 0, 0, 0, 0, 0, 0, 0, 1, 7};
  m.sent.add(wire::Verb::kError, error);
  m.sent.add(wire::Verb::kError, Bytes(error).first(9));
  m.underlay_rx = 5;
  m.networks[0].traffic = {1, 2, 3, 4, 5, 6};
  m.networks[0].hits.rules.resize(2);
  m.networks[0].hits.frames = {7, 8};
  m.networks[0].hits.nobody = 9;
  m.peers[0].received = 10;
  m.peers[0].refused = 1;
  m.peers[0].traffic = {20, 0, 30, 0, 2, 0};
  control::RoundTrips& trips = m.peers[1].round_trips.emplace();
  for (const Millis took : {0, 1, 2, 1'000, 1'001}) trips.add(took);
  m.controller->deauthorized = 11;
  m.drops = {{"worker", "mac", 12}};
  m.ports = {{"dev\"quoted\"", 13, 14, 15, 16}};
  m.alarms.resize(2);
  m.alarms_raised = 17;
  const Page page(to_text(m));
  const std::map<std::string, std::uint64_t> expected = {
      {R"(zt_packet{direction="rx",packet_type="hello"})", 1},
      {R"(zt_packet{direction="tx",packet_type="hello"})", 0},
      {R"(zt_packet{direction="tx",packet_type="error"})", 2},
      {R"(zt_packet_error{direction="tx",error_type="network_access_denied"})", 1},
      {R"(zt_data{direction="rx",protocol="udp"})", 5},
      {"zt_num_networks", 1},
      {R"(zt_network_packets{accepted="yes",direction="rx",network_id="8056c2e21c000001"})", 1},
      {R"(zt_network_packets{accepted="yes",direction="tx",network_id="8056c2e21c000001"})", 3},
      {R"(zt_network_packets{accepted="no",direction="rx",network_id="8056c2e21c000001"})", 5},
      {R"(zt_network_packets{accepted="no",direction="tx",network_id="8056c2e21c000001"})", 6},
      {R"(orrery_network_bytes{direction="tx",network_id="8056c2e21c000001"})", 4},
      {R"(orrery_rule_frames{network_id="8056c2e21c000001",rule="none",text=""})", 9},
      {R"(zt_peer_packets{direction="rx",node_id="1122334455"})", 30},
      {R"(zt_peer_packets{direction="tx",node_id="1122334455"})", 30},
      {R"(zt_peer_packet_errors{node_id="1122334455"})", 3},
      {R"(zt_peer_latency_bucket{node_id="99aabbccdd",le="1"})", 2},
      {R"(zt_peer_latency_bucket{node_id="99aabbccdd",le="1000"})", 4},
      {R"(zt_peer_latency_bucket{node_id="99aabbccdd",le="+Inf"})", 5},
      {R"(zt_peer_latency_sum{node_id="99aabbccdd"})", 2'004},
      {R"(zt_peer_latency_count{node_id="1122334455"})", 0},
      {"controller_member_deauth_count", 11},
      {R"(orrery_dropped{part="worker",reason="mac"})", 12},
      {R"(orrery_port_bytes{direction="tx",port="dev\"quoted\""})", 16},
      {R"(orrery_alarms{kind="other_key"})", 2},
      {R"(orrery_alarms{kind="roots_disagree"})", 0},
      {"orrery_alarms_raised", 17},
  };
  for (const auto& [line, value] : expected) {
    ASSERT_TRUE(page.values.contains(line)) << line;
    EXPECT_EQ(page.values.at(line), value) << line;
  }
  std::uint64_t rules = 0;
  for (const auto& [line, value] : page.values) {
    if (line.find("rule=\"1\"") != std::string::npos) rules += value;
  }
  EXPECT_EQ(rules, 8u);
  Metrics node = small_node();
  node.controller.reset();
  for (const auto& [family, type] : Page(to_text(node)).types)
    EXPECT_FALSE(family.starts_with("controller_")) << "this node is none";
}

TEST(Metrics, ARootNamesItsBusiestPeers) {
  Metrics m;
  m.peers.resize(3 * Metrics::kMostPeers);
  for (std::size_t i = 0; i < m.peers.size(); ++i) {
    m.peers[i].address = wire::Address{0x1000000000 + i};
    m.peers[i].received = i;
  }
  const Page page(to_text(m));
  std::size_t peers = 0;
  for (const auto& [line, value] : page.values)
    peers += line.starts_with("zt_peer_packet_errors") ? 1 : 0;
  EXPECT_EQ(peers, Metrics::kMostPeers);
  EXPECT_TRUE(page.values.contains("zt_peer_packet_errors{node_id=\"" +
                                   wire::to_string(m.peers.back().address) + "\"}"));
}

}  // namespace
}  // namespace orrery::service
