// What a configuration holds: addresses, credentials, rules. docs/protocol/11-controller.md
// section 3.
#include <gtest/gtest.h>

#include "control/controller/assignment.h"
#include "control/controller/issue.h"
#include "crypto/kdf.h"
#include "lab.h"

namespace orrery::test {
namespace {

using nlohmann::json;

json pool(const char* first, const char* last) {
  return {{"ipRangeStart", first}, {"ipRangeEnd", last}};
}

json zt_network() {
  return {{"private", false},
          {"v4AssignMode", {{"zt", true}}},
          {"v6AssignMode", {{"zt", true}, {"rfc4193", true}, {"6plane", true}}},
          {"routes", {{{"target", "10.147.17.0/24"}}, {{"target", "fd12:3456::/64"}}}},
          {"ipAssignmentPools",
           {pool("10.147.17.1", "10.147.17.254"),
            pool("fd12:3456::1", "fd12:3456::ffff:ffff:ffff:ffff")}}};
}

std::vector<std::string> texts(const std::vector<wire::Endpoint>& ips) {
  std::vector<std::string> result;
  for (const auto& ip : ips) result.push_back(wire::to_string(ip));
  return result;
}

TEST(Issue, AssignsTheAddressesOfTheSpecification) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x130a5aeaef);
  lab.set_network(id, zt_network());
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  EXPECT_EQ(texts(answer.config->static_ips),
            (std::vector<std::string>{wire::to_string(wire::rfc4193_address(member.address, id)),
                                      wire::to_string(wire::sixplane_address(member.address, id)),
                                      "fd12:3456::13:a5a:eaf0/64", "10.147.17.251/24"}));
  EXPECT_TRUE(answer.config->has_flag(wire::NetworkConfig::kNdpEmulation));
  EXPECT_EQ(lab.member(id, member.address)["ipAssignments"],
            json({"fd12:3456::13:a5a:eaf0", "10.147.17.251"}));
  // Nothing new the second time.
  lab.advance(2'000);
  EXPECT_EQ(lab.request(id, member).config->static_ips, answer.config->static_ips);
}

TEST(Issue, NamesNoMoreBridgesThanTheMemberReads) {
  ControllerLab lab;
  const auto id = lab.network(1);
  lab.set_network(id, {{"private", false}});
  constexpr std::uint64_t kFirst = 0x2000000000;
  for (std::uint64_t i = 0; i < wire::kMaxSpecialists + 3; ++i)
    lab.set_member(id, wire::Address{kFirst + i}, {{"authorized", true}, {"activeBridge", true}});
  const auto named = [&](std::uint64_t member, std::uint64_t protocol) {
    wire::DictionaryWriter metadata;
    metadata.u64("v", 7);
    metadata.u64("pv", protocol);
    metadata.u64("revr", 1);
    const auto answer = lab.request(id, made_up_identity(member), metadata.encoded());
    EXPECT_TRUE(answer.config);
    return answer.config ? answer.config->specialists : std::vector<wire::Specialist>{};
  };
  // Members of 1.14 have room for 256, those of 1.16 for 512.
  EXPECT_EQ(named(0x1000000001, 12).size(), 256u);
  const auto all = named(0x1000000002, 13);
  ASSERT_EQ(all.size(), wire::kMaxSpecialists);
  EXPECT_EQ(all.front().address(), wire::Address{kFirst});
  EXPECT_EQ(all.back().address(), wire::Address{kFirst + wire::kMaxSpecialists - 1});
}

TEST(Issue, NamesAnchorsReplicatorsAndRelaysOfTheNetwork) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const wire::Address bridge{0x2000000000}, other{0x3000000000};
  lab.set_network(id, {{"private", false}});
  // The stock paths have no words for them.
  nlohmann::json record = lab.controller.registry().find(id)->record;
  record["anchors"] = {wire::to_string(bridge), "nonsense"};
  record["replicators"] = {wire::to_string(other)};
  record["relays"] = {wire::to_string(other)};
  lab.controller.put_network(lab.now, id, record, "test");
  lab.set_member(id, bridge, {{"authorized", true}, {"activeBridge", true}});
  const auto named = [&] {
    lab.advance(2'000);
    const auto answer = lab.request(id, made_up_identity(0x1000000001));
    EXPECT_TRUE(answer.config);
    return answer.config ? answer.config->specialists : std::vector<wire::Specialist>{};
  };
  using wire::Specialist;
  // Nobody sends multicast to be passed on to one who is no member.
  const Specialist first{bridge.value | Specialist::kActiveBridge | Specialist::kAnchor};
  EXPECT_EQ(named(), (std::vector<Specialist>{first, {other.value | Specialist::kNetworkRelay}}));
  // From one that is no active bridge members take nothing that others have sent.
  lab.set_member(id, other, {{"authorized", true}});
  EXPECT_EQ(named(),
            (std::vector<Specialist>{first,
                                     {other.value | Specialist::kReplicator |
                                      Specialist::kNetworkRelay | Specialist::kActiveBridge}}));
  record["revision"] = lab.controller.registry().find(id)->record["revision"];
  record["replicators"] = nlohmann::json::array();
  lab.controller.put_network(lab.now, id, record, "test");
  EXPECT_EQ(named(), (std::vector<Specialist>{first, {other.value | Specialist::kNetworkRelay}}));
}

TEST(Issue, TracesGoWhereTheNetworkSaysOrElseTheMember) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto who = made_up_identity(0x1000000001);
  const auto traced = [&] {
    lab.advance(2'000);
    const auto answer = lab.request(id, who);
    EXPECT_TRUE(answer.config);
    return answer.config ? std::pair(answer.config->trace_target, answer.config->trace_level)
                         : std::pair(wire::Address{}, std::uint64_t{0});
  };
  lab.set_network(id, {{"private", false}});
  EXPECT_EQ(traced(), std::pair(wire::Address{}, std::uint64_t{0}));
  lab.set_network(id, {{"remoteTraceTarget", "1122334455"}, {"remoteTraceLevel", 5}});
  EXPECT_EQ(traced(), std::pair(wire::Address{0x1122334455}, std::uint64_t{5}));
  lab.set_member(id, who.address, {{"remoteTraceTarget", "66778899aa"}, {"remoteTraceLevel", 9}});
  EXPECT_EQ(traced(), std::pair(wire::Address{0x66778899aa}, std::uint64_t{9}));
}

TEST(Issue, NoAddressIsGivenTwice) {
  ControllerLab lab;
  const auto id = lab.network(1);
  json network = zt_network();
  network["v6AssignMode"] = {{"zt", true}};
  network["ipAssignmentPools"] = {pool("10.147.17.10", "10.147.17.110"),
                                  pool("fd12:3456::10", "fd12:3456::90")};
  lab.set_network(id, network);
  std::set<wire::Endpoint> given;
  std::size_t without_v4 = 0;
  for (std::uint64_t i = 0; i < 120; ++i) {
    // The low bits repeat, so that the searches collide.
    const auto answer = lab.request(id, made_up_identity(0x1000000000 + (i << 32) + i % 7));
    ASSERT_TRUE(answer.config);
    bool v4 = false;
    for (const auto& ip : answer.config->static_ips) {
      EXPECT_TRUE(given.insert(ip).second) << wire::to_string(ip);
      v4 = v4 || ip.family == 4;
      EXPECT_FALSE(ip.family == 4 && ip.ip[3] == 110) << "the last of a pool is never chosen";
    }
    without_v4 += v4 ? 0 : 1;
  }
  EXPECT_EQ(without_v4, 20u) << "100 addresses for 120 members";
}

TEST(Issue, PoolCorners) {
  const auto first_of = [](json routes, json pools, std::uint64_t address) {
    control::NetworkEntry net;
    net.record = {{"routes", std::move(routes)}, {"ipAssignmentPools", std::move(pools)}};
    net.view = std::make_shared<const control::NetworkView>(control::view_network(net.record));
    const auto ip = control::free_ipv4(net, wire::Address{address});
    return ip ? wire::ip_to_string(*ip) : std::string();
  };
  const json routes = {{{"target", "10.0.0.0/16"}}};
  EXPECT_EQ(first_of(routes, json::array({pool("10.0.0.7", "10.0.0.7")}), 99), "10.0.0.7")
      << "a pool of one";
  EXPECT_EQ(first_of(routes, json::array({pool("10.0.0.255", "10.0.0.255")}), 99), "")
      << "ends in 255";
  EXPECT_EQ(first_of(routes, json::array({pool("10.0.1.0", "10.0.1.9")}), 0), "10.0.1.0")
      << "may end in 0";
  EXPECT_EQ(first_of(routes, json::array({pool("10.0.0.9", "10.0.0.7")}), 0), "") << "backwards";
  EXPECT_EQ(first_of(routes, json::array({pool("0.0.0.0", "10.0.0.7")}), 0), "")
      << "starts at zero";
  EXPECT_EQ(first_of(routes, json::array({pool("10.1.0.1", "10.1.0.9")}), 0), "")
      << "outside the routes";
  EXPECT_EQ(first_of({{{"target", "10.0.0.1/16"}}}, json::array({pool("10.0.0.1", "10.0.0.9")}), 0),
            "")
      << "host bits in the route";
  EXPECT_EQ(first_of({{{"target", "10.0.0.0/16"}, {"via", "10.9.9.9"}}},
                     json::array({pool("10.0.0.1", "10.0.0.9")}), 0),
            "10.0.0.1")
      << "the IPv4 search takes routes with a gateway";
  EXPECT_EQ(first_of(routes,
                     json::array({pool("10.1.0.1", "10.1.0.9"), pool("10.0.0.1", "10.0.0.9")}), 0),
            "10.0.0.1")
      << "the next pool";
  EXPECT_EQ(first_of(routes, json::array({pool("0.0.0.1", "255.255.255.255")}), 0xffffffff), "")
      << "a thousand tries do not reach the route";
}

TEST(Issue, ManualAddressesNeedARoute) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x130a5aeaef);
  json network = zt_network();
  network["routes"].push_back({{"target", "10.147.17.64/26"}, {"via", "10.147.17.1"}});
  network["v6AssignMode"] = json::object();
  lab.set_network(id, network);
  lab.set_member(id, member.address,
                 {{"ipAssignments", {"10.147.17.70", "192.168.1.1", "10.147.17.5"}}});
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  EXPECT_EQ(texts(answer.config->static_ips),
            (std::vector<std::string>{"10.147.17.70/26", "10.147.17.5/24"}));
  EXPECT_FALSE(answer.config->has_flag(wire::NetworkConfig::kNdpEmulation));

  // An assignment outside of all routes does not stop an automatic one.
  const auto other = made_up_identity(0x130a5aeae0);
  lab.set_member(id, other.address, {{"ipAssignments", {"192.168.1.1"}}});
  EXPECT_EQ(lab.request(id, other).config->static_ips.size(), 1u);
  // noAutoAssignIps: nothing by itself, derived addresses included.
  network["v6AssignMode"] = {{"rfc4193", true}};
  lab.set_network(id, network);
  const auto manual = made_up_identity(0x130a5aeae1);
  lab.set_member(id, manual.address, {{"noAutoAssignIps", true}});
  EXPECT_TRUE(lab.request(id, manual).config->static_ips.empty());
}

