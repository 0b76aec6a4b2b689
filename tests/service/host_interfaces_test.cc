// host_interfaces: what control asks for is on the host, what is refused keeps nothing else from
// it, what the host has of its own stays, and what an operator breaks is mended.
#include "service/host_interfaces.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include <fstream>

#include "dataplane/fixture.h"
#include "tap/namespace.h"

namespace orrery::service {
namespace {

using tap::test::at;
using tap::test::ip;
using tap::test::ip_shows;

const wire::NetworkId kNetwork{0x50f44de1d7fa6fd2};
constexpr const char* kName = "ztwer3pdqf";

control::ConfigurePort wanted() {
  control::ConfigurePort w;
  w.network = kNetwork;
  w.mac = wire::Mac{0x020102030405};
  w.mtu = 2800;
  w.addresses = {at("10.9.8.7/24"), at("fd00::7/64")};
  w.routes = {{at("10.77.0.0/16"), at("10.9.8.1"), 0}, {at("10.78.0.0/16"), {}, 5}};
  return w;
}

control::ConfigurePort leave() {
  control::ConfigurePort w;
  w.network = kNetwork;
  w.remove = true;
  return w;
}

/// By the number of workers.
class HostInterfacesTest : public dataplane::test::Dataplane,
                           public ::testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    ORRERY_NEEDS_NAMESPACE();
    auto opened = tap::Netlink::open();
    ASSERT_TRUE(opened) << opened.error().text;
    netlink_.emplace(std::move(*opened));
    hosts_.emplace(*netlink_, dataplane::test::pools(), GetParam());
    ASSERT_TRUE(ip("link add eth0 type veth peer name eth1"));
    ASSERT_TRUE(ip("address add 192.168.1.2/24 dev eth0"));
    ASSERT_TRUE(ip("link set eth0 up") && ip("link set eth1 up"));
  }

  /// All of wanted() is on the host.
  static void expect_in_place() {
    EXPECT_TRUE(ip_shows("link show up", std::string(kName) + ":"));
    EXPECT_TRUE(ip_shows("link", "mtu 2800"));
    EXPECT_TRUE(ip_shows("address", "inet 10.9.8.7/24"));
    EXPECT_TRUE(ip_shows("address", "inet6 fd00::7/64"));
    EXPECT_TRUE(ip_shows("route", "10.77.0.0/16 via 10.9.8.1 dev ztwer3pdqf"));
    EXPECT_TRUE(ip_shows("route", "10.78.0.0/16 dev ztwer3pdqf"));
  }

  std::optional<tap::Netlink> netlink_;
  std::optional<HostInterfaces> hosts_;
};

TEST_P(HostInterfacesTest, AppliesChangesAndRemoves) {
  const auto made = hosts_->configure(wanted());
  ASSERT_EQ(made.reports.size(), 1u);
  EXPECT_EQ(made.reports[0].text, "");
  EXPECT_TRUE(made.reports[0].interface);
  EXPECT_TRUE(made.ports_changed);
  ASSERT_EQ(hosts_->ports().size(), 1u);
  EXPECT_EQ(hosts_->ports()[0].size(), GetParam()) << "a queue for each worker";
  EXPECT_EQ(hosts_->device_of(kNetwork), kName);
  expect_in_place();

  control::ConfigurePort other = wanted();
  other.mtu = 1500;
  other.addresses = {at("10.9.8.7/25"), at("10.9.9.1/24")};
  other.routes = {{at("10.79.0.0/16"), at("10.9.8.1"), 0}};
  const auto changed = hosts_->configure(other);
  EXPECT_FALSE(changed.ports_changed);
  EXPECT_EQ(changed.reports.at(0).text, "");
  EXPECT_FALSE(ip_shows("link", "mtu 2800"));
  EXPECT_FALSE(ip_shows("address", "inet 10.9.8.7/24"));
  EXPECT_FALSE(ip_shows("address", "fd00::7"));
  EXPECT_FALSE(ip_shows("route", "10.77.0.0/16"));
  EXPECT_TRUE(ip_shows("address", "inet 10.9.8.7/25"));
  EXPECT_TRUE(ip_shows("address", "inet 10.9.9.1/24"));
  EXPECT_TRUE(ip_shows("route", "10.79.0.0/16"));

  EXPECT_TRUE(hosts_->configure(leave()).ports_changed);
  EXPECT_TRUE(hosts_->ports().empty());
  EXPECT_EQ(::if_nametoindex(kName), 0u) << "nobody holds the port";
}

