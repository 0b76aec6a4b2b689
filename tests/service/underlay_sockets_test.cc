// underlay: the sockets follow the host's addresses, also from one interface to another.
#include <gtest/gtest.h>

#include "dataplane/fixture.h"
#include "service/underlay.h"
#include "tap/namespace.h"

namespace orrery::service {
namespace {

using tap::test::at;
using tap::test::ip;

/// By the number of workers.
class UnderlaySockets : public dataplane::test::Dataplane,
                        public ::testing::WithParamInterface<unsigned> {};

TEST_P(UnderlaySockets, FollowAnAddressFromInterfaceToInterface) {
  ORRERY_NEEDS_NAMESPACE();
  for (const char* name : {"eth0", "eth1"}) {
    ASSERT_TRUE(ip(std::string("link add ") + name + " type veth peer name w" + name));
    ASSERT_TRUE(ip(std::string("link set ") + name + " addrgenmode none up"));
  }
  ASSERT_TRUE(ip("address add 192.0.2.2/24 dev eth0"));
  auto netlink = tap::Netlink::open();
  ASSERT_TRUE(netlink);
  Config config;
  config.port = 9993;
  Underlay underlay(config, *netlink, dataplane::test::pools(), GetParam());
  ASSERT_TRUE(*underlay.refresh());
  ASSERT_EQ(underlay.endpoints().size(), 1u);
  EXPECT_EQ(underlay.endpoints()[0].address, at("192.0.2.2/9993"));
  const auto id = underlay.endpoints()[0].socket;
  const auto held = underlay.sockets();  // the workers let go of them later
  EXPECT_EQ(held.size(), GetParam());
  for (const auto& port : held) EXPECT_TRUE(port->owns(id));
  EXPECT_FALSE(*underlay.refresh()) << "nothing is new";
  EXPECT_EQ(underlay.endpoints()[0].mtu, 1'500);
  ASSERT_TRUE(ip("link set eth0 mtu 9000"));
  EXPECT_TRUE(*underlay.refresh()) << "what its link carries is";
  EXPECT_EQ(underlay.endpoints()[0].mtu, 9'000);
  EXPECT_EQ(underlay.endpoints()[0].socket, id);

  ASSERT_TRUE(ip("address del 192.0.2.2/24 dev eth0") && ip("address add 192.0.2.2/24 dev eth1"));
  EXPECT_TRUE(*underlay.refresh());
  EXPECT_TRUE(underlay.failures().empty()) << underlay.failures()[0];
  ASSERT_EQ(underlay.endpoints().size(), 1u);
  EXPECT_NE(underlay.endpoints()[0].socket, id) << "another socket";

  ASSERT_TRUE(ip("address del 192.0.2.2/24 dev eth1"));
  EXPECT_TRUE(*underlay.refresh());
  EXPECT_TRUE(underlay.endpoints().empty());
  EXPECT_TRUE(underlay.sockets().empty());
}

INSTANTIATE_TEST_SUITE_P(Workers, UnderlaySockets, ::testing::Values(1u, 2u));

}  // namespace
}  // namespace orrery::service
