// The simulated NATs by themselves, and docs/nat.md against what the matrix says now.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sim/nat.h"
#include "sim/nat_kinds.h"

namespace orrery::test {
namespace {

using sim::Nat;
using sim::NatBehaviour;
using wire::Endpoint;

const Endpoint kOutside = Endpoint::v4(0x1f000001, 0);
const Endpoint kInside = Endpoint::v4(0xc0a8010a, 9993);
const Endpoint kOther = Endpoint::v4(0xc0a8010b, 9993);
const Endpoint kServer = Endpoint::v4(0x1f000101, 9993);
const Endpoint kServerPort = Endpoint::v4(0x1f000101, 1000);
const Endpoint kStranger = Endpoint::v4(0x1f000201, 9993);

Nat make(const NatBehaviour& behaviour) {
  return {kOutside, behaviour, sim::Random(1)};
}

TEST(SimNat, FullConeLetsInAnybodyByOnePort) {
  Nat nat = make(sim::kFullCone);
  EXPECT_EQ(nat.inbound(0, 9993, kServer), std::nullopt);
  EXPECT_EQ(nat.outbound(0, kInside, kServer), kOutside.with_port(9993));
  EXPECT_EQ(nat.outbound(0, kInside, kStranger), kOutside.with_port(9993));
  EXPECT_EQ(nat.inbound(1, 9993, kServerPort), kInside);
  EXPECT_EQ(nat.inbound(1, 9994, kServer), std::nullopt);
}

TEST(SimNat, RestrictedConeLetsInAddressesThatWereWrittenTo) {
  Nat nat = make(sim::kRestrictedCone);
  nat.outbound(0, kInside, kServer);
  EXPECT_EQ(nat.inbound(1, 9993, kServer), kInside);
  EXPECT_EQ(nat.inbound(1, 9993, kServerPort), kInside);
  EXPECT_EQ(nat.inbound(1, 9993, kStranger), std::nullopt);
}

TEST(SimNat, PortRestrictedLetsInEndpointsThatWereWrittenTo) {
  Nat nat = make(sim::kPortRestricted);
  nat.outbound(0, kInside, kServer);
  EXPECT_EQ(nat.inbound(1, 9993, kServer), kInside);
  EXPECT_EQ(nat.inbound(1, 9993, kServerPort), std::nullopt);
}

TEST(SimNat, SymmetricHasAPortForEachRemoteEndpoint) {
  Nat in_order = make(sim::kSymmetricSequential);
  const auto first = in_order.outbound(0, kInside, kServer);
  const auto second = in_order.outbound(0, kInside, kStranger);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->port, first->port + 1);
  EXPECT_EQ(in_order.outbound(1, kInside, kServer), first);
  EXPECT_EQ(in_order.inbound(1, first->port, kServer), kInside);
  EXPECT_EQ(in_order.inbound(1, first->port, kStranger), std::nullopt);
  Nat random = make(sim::kSymmetricRandom);
  const auto one = random.outbound(0, kInside, kServer);
  const auto two = random.outbound(0, kInside, kStranger);
  EXPECT_NE(one->port + 1, two->port);
}

TEST(SimNat, TwoInsideHostsNeverShareAMapping) {
  Nat nat = make(sim::kPortRestricted);
  EXPECT_EQ(nat.outbound(0, kInside, kServer), kOutside.with_port(9993));
  EXPECT_EQ(nat.outbound(0, kOther, kServer), kOutside.with_port(9994));
  EXPECT_EQ(nat.inbound(1, 9994, kServer), kOther);
}

TEST(SimNat, MappingsExpireUnlessTheyAreUsedFromInside) {
  Nat nat = make(sim::kPortRestricted);
  const sim::Micros life = nat.behaviour().lifetime;
  nat.outbound(0, kInside, kServer);
  EXPECT_EQ(nat.inbound(life - 1, 9993, kServer), kInside);
  EXPECT_EQ(nat.inbound(life, 9993, kServer), std::nullopt);
  nat.outbound(life, kInside, kServer);
  EXPECT_EQ(nat.inbound(2 * life - 1, 9993, kServer), kInside);
}

TEST(SimNat, ManyMappingsComeAndGo) {
  Nat nat = make(sim::kSymmetricSequential);
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    const sim::Micros now = sim::micros(i) * 10;
    ASSERT_TRUE(nat.outbound(now, kInside, Endpoint::v4(0x20000000 + i, 9993))) << i;
  }
  EXPECT_LE(nat.mappings(), 2U * 12'000U);
}

TEST(NatDocument, SaysWhatTheMatrixSays) {
  std::ifstream file(std::string(std::getenv("ORRERY_SOURCE")) + "/docs/nat.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find("simulated world"), std::string::npos);
  EXPECT_EQ(text.str(), nat_document(text.str()))
      << "write it anew with: tools/sim matrix --write docs/nat.md";
}

}  // namespace
}  // namespace orrery::test