TEST(Issue, EveryCredentialVerifies) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = vector_identity(2).identity();
  json network = zt_network();
  network["capabilities"] = {
      {{"id", 7}, {"default", true}, {"rules", {{{"type", "ACTION_ACCEPT"}}}}}, {{"id", 8}}};
  network["tags"] = {{{"id", 3}, {"default", 9}}, {{"id", 1}, {"default", 5}}, {{"id", 2}}};
  network["rules"] = {{{"type", "MATCH_ETHERTYPE"}, {"etherType", 2048}},
                      {{"type", "ACTION_ACCEPT"}}};
  network["name"] = "rich=\\net";
  network["mtu"] = 1500;
  network["multicastLimit"] = 64;
  network["dns"] = {{"domain", "home.example"},
                    {"servers", {"10.147.17.53", "nonsense", "fd12:3456::53"}}};
  lab.set_network(id, network);
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  const wire::NetworkConfig& c = *answer.config;
  EXPECT_EQ(c.name, "rich=\\net");
  EXPECT_EQ(c.mtu, 1500);
  EXPECT_EQ(c.multicast_limit, 64u);
  EXPECT_EQ(c.rules.size(), 2u);
  EXPECT_EQ(c.dns_domain, "home.example");
  EXPECT_EQ(c.dns_servers.size(), 2u);
  EXPECT_EQ(c.credential_max_delta, 1'800'000u);

  ASSERT_TRUE(c.com);
  EXPECT_EQ(fib::check(*c.com, lab.lookup()), fib::CredentialCheck::kValid);
  EXPECT_EQ(c.com->count, 7);
  EXPECT_EQ(c.com->issued_to(), member.address);
  EXPECT_EQ(c.com->network(), id);
  EXPECT_EQ(c.com->timestamp(), c.timestamp);
  EXPECT_EQ(c.com->qualifiers[0].max_delta, c.credential_max_delta);
  const auto hash = crypto::fingerprint(member);
  EXPECT_TRUE(wire::agrees(*c.com, *c.com, hash));

  ASSERT_EQ(c.capabilities.size(), 1u) << "only the default one";
  EXPECT_EQ(c.capabilities[0].id, 7u);
  EXPECT_EQ(c.capabilities[0].issued_to(), member.address);
  EXPECT_EQ(c.capabilities[0].timestamp, c.timestamp);
  EXPECT_EQ(fib::check(c.capabilities[0], lab.lookup()), fib::CredentialCheck::kValid);
  ASSERT_EQ(c.tags.size(), 2u);
  EXPECT_EQ(c.tags[0].id, 1u);
  EXPECT_EQ(c.tags[0].value, 5u);
  EXPECT_EQ(c.tags[1].value, 9u);
  for (const auto& tag : c.tags)
    EXPECT_EQ(fib::check(tag, lab.lookup()), fib::CredentialCheck::kValid);
  ASSERT_EQ(c.ownerships.size(), 1u);
  EXPECT_EQ(fib::check(c.ownerships[0], lab.lookup()), fib::CredentialCheck::kValid);
  EXPECT_EQ(c.ownerships[0].id, 1u);
  EXPECT_EQ(c.ownerships[0].count, c.static_ips.size());
  for (const auto& ip : c.static_ips) EXPECT_TRUE(c.ownerships[0].owns(ip));
  EXPECT_EQ(lab.member(id, member.address)["tags"], json({{1, 5}, {3, 9}}));
  EXPECT_EQ(lab.member(id, member.address)["capabilities"], json({7}));
}

