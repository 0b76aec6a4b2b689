// device: interface names; opening one needs root and a namespace of its own.
#include "tap/device.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "tap/netlink.h"

namespace orrery::tap {
namespace {

TEST(DeviceName, FollowsTheNetwork) {
  // docs/protocol/12-local-service.md section 2
  EXPECT_EQ(device_name(wire::NetworkId{0x50f44de1d7fa6fd2}), "ztwer3pdqf");
  EXPECT_NE(device_name(wire::NetworkId{0x50f44de1d7fa6fd2}, 1), "ztwer3pdqf");
}

TEST(Device, OpensWithOffloadsAndGoesAway) {
  if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0)
    GTEST_SKIP() << "needs root and a network namespace of its own";
  {
    auto device = Device::open({"zttest", wire::Mac{0x020102030405}});
    ASSERT_TRUE(device) << device.error().text;
    EXPECT_EQ(device->header_size(), 12u);
    EXPECT_NE(::if_nametoindex("zttest"), 0u);
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink) << netlink.error().text;
    const wire::Endpoint address = *wire::parse_endpoint("10.9.8.7/24");
    const wire::Endpoint v6 = *wire::parse_endpoint("fd00::7/64");
    ASSERT_TRUE(netlink->set_link("zttest", 2800, true));
    for (int again = 0; again < 2; ++again) {
      EXPECT_TRUE(netlink->add_address("zttest", address)) << again;
      EXPECT_TRUE(netlink->add_address("zttest", v6)) << again;
    }
    EXPECT_TRUE(netlink->add_route("zttest", *wire::parse_endpoint("10.77.0.0/16"),
                                   *wire::parse_endpoint("10.9.8.1"), 0));
    EXPECT_TRUE(netlink->remove_route("zttest", *wire::parse_endpoint("10.77.0.0/16"),
                                      *wire::parse_endpoint("10.9.8.1"), 0));
    const auto all = netlink->addresses();
    ASSERT_TRUE(all);
    EXPECT_TRUE(std::any_of(all->begin(), all->end(), [&](const auto& a) {
      return a.address == address && a.interface == "zttest";
    }));
    EXPECT_TRUE(
        std::any_of(all->begin(), all->end(), [&](const auto& a) { return a.address == v6; }));
    EXPECT_TRUE(netlink->remove_address("zttest", address));
    EXPECT_TRUE(netlink->remove_address("zttest", address)) << "twice";
    EXPECT_FALSE(joined_multicast("zttest").empty());
    const auto nowhere = netlink->add_address("nosuch", address);
    ASSERT_FALSE(nowhere);
    EXPECT_NE(nowhere.error().text.find("nosuch"), std::string::npos);
  }
  EXPECT_EQ(::if_nametoindex("zttest"), 0u);
}

}  // namespace
}  // namespace orrery::tap
