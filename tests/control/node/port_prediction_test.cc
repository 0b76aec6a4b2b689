// Port prediction: two bursts meet whatever small number of ports was taken before, and every port
// is tried once.
#include "control/port_prediction.h"

#include <gtest/gtest.h>

#include <set>

namespace orrery::control {
namespace {

constexpr unsigned kBurst = PortPrediction::kBurst;

/// A NAT that counts: the i-th destination leaves by the port so many behind the first.
struct Counting {
  unsigned next;

  std::uint16_t port_of(unsigned probe) const { return static_cast<std::uint16_t>(next + probe); }
};

/// Whether a probe of each end goes where one of the other comes from.
bool met(std::uint16_t told_a, unsigned taken_a, std::uint16_t told_b, unsigned taken_b) {
  const Counting a{told_a + 1u + taken_a}, b{told_b + 1u + taken_b};
  const auto from_a = PortPrediction::ports(told_b, true);
  const auto from_b = PortPrediction::ports(told_a, false);
  for (unsigned i = 0; i < kBurst; ++i) {
    for (unsigned k = 0; k < kBurst; ++k) {
      if (from_a[i] == b.port_of(k) && from_b[k] == a.port_of(i)) return true;
    }
  }
  return false;
}

TEST(PortPrediction, BurstsMeetWhenFewPortsWereTakenInBetween) {
  for (unsigned a = 0; a < kBurst / 2; ++a) {
    for (unsigned b = 0; a + b < kBurst / 2; ++b) EXPECT_TRUE(met(20'000, a, 40'000, b)) << a << b;
  }
  EXPECT_FALSE(met(20'000, kBurst, 40'000, 0));
  EXPECT_FALSE(met(20'000, 0, 40'000, kBurst));
}

TEST(PortPrediction, EveryPortOfTheWindowIsTriedOnce) {
  for (const bool steps : {false, true}) {
    const auto ports = PortPrediction::ports(20'000, steps);
    const std::set<std::uint16_t> distinct(ports.begin(), ports.end());
    EXPECT_EQ(distinct.size(), kBurst);
    EXPECT_EQ(*distinct.begin(), 20'001);
    EXPECT_EQ(*distinct.rbegin(), 20'000 + kBurst);
  }
}

TEST(PortPrediction, TheLastPortIsFollowedByTheFirstThatNatsGiveAway) {
  for (const bool steps : {false, true}) {
    for (const std::uint16_t port : PortPrediction::ports(65'530, steps))
      EXPECT_TRUE(port > 65'530 || (port >= 1'024 && port < 1'024 + kBurst)) << port;
  }
}

}  // namespace
}  // namespace orrery::control