TEST(Issue, WithoutRulesEngineEverythingIsAccepted) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x130a5aeaef);
  json network = zt_network();
  network["tags"] = {{{"id", 3}, {"default", 9}}};
  network["rules"] = {{{"type", "ACTION_DROP"}}};
  lab.set_network(id, network);
  const auto answer = lab.request(id, member, ControllerLab::metadata({}, false));
  ASSERT_TRUE(answer.config);
  ASSERT_EQ(answer.config->rules.size(), 1u);
  EXPECT_EQ(answer.config->rules[0].code(), 1);
  EXPECT_TRUE(answer.config->tags.empty());
  EXPECT_EQ(lab.member(id, member.address)["tags"], json::array());
}

TEST(Issue, MoreThanSixteenAddressesHaveTwoCertificates) {
  ControllerLab lab;
  const auto id = lab.network(1);
  const auto member = made_up_identity(0x130a5aeaef);
  lab.set_network(id, zt_network());
  json ips = json::array();
  for (int i = 1; i <= 40; ++i) ips.push_back("10.147.17." + std::to_string(i));
  lab.set_member(id, member.address, {{"ipAssignments", ips}});
  const auto answer = lab.request(id, member);
  ASSERT_TRUE(answer.config);
  ASSERT_EQ(answer.config->static_ips.size(), wire::kMaxStaticIps);
  ASSERT_EQ(answer.config->ownerships.size(), 2u);
  EXPECT_EQ(answer.config->ownerships[0].count + answer.config->ownerships[1].count, 32);
  EXPECT_EQ(answer.config->ownerships[1].id, 2u);
  for (const auto& o : answer.config->ownerships)
    EXPECT_EQ(fib::check(o, lab.lookup()), fib::CredentialCheck::kValid);
}