TEST_P(HostInterfacesTest, WhatIsRefusedKeepsNothingElseOut) {
  std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << 1;
  control::ConfigurePort w = wanted();
  w.addresses = {at("fd00::7/64"), at("10.9.8.7/24")};
  w.routes = {{at("192.168.1.0/24"), at("10.9.8.1"), 0},
              {at("10.80.0.0/16"), at("203.0.113.1"), 0},
              {at("10.77.0.0/16"), at("10.9.8.1"), 0}};
  const auto made = hosts_->configure(w);
  EXPECT_TRUE(made.ports_changed);
  ASSERT_EQ(made.reports.size(), 1u);
  const std::string& text = made.reports[0].text;
  EXPECT_TRUE(made.reports[0].interface);
  EXPECT_NE(text.find("fd00::7/64"), std::string::npos) << text;
  EXPECT_NE(text.find("192.168.1.0/24"), std::string::npos) << text;
  EXPECT_NE(text.find("eth0"), std::string::npos) << text;
  EXPECT_NE(text.find("10.80.0.0/16"), std::string::npos) << text;
  EXPECT_EQ(text.find("10.77.0.0/16"), std::string::npos) << text;
  EXPECT_TRUE(ip_shows("address", "inet 10.9.8.7/24"));
  EXPECT_TRUE(ip_shows("route", "10.77.0.0/16 via 10.9.8.1"));
  EXPECT_TRUE(ip_shows("route", "192.168.1.0/24 dev eth0"));
  // Said once, not at every turn.
  EXPECT_TRUE(hosts_->resync(1).reports.empty());
  EXPECT_TRUE(hosts_->resync(1 + HostInterfaces::kSyncInterval).reports.empty());
  (void)hosts_->configure(leave());
  EXPECT_TRUE(ip_shows("route", "192.168.1.0/24 dev eth0"));
}

TEST_P(HostInterfacesTest, LeavesRoutesOfOthersWhenTheNetworkIsLeft) {
  (void)hosts_->configure(wanted());
  control::ConfigurePort more = wanted();
  more.routes.push_back({at("172.20.0.0/16"), {}, 0});
  ASSERT_TRUE(ip("route add 172.20.0.0/16 dev ztwer3pdqf"));
  EXPECT_EQ(hosts_->configure(more).reports.at(0).text, "") << "the very same route";
  EXPECT_EQ(hosts_->configure(wanted()).reports.at(0).text, "");
  EXPECT_TRUE(ip_shows("route", "172.20.0.0/16 dev ztwer3pdqf")) << "not ours to remove";
}

