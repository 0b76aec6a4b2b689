// next_hops: routes, neighbours and announcements of one interface, in a namespace of the test's
// own.
#include "tap/next_hops.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tap/device.h"
#include "tap/netlink.h"

namespace orrery::tap {
namespace {

wire::Endpoint at(const char* text) {
  return *wire::parse_endpoint(text);
}

bool run(const std::string& command) {
  return std::system((command + " 2>/dev/null").c_str()) == 0;
}

class NextHopsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0)
      GTEST_SKIP() << "needs root and a network namespace of its own";
    if (!run("ip link show lo >/dev/null")) GTEST_SKIP() << "needs the ip command";
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink);
    for (const char* name : {"hop0", "hop1"}) {
      auto device = Device::open({name, wire::Mac{0x020102030405}});
      ASSERT_TRUE(device) << device.error().text;
      devices_.push_back(std::move(*device));
      ASSERT_TRUE(netlink->set_link(name, 1500, true));
    }
    ASSERT_TRUE(netlink->add_address("hop0", at("10.9.8.7/24")));
    ASSERT_TRUE(netlink->add_address("hop0", at("fd00::7/64")));
    ASSERT_TRUE(netlink->add_address("hop1", at("10.9.9.7/24")));
    auto opened = NextHops::open("hop0");
    ASSERT_TRUE(opened) << opened.error().text;
    hops_ = std::make_unique<NextHops>(std::move(*opened));
  }

  std::vector<NextHops::Route> routes() {
    auto r = hops_->routes();
    EXPECT_TRUE(r) << r.error().text;
    return r ? *r : std::vector<NextHops::Route>{};
  }

  std::vector<NextHops::Neighbour> neighbours() {
    auto r = hops_->neighbours();
    EXPECT_TRUE(r) << r.error().text;
    return r ? *r : std::vector<NextHops::Neighbour>{};
  }

  bool has(const char* target, const char* gateway, std::uint32_t metric) {
    const auto all = routes();
    const NextHops::Route wanted{at(target), gateway == nullptr ? wire::Endpoint{} : at(gateway),
                                 metric};
    return std::find(all.begin(), all.end(), wanted) != all.end();
  }

  NextHops::Changes wait_for_changes() {
    pollfd p{hops_->fd(), POLLIN, 0};
    ::poll(&p, 1, 2000);
    return hops_->changes();
  }

  std::vector<Device> devices_;
  std::unique_ptr<NextHops> hops_;
};

TEST_F(NextHopsTest, ReadsRoutesOfItsInterface) {
  ASSERT_TRUE(run("ip route add default via 10.9.8.1 dev hop0 metric 100"));
  ASSERT_TRUE(run("ip route add 192.0.2.0/25 via 10.9.8.2 dev hop0"));
  ASSERT_TRUE(run("ip route add 192.0.2.0/25 via 10.9.8.3 dev hop0 metric 7"));
  ASSERT_TRUE(run("ip route add 203.0.113.0/24 nexthop via 10.9.9.4 nexthop via 10.9.8.4"));
  ASSERT_TRUE(run("ip route add unreachable 198.51.100.0/24"));
  ASSERT_TRUE(run("ip route add 172.16.0.0/12 via 10.9.8.5 dev hop0 table 77"));
  ASSERT_TRUE(run("ip route add 172.17.0.0/16 via 10.9.9.5 dev hop1"));
  ASSERT_TRUE(run("ip route add 100.64.0.0/10 via inet6 fd00::9 dev hop0"));
  ASSERT_TRUE(run("ip -6 route add 2001:db8::/32 via fd00::1 dev hop0 metric 50"));
  EXPECT_TRUE(has("0.0.0.0/0", "10.9.8.1/0", 100));
  EXPECT_TRUE(has("10.9.8.0/24", nullptr, 0));
  EXPECT_TRUE(has("192.0.2.0/25", "10.9.8.2/0", 0));
  EXPECT_TRUE(has("203.0.113.0/24", "10.9.8.4/0", 0)) << "the hop of this interface";
  EXPECT_TRUE(has("100.64.0.0/10", "fd00::9/0", 0)) << "a gateway of the other family";
  EXPECT_TRUE(has("2001:db8::/32", "fd00::1/0", 50));
  EXPECT_TRUE(has("fd00::/64", nullptr, 256));
  const auto all = routes();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(),
                             [](const auto& a, const auto& b) { return a.metric < b.metric; }));
  for (const auto& r : all) {
    EXPECT_FALSE(r.target == at("198.51.100.0/24")) << "unreachable";
    EXPECT_FALSE(r.target == at("172.16.0.0/12")) << "another table";
    EXPECT_FALSE(r.target == at("172.17.0.0/16")) << "another interface";
    EXPECT_FALSE(r.target == at("10.9.9.0/24")) << "another interface";
  }
}