TEST(Issue, LargeConfigurationsComeInChunks) {
  ControllerLab lab;
  const auto id = lab.network(1);
  json network = zt_network();
  json rules = json::array();
  for (int i = 0; i < 2'000; ++i) {
    rules.push_back({{"type", "MATCH_IPV6_SOURCE"}, {"ip", "fd00::" + std::to_string(i) + "/128"}});
  }
  network["rules"] = rules;
  lab.set_network(id, network);
  const auto answer = lab.request(id, made_up_identity(0x130a5aeaef));
  ASSERT_TRUE(answer.config);
  EXPECT_EQ(answer.config->rules.size(), wire::kMaxRules);
  EXPECT_GE(answer.packets, 2u);
  for (const auto& sent : lab.transport.sent) {
    EXPECT_LE(sent.payload.size(), wire::kMaxPacket - wire::kHeaderSize);
    EXPECT_TRUE(sent.options.compress);
  }
}

TEST(Issue, LimitsOfTheCertificateWindow) {
  const auto delta = [](const json& value) {
    return control::view_network({{"certificateTimeoutWindowSize", value}}).max_delta;
  };
  EXPECT_EQ(delta(1), 300'000u);
  EXPECT_EQ(delta(600'000), 600'000u);
  EXPECT_EQ(delta(1e12), 7'200'000u);
  EXPECT_EQ(delta(nullptr), 1'800'000u);
}

}  // namespace
}  // namespace orrery::test