TEST_P(HostInterfacesTest, MendsWhatAnOperatorBreaks) {
  struct Row {
    const char* command;
    const char* said;
    bool fresh;  // another device
  };

  const Row rows[] = {
      {"link delete ztwer3pdqf", "removed", true},
      {"link set ztwer3pdqf down", "set down", false},
      {"link set ztwer3pdqf mtu 1400", "MTU", false},
      {"link set ztwer3pdqf name other0", "renamed", true},
      {"link delete ztwer3pdqf", "removed", true},
  };
  (void)hosts_->configure(wanted());
  Millis now = 1;
  (void)hosts_->resync(now);
  for (const Row& row : rows) {
    const auto held = hosts_->ports();  // as the worker does
    if (std::string(row.command).find(" name ") != std::string::npos) {
      ASSERT_TRUE(ip("link set ztwer3pdqf down"));
    }
    ASSERT_TRUE(ip(row.command)) << row.command;
    now += HostInterfaces::kWatchInterval;
    const auto change = hosts_->resync(now);
    EXPECT_EQ(change.ports_changed, row.fresh) << row.command;
    ASSERT_EQ(change.reports.size(), 1u) << row.command;
    EXPECT_NE(change.reports[0].text.find(row.said), std::string::npos) << change.reports[0].text;
    EXPECT_TRUE(change.reports[0].interface);
    EXPECT_EQ(hosts_->device_of(kNetwork), kName) << row.command;
    SCOPED_TRACE(row.command);
    expect_in_place();
    EXPECT_TRUE(hosts_->resync(now + 1).reports.empty()) << "not yet time";
    now += HostInterfaces::kWatchInterval;
    EXPECT_TRUE(hosts_->resync(now).reports.empty()) << row.command;
  }
}

TEST_P(HostInterfacesTest, PutsRoutesBackEveryHalfMinute) {
  (void)hosts_->configure(wanted());
  EXPECT_TRUE(hosts_->resync(1).reports.empty());
  ASSERT_TRUE(ip("route delete 10.77.0.0/16"));
  ASSERT_TRUE(ip("address delete fd00::7/64 dev ztwer3pdqf"));
  (void)hosts_->resync(HostInterfaces::kSyncInterval);
  EXPECT_FALSE(ip_shows("route", "10.77.0.0/16"));
  (void)hosts_->resync(1 + HostInterfaces::kSyncInterval + HostInterfaces::kWatchInterval);
  expect_in_place();
}

TEST_P(HostInterfacesTest, KeepsTheNameWhenLeftAndJoinedAtOnce) {
  (void)hosts_->configure(wanted());
  const auto held = hosts_->ports();  // the worker has not adopted the next set yet
  EXPECT_TRUE(hosts_->configure(leave()).ports_changed);
  EXPECT_FALSE(ip_shows("address", "10.9.8.7")) << "nothing is attracted to it";
  EXPECT_FALSE(ip_shows("link show up", kName));
  const auto again = hosts_->configure(wanted());
  EXPECT_TRUE(again.ports_changed);
  EXPECT_EQ(hosts_->device_of(kNetwork), kName);
  EXPECT_EQ(hosts_->ports(), held);
  expect_in_place();
  // Long after: another device of the same name.
  (void)hosts_->configure(leave());
  (void)hosts_->resync(1);
}

TEST_P(HostInterfacesTest, TriesAgainWhenThereIsNoInterface) {
  // Every name that the network may have is taken.
  for (unsigned collision = 0; collision < 16; ++collision)
    ASSERT_TRUE(ip("link add " + tap::device_name(kNetwork, collision) + " type veth peer name p" +
                   std::to_string(collision)));
  const auto refused = hosts_->configure(wanted());
  EXPECT_FALSE(refused.ports_changed);
  EXPECT_FALSE(refused.reports.at(0).interface);
  EXPECT_NE(refused.reports.at(0).text, "");
  EXPECT_TRUE(hosts_->ports().empty());
  EXPECT_EQ(hosts_->device_of(kNetwork), "");
  EXPECT_TRUE(hosts_->subscriptions(kNetwork).empty());
  ASSERT_TRUE(ip(std::string("link delete ") + kName));
  const auto made = hosts_->resync(1);
  EXPECT_TRUE(made.ports_changed);
  ASSERT_EQ(made.reports.size(), 1u);
  EXPECT_TRUE(made.reports[0].interface);
  expect_in_place();
}

INSTANTIATE_TEST_SUITE_P(Workers, HostInterfacesTest, ::testing::Values(1u, 2u));

}  // namespace
}  // namespace orrery::service