TEST_F(NextHopsTest, ReadsNeighboursWithAKnownMac) {
  ASSERT_TRUE(run("ip neigh add 10.9.8.1 lladdr 02:00:00:00:00:01 dev hop0 nud reachable"));
  ASSERT_TRUE(run("ip neigh add 10.9.8.2 lladdr 02:00:00:00:00:02 dev hop0 nud stale"));
  ASSERT_TRUE(run("ip neigh add fd00::1 lladdr 02:00:00:00:00:03 dev hop0 nud permanent"));
  ASSERT_TRUE(run("ip neigh add 10.9.9.1 lladdr 02:00:00:00:00:04 dev hop1 nud reachable"));
  ASSERT_TRUE(run("ip neigh add 10.9.8.3 dev hop0 nud failed"));
  auto all = neighbours();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.mac < b.mac; });
  const std::vector<NextHops::Neighbour> expected = {{at("10.9.8.1/0"), wire::Mac{0x020000000001}},
                                                     {at("10.9.8.2/0"), wire::Mac{0x020000000002}},
                                                     {at("fd00::1/0"), wire::Mac{0x020000000003}}};
  EXPECT_EQ(all, expected);
}

TEST_F(NextHopsTest, ChangesAreAnnounced) {
  (void)hops_->changes();
  ASSERT_TRUE(run("ip neigh add 10.9.8.1 lladdr 02:00:00:00:00:01 dev hop0 nud reachable"));
  EXPECT_TRUE(wait_for_changes().hops);
  ASSERT_TRUE(run("ip route add 192.0.2.0/24 via 10.9.8.1 dev hop0"));
  EXPECT_TRUE(wait_for_changes().hops);
  ASSERT_TRUE(run("ip addr add 10.9.8.9/24 dev hop0"));
  EXPECT_TRUE(wait_for_changes().addresses);
  (void)hops_->changes();
  ASSERT_TRUE(run("ip neigh add 10.9.9.1 lladdr 02:00:00:00:00:01 dev hop1 nud reachable"));
  EXPECT_FALSE(wait_for_changes().hops) << "another interface";
}

TEST_F(NextHopsTest, ResolvesByArpAndNd) {
  for (const auto& [ip, ethertype] :
       {std::pair{"10.9.8.44/0", 0x0806}, std::pair{"fd00::44/0", 0x86dd}}) {
    ASSERT_TRUE(hops_->resolve(at(ip))) << ip;
    // The kernel asks on the link: the question stands on the TAP, among whatever else it says.
    bool asked = false;
    for (int i = 0; i < 50 && !asked; ++i) {
      pollfd p{devices_[0].fd(), POLLIN, 0};
      // Again while nothing is said: of IPv6 the kernel asks nobody, and gives up, as long as it is
      // not sure of its own link-local address.
      if (::poll(&p, 1, 100) == 0) (void)hops_->resolve(at(ip));
      std::uint8_t frame[2048];
      const ssize_t n = ::read(devices_[0].fd(), frame, sizeof frame);
      const std::size_t head = devices_[0].header_size();
      if (n < static_cast<ssize_t>(head + 42)) continue;
      const Bytes f = Bytes(frame, static_cast<std::size_t>(n)).subspan(head);
      const auto target = at(ip);
      asked = load_be16(f.data() + 12) == ethertype &&
              std::search(f.begin(), f.end(), target.ip_bytes().begin(), target.ip_bytes().end()) !=
                  f.end();
    }
    EXPECT_TRUE(asked) << ip;
  }
  EXPECT_TRUE(hops_->resolve(at("10.9.8.44/0"))) << "again, while it is looked for";
}

TEST_F(NextHopsTest, NeedsAnInterface) {
  const auto opened = NextHops::open("nosuch");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text.find("nosuch"), std::string::npos);
}

}  // namespace
}  // namespace orrery::tap
