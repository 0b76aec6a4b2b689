// lan_switch: where frames of a bridged network go, and never back.
#include "dataplane/lan_switch.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

constexpr std::uint64_t kTap = 1, kFirst = 2, kSecond = 4;

class LanSwitchTest : public ::testing::Test {
 protected:
  LanSwitchTest() { lan_.set_ports(kTap | kFirst | kSecond); }

  LanSwitch::Verdict local(unsigned port, wire::Mac to, wire::Mac from) {
    return lan_.from_local(port, ethernet(to, from, 0x0800, 46), now_);
  }

  LanSwitch::Verdict overlay(wire::Mac to, wire::Mac from) {
    return lan_.from_overlay(ethernet(to, from, 0x0800, 46), now_);
  }

  static void expect(const LanSwitch::Verdict& v, std::uint64_t ports, bool overlay) {
    EXPECT_EQ(v.ports, ports);
    EXPECT_EQ(v.overlay, overlay);
    EXPECT_EQ(v.drop, Drop::kNone);
  }

  Millis now_ = 1'000;
  LanSwitch lan_{kNetwork, {1, 2}};
  const wire::Mac one_{0x525400000001ULL}, two_{0x525400000002ULL}, far_{0x525400000009ULL};
};

TEST_F(LanSwitchTest, UnknownAndBroadcastGoToAllButWhereTheyCameFrom) {
  expect(local(1, far_, one_), kTap | kSecond, true);
  expect(local(2, wire::kBroadcastMac, two_), kTap | kFirst, true);
  expect(local(0, wire::Mac{0x01005e000001ULL}, two_), kFirst | kSecond, true);
}

TEST_F(LanSwitchTest, WhatCameFromTheOverlayNeverReturnsToIt) {
  expect(overlay(wire::kBroadcastMac, far_), kTap | kFirst | kSecond, false);
  expect(overlay(one_, far_), kTap | kFirst | kSecond, false);
  expect(overlay(wire::mac_of(kB, kNetwork), far_), kTap | kFirst | kSecond, false);
}

TEST_F(LanSwitchTest, KnownStationsGetTheirFramesAlone) {
  (void)local(2, wire::kBroadcastMac, two_);
  expect(local(1, two_, one_), kSecond, false);
  expect(overlay(two_, far_), kSecond, false);
  EXPECT_EQ(local(2, two_, one_).drop, Drop::kLocal) << "already where it is to go";
}

TEST_F(LanSwitchTest, MembersAreInTheOverlayOnly) {
  expect(local(1, wire::mac_of(kB, kNetwork), one_), 0, true);
}

TEST_F(LanSwitchTest, RemovedPortsGetNothing) {
  lan_.set_ports(kFirst);
  expect(local(1, far_, one_), 0, true);
  lan_.set_ports(0);
  EXPECT_EQ(overlay(far_, two_).drop, Drop::kNoPort);
}

TEST_F(LanSwitchTest, WhatIsShorterThanAHeaderIsDropped) {
  EXPECT_EQ(lan_.from_local(1, ByteVector(13, 1), now_).drop, Drop::kShort);
  EXPECT_EQ(lan_.from_overlay(ByteVector(13, 1), now_).drop, Drop::kShort);
}

}  // namespace
}  // namespace orrery::dataplane::test
