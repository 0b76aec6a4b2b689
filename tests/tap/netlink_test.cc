// netlink: routes that are the host's own stay, and no answer is taken for another's.
#include "tap/netlink.h"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <atomic>
#include <thread>

#include "namespace.h"

namespace orrery::tap {
namespace {

using test::at;
using test::ip;
using test::ip_shows;

/// Two interfaces: eth0 is the host's, zt0 is ours.
bool make_interfaces() {
  return ip("link add eth0 type veth peer name zt0") && ip("address add 192.168.1.2/24 dev eth0") &&
         ip("address add fd01::2/64 dev eth0 nodad") && ip("address add 10.9.8.7/24 dev zt0") &&
         ip("address add fd02::7/64 dev zt0 nodad") && ip("link set eth0 up") &&
         ip("link set zt0 up");
}

TEST(Netlink, LeavesTheRoutesOfTheHostAlone) {
  ORRERY_NEEDS_NAMESPACE();
  ASSERT_TRUE(make_interfaces());
  ASSERT_TRUE(ip("route add 172.20.0.0/16 via 192.168.1.1"));
  ASSERT_TRUE(ip("route add fd03::/48 via fd01::1 metric 1024"));
  auto netlink = Netlink::open();
  ASSERT_TRUE(netlink);

  struct Row {
    const char* why;
    const char* target;
    const char* via;
    const char* shown;  // by `ip route`, before and after
  };

  const Row rows[] = {
      {"connected", "192.168.1.0/24", "10.9.8.1", "192.168.1.0/24 dev eth0"},
      {"static", "172.20.0.0/16", "10.9.8.1", "172.20.0.0/16 via 192.168.1.1 dev eth0"},
      {"static IPv6", "fd03::/48", "fd02::1", "fd03::/48 via fd01::1 dev eth0"},
  };
  for (const Row& row : rows) {
    const std::string family = at(row.target).family == 6 ? "-6 route" : "route";
    const auto added = netlink->add_route("zt0", at(row.target), at(row.via), 0);
    ASSERT_FALSE(added) << row.why;
    EXPECT_EQ(added.error().code, Errc::kExists) << row.why;
    EXPECT_NE(added.error().text.find("eth0"), std::string::npos) << added.error().text;
    EXPECT_TRUE(ip_shows(family, row.shown)) << row.why;
    EXPECT_TRUE(netlink->remove_route("zt0", at(row.target), at(row.via), 0)) << row.why;
    EXPECT_TRUE(ip_shows(family, row.shown)) << row.why;
  }
  // Another metric is another route, and only that one goes again.
  EXPECT_TRUE(*netlink->add_route("zt0", at("172.20.0.0/16"), at("10.9.8.1"), 50));
  EXPECT_TRUE(netlink->remove_route("zt0", at("172.20.0.0/16"), at("10.9.8.1"), 50));
  EXPECT_TRUE(ip_shows("route", rows[1].shown));
  EXPECT_FALSE(ip_shows("route", "metric 50"));
}

TEST(Netlink, SetsTheSizeOfSuperframes) {
  ORRERY_NEEDS_NAMESPACE();
  ASSERT_TRUE(make_interfaces());
  auto netlink = Netlink::open();
  ASSERT_TRUE(netlink);
  EXPECT_TRUE(netlink->set_superframe_limit("zt0", 61'830));
  EXPECT_TRUE(ip_shows("-d link show dev zt0", "gso_max_size 61830 "));
  EXPECT_TRUE(netlink->set_link("zt0", 1400, true)) << "which leaves it alone";
  EXPECT_TRUE(ip_shows("-d link show dev zt0", "gso_max_size 61830 "));
  EXPECT_TRUE(ip_shows("-d link show dev zt0", "mtu 1400 "));
  EXPECT_FALSE(netlink->set_superframe_limit("zt9", 61'830)) << "there is none";
}

TEST(Netlink, KnowsItsOwnRouteAgain) {
  ORRERY_NEEDS_NAMESPACE();
  ASSERT_TRUE(make_interfaces());
  auto netlink = Netlink::open();
  ASSERT_TRUE(netlink);
  const std::tuple<const char*, const char*, unsigned> rows[] = {
      {"10.77.0.0/16", "10.9.8.1", 0},
      {"10.78.0.0/16", "10.9.8.1", 7},
      {"fd05::/48", "fd02::1", 0},
      {"10.79.0.0/16", "", 0},
      {"fd06::/48", "", 9},
  };
  for (const auto& [target, gateway, metric] : rows) {
    const wire::Endpoint via = *gateway == 0 ? wire::Endpoint{} : at(gateway);
    const auto first = netlink->add_route("zt0", at(target), via, metric);
    ASSERT_TRUE(first) << target << ": " << first.error().text;
    EXPECT_TRUE(*first) << target;
    const auto again = netlink->add_route("zt0", at(target), via, metric);
    ASSERT_TRUE(again) << target << ": " << again.error().text;
    EXPECT_FALSE(*again) << target;
    EXPECT_TRUE(netlink->remove_route("zt0", at(target), via, metric)) << target;
    EXPECT_TRUE(netlink->remove_route("zt0", at(target), via, metric)) << target << ", twice";
    EXPECT_FALSE(ip_shows(at(target).family == 6 ? "-6 route" : "route", target)) << target;
  }
  // The same prefix by another gateway is not the same route.
  ASSERT_TRUE(netlink->add_route("zt0", at("10.77.0.0/16"), at("10.9.8.1"), 0));
  EXPECT_FALSE(netlink->add_route("zt0", at("10.77.0.0/16"), at("10.9.8.2"), 0));
  const auto nowhere = netlink->add_route("zt0", at("10.80.0.0/16"), at("203.0.113.1"), 0);
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().text.find("unreachable"), std::string::npos) << nowhere.error().text;
}

TEST(Netlink, SkipsAnswersThatNobodyWaitsFor) {
  ORRERY_NEEDS_NAMESPACE();
  auto netlink = Netlink::open();
  ASSERT_TRUE(netlink);
  ASSERT_TRUE(netlink->addresses());
  // A request of another number, whose answer (an error) stays in the socket.
  char buffer[512];
  nlmsghdr* h = mnl_nlmsg_put_header(buffer);
  h->nlmsg_type = RTM_DELLINK;
  h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  h->nlmsg_seq = 4711;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(h, sizeof(ifinfomsg)));
  link->ifi_index = 12345;
  ASSERT_GT(::send(netlink->fd(), h, h->nlmsg_len, 0), 0);
  // And a dump that nobody reads.
  h = mnl_nlmsg_put_header(buffer);
  h->nlmsg_type = RTM_GETADDR;
  h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  h->nlmsg_seq = 4712;
  mnl_nlmsg_put_extra_header(h, sizeof(ifaddrmsg));
  ASSERT_GT(::send(netlink->fd(), h, h->nlmsg_len, 0), 0);

  const auto all = netlink->addresses();
  ASSERT_TRUE(all) << all.error().text;
  EXPECT_FALSE(all->empty());
  EXPECT_TRUE(netlink->set_link("lo", 9000, true));
  EXPECT_TRUE(netlink->add_address("lo", at("10.1.1.1/32")));
  EXPECT_EQ(netlink->addresses()->size(), all->size() + 1);
}

TEST(Netlink, ReadsAHostThatChangesMeanwhile) {
  ORRERY_NEEDS_NAMESPACE();
  auto netlink = Netlink::open();
  auto other = Netlink::open();
  ASSERT_TRUE(netlink && other);
  // Enough for a dump of several parts, between which the host may change.
  constexpr std::uint32_t kMany = 1500;
  for (std::uint32_t i = 0; i < kMany; ++i)
    ASSERT_TRUE(netlink->add_address("lo", wire::Endpoint::v4(0x0a000001 + i, 32)));
  std::atomic<bool> stop{false}, quiet{false};
  // The thread shares this namespace: it was made before.
  std::thread changes([&] {
    while (!stop) {
      if (quiet) continue;
      EXPECT_TRUE(other->add_address("lo", at("172.16.0.1/32")));
      EXPECT_TRUE(other->remove_address("lo", at("172.16.0.1/32")));
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  unsigned refused = 0;
  for (int round = 0; round < 30; ++round) {
    // How many attempts a change falls into is chance; in quiet rounds the last one at most does.
    quiet = round % 3 != 0;
    const auto all = netlink->addresses();
    if (all) {
      EXPECT_GE(all->size(), kMany);
    } else {
      EXPECT_FALSE(quiet) << all.error().text;
      ++refused;  // the host changed in every attempt; what follows must not suffer
    }
    const auto set = netlink->set_link("lo", static_cast<std::uint16_t>(9000 + round), true);
    EXPECT_TRUE(set) << set.error().text;
    const auto none = netlink->remove_address("lo", at("172.17.0.1/32"));
    EXPECT_TRUE(none) << none.error().text;
  }
  stop = true;
  changes.join();
  EXPECT_LT(refused, 15u);
}

}  // namespace
}  // namespace orrery::tap
