// config: what is read, and the one clear line for each kind of mistake.
#include "service/config.h"

#include <gtest/gtest.h>

namespace orrery::service {
namespace {

TEST(Toml, ReadsEveryTable) {
  Config c;
  const auto r = apply_toml(R"(
[node]
port = 1234
networks = ["8056c2e21c000001"]
log_level = "debug"
clamp_mss = false
port_prediction = true
encrypted_hello = "able"
[workers]
lcores = "2-5"
idle = "poll"
replay_ids = 1048576
relay_rate = 0
[underlay]
sockets = false
bind = ["192.0.2.1", "2001:db8::1"]
[[underlay.port]]
device = "net_af_xdp0,iface=wan0"
mirror = "orr-wan0"
addresses = ["198.51.100.2/24"]
gateway = "198.51.100.1"
[[bridge]]
device = "0000:03:00.1"
network = "8056c2e21c000002"
vlan = 100
[[bridge]]
device = "net_memif0"
network = "8056c2e21c000003"
tap = true
static = ["52:54:00:00:00:01", "525400000002"]
broadcast_pps = 0
dhcp_guard = true
loop_guard = false
arp_nd_suppression = true
vlan_tags = "preserve"
vlan_rules = true
ra_guard = true
multicast_pps = 20000
unknown_pps = 300
[[limit]]
network = "8056c2e21c000002"
from_kbit = 1000
tag = 0
[[limit]]
network = "8056c2e21c000002"
member = "1122334455"
to_kbit = 1000000000
[stations]
per_bridge = 100000
per_network = 131072
[bond]
policy = "active-backup"
primary = ["eth1"]
peers = ["1122334455=balance-xor", "99aabbccdd=none"]
[tcp_fallback]
relay = "198.51.100.9/443"
force = false
[tcp_relay]
listen = ["0.0.0.0/443", "::/443"]
connections = 1000
connections_of_source = 4
rate = 500000
allow = ["10.0.0.0/8"]
deny = ["203.0.113.0/24", "10.1.0.0/16"]
[root]
peers = 5000000
[upstreams]
prefer = ["1122334455"]
exclude = ["99aabbccdd", "0000000001"]
[trust]
strict = true
pins = ["1122334455:000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"]
[controller]
enabled = true
store = "sqlite:there.sqlite"
[capture]
enabled = true
)",
                            "orrery.toml", c);
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(c.port, 1234);
  EXPECT_EQ(c.extended_hello, control::ExtendedHello::kAble);
  EXPECT_EQ(c.bonds.everybody.policy, control::BondPolicy::kActiveBackup);
  EXPECT_EQ(c.bonds.everybody.reselect, control::BondReselect::kAlways) << "for the primary one";
  EXPECT_EQ(c.bonds.peers.at(wire::Address{0x1122334455}).policy, control::BondPolicy::kBalanceXor);
  EXPECT_EQ(c.bonds.peers.at(wire::Address{0x99aabbccdd}).policy, control::BondPolicy::kNone);
  EXPECT_FALSE(Config{}.bonds.any());
  EXPECT_EQ(c.tcp_fallback.relay, *wire::parse_endpoint("198.51.100.9/443"));
  EXPECT_TRUE(c.tcp_fallback.usable());
  EXPECT_FALSE(c.tcp_fallback.replaces_udp());
  EXPECT_FALSE(Config{}.tcp_fallback.usable());
  EXPECT_EQ(c.tcp_relay.listen.size(), 2u);
  EXPECT_TRUE(Config{}.tcp_relay.listen.empty());
  EXPECT_EQ(c.tcp_relay.limits.connections, 1'000u);
  EXPECT_EQ(c.tcp_relay.limits.per_source, 4u);
  EXPECT_EQ(c.tcp_relay.limits.rate, 500'000u);
  EXPECT_EQ(c.tcp_relay.limits.allowed.size(), 1u);
  EXPECT_EQ(c.tcp_relay.limits.denied.size(), 2u);
  EXPECT_EQ(c.root_peers, 5'000'000U);
  EXPECT_EQ(c.preferred_roots, std::vector{wire::Address{0x1122334455}});
  EXPECT_EQ(c.excluded_roots.size(), 2U);
  EXPECT_TRUE(c.strict);
  EXPECT_EQ(c.pins.at(wire::Address{0x1122334455})[17], 1);
  EXPECT_EQ(c.networks.size(), 1u);
  EXPECT_EQ(c.lcores, "2-5");
  EXPECT_TRUE(c.idle_poll);
  EXPECT_EQ(c.replay_ids, 1'048'576U);
  EXPECT_EQ(c.relay_rate, 0U);
  EXPECT_FALSE(c.sockets);
  EXPECT_EQ(c.bind.size(), 2u);
  ASSERT_EQ(c.ports.size(), 1u);
  EXPECT_EQ(c.ports[0].mirror, "orr-wan0");
  EXPECT_EQ(wire::to_string(c.ports[0].addresses.at(0)), "198.51.100.2/24");
  ASSERT_EQ(c.bridges.size(), 2u);
  EXPECT_EQ(c.bridges[0].vlans.vlan, 100);
  EXPECT_FALSE(c.bridges[0].vlans.preserve_tags);
  EXPECT_TRUE(c.bridges[1].vlans.preserve_tags);
  EXPECT_FALSE(c.bridges[0].vlan_rules);
  EXPECT_TRUE(c.bridges[1].vlan_rules);
  EXPECT_TRUE(c.bridges[1].tap);
  ASSERT_EQ(c.limits.size(), 2u);
  EXPECT_EQ(c.limits[0].network, wire::NetworkId{0x8056c2e21c000002});
  EXPECT_FALSE(c.limits[0].rule.member);
  EXPECT_EQ(c.limits[0].rule.from, 1'000u);
  EXPECT_EQ(c.limits[0].rule.to, 0u);
  EXPECT_EQ(c.limits[0].rule.tag, 0u);
  EXPECT_EQ(c.limits[1].rule.member, wire::Address{0x1122334455});
  EXPECT_EQ(c.limits[1].rule.to, 1'000'000'000u);
  EXPECT_FALSE(c.limits[1].rule.tag);
  EXPECT_EQ(c.bridges[0].options.broadcast, 2'000u);
  EXPECT_EQ(c.bridges[0].options.multicast, 10'000u);
  EXPECT_EQ(c.bridges[0].options.unknown, 2'000u);
  EXPECT_EQ(c.bridges[1].options.broadcast, 0u);
  EXPECT_FALSE(c.bridges[0].options.dhcp_guard || c.bridges[0].options.ra_guard);
  EXPECT_TRUE(c.bridges[1].options.dhcp_guard && c.bridges[1].options.ra_guard);
  EXPECT_TRUE(c.bridges[0].options.loop_guard);
  EXPECT_FALSE(c.bridges[1].options.loop_guard);
  EXPECT_FALSE(c.bridges[0].options.arp_nd_suppression);
  EXPECT_TRUE(c.bridges[1].options.arp_nd_suppression);
  EXPECT_EQ(c.bridges[1].options.multicast, 20'000u);
  EXPECT_EQ(c.bridges[1].options.unknown, 300u);
  EXPECT_EQ(c.bridges[1].options.fixed,
            (std::vector{wire::Mac{0x525400000001}, wire::Mac{0x525400000002}}));
  EXPECT_EQ(c.stations.per_port, 100'000u);
  EXPECT_EQ(c.stations.total, 131'072u);
  EXPECT_FALSE(c.clamp_mss);
  EXPECT_TRUE(c.port_prediction);
  EXPECT_FALSE(Config{}.port_prediction) << "a burst of probes looks like a scan of ports";
  EXPECT_TRUE(Config{}.clamp_mss);
  EXPECT_TRUE(c.controller);
  EXPECT_EQ(c.store, "sqlite:there.sqlite");
  EXPECT_TRUE(c.capture);
  EXPECT_FALSE(Config{}.capture);
}

TEST(Toml, MistakesNameFileLineKeyAndExpectation) {
  struct Row {
    const char* text;
    const char* expected;
  };

  const Row rows[] = {
      {"[node]\nprot = 1\n",
       "f.toml:2: unknown key \"node.prot\"; the nearest known key is \"port\""},
      {"[nod]\n", "f.toml:1: unknown key \"nod\"; the nearest known key is \"node\""},
      {"[node]\nport = \"x\"\n", "f.toml:2: key \"node.port\": expected a number from 1 to 65535"},
      {"[node]\nport = 70000\n", "expected a number from 1 to 65535"},
      {"[workers]\nidle = \"never\"\n",
       "key \"workers.idle\": expected one of \"adaptive\" \"poll\""},
      {"[workers]\nreplay_ids = -1\n",
       "key \"workers.replay_ids\": expected a number from 0 to 268435456"},
      {"[underlay]\nsockets = 1\n", "key \"underlay.sockets\": expected true or false"},
      {"[bond]\npolicy = \"broadcast\"\n",
       "key \"bond.policy\": expected one of \"none\" \"active-backup\" \"balance-xor\""},
      {"[bond]\npeers = [\"1122334455\"]\n", "expected a list of \"ADDRESS=POLICY\""},
      {"[bond]\nreselect = \"always\"\n", "key \"bond.reselect\": expected \"primary\" beside"},
      {"[tcp_fallback]\nrelay = \"198.51.100.9\"\n",
       "f.toml:2: key \"tcp_fallback.relay\": expected an address and a port such as"},
      {"[tcp_fallback]\nforce = true\n",
       "f.toml:1: key \"tcp_fallback.force\": expected \"relay\" beside it"},
      {"[tcp_relay]\nrate = 100000\n",
       "f.toml:1: key \"tcp_relay.listen\": expected at least one address and port"},
      {"[tcp_relay]\nlisten = [\"0.0.0.0\"]\n", "expected a list of addresses and ports such as"},
      {"[tcp_relay]\nlisten = [\"0.0.0.0/443\"]\nallow = [\"10.0.0.0/33\"]\n",
       "key \"tcp_relay.allow\": expected a list of networks such as"},
      {"[[bridge]]\ndevice = \"x\"\n", "[[bridge]] needs the keys \"device\" and \"network\""},
      {"[[bridge]]\ndevice = \"x\"\nnetwork = \"123\"\n",
       "expected a network id of 16 hexadecimal digits"},
      {"bridge = 3\n", "expected an array of tables"},
      {"[[underlay.port]]\ndevice = \"x\"\n", "needs the keys \"device\" and \"mirror\""},
      {"[workers]\nlcores = \"2-\"\n",
       "f.toml:2: key \"workers.lcores\": expected \"auto\" or a list of CPUs such as \"2-5\""},
      {"[workers]\nlcores = 2\n", "key \"workers.lcores\": expected"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"a/b\"\n",
       "f.toml:1: key \"underlay.port.mirror\": expected an interface name of at most 15 "
       "characters"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"sixteen-letters.\"\n",
       "expected an interface name of at most 15 characters"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\naddresses = [\"10.0.0.1\"]\n",
       "key \"underlay.port.addresses\": expected a list of addresses such as"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\naddresses = [\"224.0.0.1/24\"]\n",
       "addresses of a host such as \"198.51.100.2/24\", not \"224.0.0.1/24\""},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\naddresses = [\"10.0.0.1/0\"]\n",
       "not \"10.0.0.1/0\""},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\naddresses = [\"10.0.0.1/24\"]\n"
       "gateway = \"10.0.1.1\"\n",
       "key \"underlay.port.gateway\": expected another host on the link"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\naddresses = [\"10.0.0.1/24\"]\n"
       "gateway = \"10.0.0.1\"\n",
       "expected another host on the link"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\ngateway = \"10.0.0.1\"\n",
       "expected another host on the link"},
      {"[[underlay.port]]\ndevice = \"d0,iface=a\"\nmirror = \"m\"\n"
       "[[underlay.port]]\ndevice = \"d0,iface=b\"\nmirror = \"n\"\n",
       "f.toml:4: key \"underlay.port.device\": expected a device other than \"d0,iface=a\" of "
       "f.toml:1"},
      {"[[underlay.port]]\ndevice = \"d0\"\nmirror = \"m\"\n"
       "[[underlay.port]]\ndevice = \"d1\"\nmirror = \"m\"\n",
       "f.toml:4: key \"underlay.port.mirror\": expected a name other than \"m\" of f.toml:1"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\n"
       "[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000002\"\n",
       "key \"bridge.vlan\": expected a VLAN of \"d0\" other than that of f.toml:1"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\nvlan_tags = \"keep\"\n",
       "f.toml:4: key \"bridge.vlan_tags\": expected one of \"drop\" \"preserve\""},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\nvlan = 5\n"
       "vlan_tags = \"preserve\"\n",
       "f.toml:1: key \"bridge.vlan_tags\": expected \"drop\" beside \"vlan\""},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\nstatic = [\"x\"]\n",
       "f.toml:4: key \"bridge.static\": expected a list of MACs of stations such as"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\n"
       "static = [\"01:00:5e:00:00:01\"]\n",
       "expected a list of MACs of stations"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\n"
       "static = [\"02:00:00:00:00:01\"]\n",
       "expected MACs that are no members' of the network (02:00:00:00:00:01 begins like theirs)"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\n"
       "static = [\"52:54:00:00:00:01\"]\n[[bridge]]\ndevice = \"d1\"\n"
       "network = \"8056c2e21c000001\"\nstatic = [\"52:54:00:00:00:01\"]\n",
       "f.toml:5: key \"bridge.static\": expected each MAC at one LAN port of a network "
       "(52:54:00:00:00:01 is there twice)"},
      {"[[bridge]]\ndevice = \"d0\"\nnetwork = \"8056c2e21c000001\"\nbroadcast_pps = -1\n",
       "key \"bridge.broadcast_pps\": expected a number from 0 to 100000000"},
      {"[[limit]]\nto_kbit = 1\n", "f.toml:1: [[limit]] needs the key \"network\""},
      {"[[limit]]\nnetwork = \"8056c2e21c000001\"\nmember = \"11\"\n",
       "key \"limit.member\": expected the address of a member"},
      {"[[limit]]\nnetwork = \"8056c2e21c000001\"\nfrom_kbit = -1\n",
       "key \"limit.from_kbit\": expected a number from 0 to 1000000000"},
      {"[[limit]]\nnetwork = \"8056c2e21c000001\"\n[[limit]]\nnetwork = \"8056c2e21c000001\"\n",
       "f.toml:3: key \"limit.network\": expected another one than that of an earlier [[limit]]"},
      {"[stations]\nper_bridge = 0\n",
       "key \"stations.per_bridge\": expected a number from 1 to 131072"},
      {"[node]\nencrypted_hello = true\n",
       "key \"node.encrypted_hello\": expected one of \"off\" \"able\" \"always\""},
      {"[root]\npeers = 1\n", "key \"root.peers\": expected a number from 1024 to 16000000"},
      {"[upstreams]\nprefer = [\"x\"]\n", "key \"upstreams.prefer\": expected a list of addresses"},
      {"[trust]\npins = [\"1122334455:ab\"]\n", "key \"trust.pins\": expected a list of"},
      {"[controller]\nstore = \"mysql:x\"\n", "key \"controller.store\""},
      {"[node\n", "f.toml:1:"},
      {"node = 1\n", "key \"node\": expected a table"},
  };
  for (const Row& row : rows) {
    Config c;
    const auto r = apply_toml(row.text, "f.toml", c);
    ASSERT_FALSE(r) << row.text;
    EXPECT_NE(r.error().text.find(row.expected), std::string::npos)
        << row.text << " gave: " << r.error().text;
    EXPECT_EQ(r.error().text.find('\n'), std::string::npos) << "one line";
  }
}

TEST(Toml, NoShortTextEndsTheProgram) {
  const std::string letters = "[]{}\"'=.,#\n a1\\\xff";
  std::vector<std::string> texts = {""};
  for (std::size_t begin = 0, length = 1; length <= 4; ++length) {
    const std::size_t end = texts.size();
    for (; begin < end; ++begin) {
      for (const char c : letters) texts.push_back(texts[begin] + c);
    }
  }
  for (const std::string& text : texts) {
    Config c;
    const auto r = apply_toml(text, "f.toml", c);
    EXPECT_TRUE(r || r.error().text.starts_with("f.toml")) << r.error().text;
  }
  Config c;
  EXPECT_FALSE(apply_toml("[[[", "f.toml", c));
}

TEST(Toml, OneDeviceServesSeveralVlans) {
  Config c;
  const auto r = apply_toml(R"(
[[bridge]]
device = "net_af_packet0,iface=lan0"
network = "8056c2e21c000001"
[[bridge]]
device = "net_af_packet0,iface=lan0"
network = "8056c2e21c000002"
vlan = 10
[[underlay.port]]
device = "net_af_packet1,iface=wan0"
mirror = "orr-wan0"
addresses = ["198.51.100.2/24", "2001:db8::2/64"]
gateway = "2001:db8::1"
)",
                            "orrery.toml", c);
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(c.bridges.size(), 2u);
  EXPECT_EQ(c.ports.at(0).where, "orrery.toml:9");
}

TEST(LocalConf, KnownKeysAreReadUnknownOnesWarned) {
  Config c;
  const auto r =
      apply_local_conf(R"({"settings":{"primaryPort":2000,"portMappingEnabled":true,"bindTo":1},
    "physical":{"10.0.0.0/8":{"blacklist":true},"192.0.2.0/24":{"trustedPathId":5,"mtu":1500}},
    "virtual":{"1122334455":{"try":["192.0.2.7/9993"]}},"odd":1})",
                       "local.conf", c);
  ASSERT_TRUE(r) << r.error().text;
  EXPECT_EQ(c.port, 2000);
  ASSERT_EQ(c.physical.size(), 2u);
  EXPECT_TRUE(c.physical[0].blacklist);
  EXPECT_EQ(c.physical[1].trusted_path_id, 5u);
  ASSERT_EQ(c.hints.size(), 1u);
  EXPECT_EQ(c.warnings.size(), 3u) << "an unknown setting, an unknown section, an unencrypted path";
  Config bonded;
  ASSERT_TRUE(apply_local_conf(R"({"settings":{"defaultBondingPolicy":"mine",
    "policies":{"mine":{"basePolicy":"active-backup","activeReselect":"always",
      "links":{"eth0":{"mode":"spare"},"eth1":{"mode":"primary"}}},
      "theirs":{"basePolicy":"broadcast"},"odd":{"basePolicy":"balance-xor","upDelay":5}},
    "peerSpecificBonds":{"1122334455":"balance-xor","99aabbccdd":"theirs"}}})",
                               "local.conf", bonded));
  EXPECT_EQ(bonded.bonds.everybody.policy, control::BondPolicy::kActiveBackup);
  EXPECT_EQ(bonded.bonds.everybody.reselect, control::BondReselect::kAlways);
  EXPECT_EQ(bonded.bonds.everybody.primary, std::vector<std::string>{"eth1"});
  EXPECT_EQ(bonded.bonds.peers.size(), 1u);
  EXPECT_EQ(bonded.warnings.size(), 3u) << "broadcast, who asks for it, and a delay";
  Config relayed;
  ASSERT_TRUE(apply_local_conf(R"({"settings":{"tcpFallbackRelay":"198.51.100.9/443",
    "forceTcpRelay":true,"allowTcpFallbackRelay":true}})",
                               "local.conf", relayed));
  EXPECT_TRUE(relayed.tcp_fallback.replaces_udp());
  EXPECT_TRUE(relayed.warnings.empty());
  ASSERT_TRUE(apply_local_conf(
      R"({"settings":{"allowTcpFallbackRelay":false,"tcpFallbackRelay":"nowhere"}})", "local.conf",
      relayed));
  EXPECT_FALSE(relayed.tcp_fallback.usable());
  EXPECT_EQ(relayed.warnings.size(), 1u);
  for (const char* text : {"", "[]", "{", "null"})
    EXPECT_FALSE(apply_local_conf(text, "local.conf", c)) << text;
}

}  // namespace
}  // namespace orrery::service
