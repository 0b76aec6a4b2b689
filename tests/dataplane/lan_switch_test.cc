// lan_switch: where frames of a bridged network go, and never back; rates; whose addresses are not
// believed; blocked ports; probes.
#include "dataplane/lan_switch.h"

#include <gtest/gtest.h>

#include "fixture.h"
#include "support/neighbour_frames.h"
#include "wire/bridge_probe.h"

namespace orrery::dataplane::test {
namespace {

constexpr std::uint64_t kTapBit = 1, kFirst = 2, kSecond = 4;

class LanSwitchTest : public ::testing::Test {
 protected:
  LanSwitchTest() {
    LanPortOptions options;
    options.fixed = {fixed_};
    EXPECT_TRUE(lan_.add_lan_port(1, options));
    EXPECT_TRUE(lan_.add_lan_port(2, {}));
    lan_.set_ports(kTapBit | kFirst | kSecond);
  }

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
    EXPECT_FALSE(v.probe);
  }

  static ByteVector probe() {
    ByteVector frame = ethernet(wire::kBridgeProbeGroup, wire::Mac{0x060000000001},
                                wire::kBridgeProbeEthertype, 46);
    store_be32(frame.data() + 14, 0x4f724250);
    return frame;
  }

  Millis now_ = 1'000'000;
  LanSwitch lan_{kNetwork, kA, {1, 2}};
  const wire::Mac one_{0x525400000001ULL}, two_{0x525400000002ULL}, far_{0x525400000009ULL},
      fixed_{0x525400000011ULL}, own_ = wire::mac_of(kA, kNetwork),
                                 member_ = wire::mac_of(kB, kNetwork);
};

TEST_F(LanSwitchTest, UnknownAndBroadcastGoToAllButWhereTheyCameFrom) {
  expect(local(1, far_, one_), kTapBit | kSecond, true);
  expect(local(2, wire::kBroadcastMac, two_), kTapBit | kFirst, true);
  expect(local(0, wire::Mac{0x01005e000001ULL}, own_), kFirst | kSecond, true);
}

TEST_F(LanSwitchTest, WhatCameFromTheOverlayNeverReturnsToIt) {
  (void)local(1, wire::kBroadcastMac, one_);
  lan_.add_remote(far_, now_);
  for (const wire::Mac to : {wire::kBroadcastMac, wire::Mac{0x01005e000001ULL}, one_, two_, far_,
                             fixed_, own_, member_}) {
    for (const wire::Mac from : {far_, member_, two_}) EXPECT_FALSE(overlay(to, from).overlay);
  }
}

TEST_F(LanSwitchTest, FromTheOverlayToStationsAndToAll) {
  (void)local(1, wire::kBroadcastMac, one_);
  expect(overlay(wire::kBroadcastMac, far_), kTapBit | kFirst | kSecond, false);
  expect(overlay(two_, far_), kTapBit | kFirst | kSecond, false);
  expect(overlay(one_, far_), kFirst, false);
  expect(overlay(fixed_, far_), kFirst, false);
  expect(overlay(own_, member_), kTapBit, false);
}

TEST_F(LanSwitchTest, KnownStationsGetTheirFramesAlone) {
  (void)local(2, wire::kBroadcastMac, two_);
  expect(local(1, two_, one_), kSecond, false);
  EXPECT_EQ(local(2, two_, one_).drop, Drop::kLocal) << "already where it is to go";
  EXPECT_EQ(local(1, fixed_, one_).drop, Drop::kLocal) << "known before it says a word";
}

TEST_F(LanSwitchTest, MembersAndRemoteStationsAreInTheOverlayOnly) {
  expect(local(1, member_, one_), 0, true);
  lan_.add_remote(far_, now_);
  expect(local(1, far_, one_), 0, true);
  lan_.remove_remote(far_);
  expect(local(1, far_, one_), kTapBit | kSecond, true);
}

TEST_F(LanSwitchTest, TheHostIsOnTheTap) {
  expect(local(1, own_, one_), kTapBit, false);
  lan_.set_ports(kFirst | kSecond);
  expect(local(1, own_, one_), 0, true);
  EXPECT_EQ(overlay(own_, member_).drop, Drop::kNoPort);
}

TEST_F(LanSwitchTest, AStationThatMovedAwayIsSoughtInTheOverlay) {
  (void)local(1, wire::kBroadcastMac, one_);
  now_ += 2'000;
  (void)overlay(two_, one_);
  expect(local(2, one_, two_), 0, true);
  EXPECT_EQ(lan_.counts(LanSwitch::kOverlay).moved, 1u);
  now_ += 2'000;
  (void)local(2, wire::kBroadcastMac, one_);
  expect(overlay(one_, far_), kSecond, false);
  EXPECT_EQ(lan_.counts(2).moved, 1u);
}

TEST_F(LanSwitchTest, AStationInTwoPlacesAtOnceIsHeld) {
  (void)local(1, wire::kBroadcastMac, one_);
  for (int i = 0; i < 100; ++i) (void)overlay(wire::kBroadcastMac, one_);
  expect(overlay(one_, far_), kFirst, false);
  EXPECT_EQ(lan_.counts(LanSwitch::kOverlay).held, 100u);
}

TEST_F(LanSwitchTest, SourcesThatNoStationHas) {
  for (const wire::Mac source : {wire::Mac{}, wire::kBroadcastMac, wire::Mac{0x01005e000001ULL}})
    EXPECT_EQ(local(1, far_, source).drop, Drop::kSourceMac) << wire::to_string(source);
  for (const wire::Mac source : {own_, member_})
    EXPECT_EQ(local(1, far_, source).drop, Drop::kMemberMac) << wire::to_string(source);
  expect(local(0, far_, own_), kFirst | kSecond, true);
}

TEST_F(LanSwitchTest, AFixedStationIsNowhereElse) {
  EXPECT_EQ(local(2, far_, fixed_).drop, Drop::kFixedMac);
  EXPECT_EQ(overlay(wire::kBroadcastMac, fixed_).drop, Drop::kFixedMac);
  EXPECT_EQ(lan_.counts(2).fixed, 1u);
  expect(local(1, far_, fixed_), kTapBit | kSecond, true);
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

TEST_F(LanSwitchTest, ABlockedPortPassesProbesOnly) {
  (void)local(1, wire::kBroadcastMac, one_);
  lan_.block(1, true);
  EXPECT_TRUE(lan_.blocked(1));
  EXPECT_EQ(local(1, far_, one_).drop, Drop::kBlocked);
  EXPECT_TRUE(lan_.from_local(1, probe(), now_).probe);
  expect(overlay(wire::kBroadcastMac, far_), kTapBit | kSecond, false);
  expect(local(0, one_, own_), kSecond, true);
  expect(overlay(wire::kBroadcastMac, fixed_), kTapBit | kSecond, false);
  lan_.block(1, false);
  expect(overlay(wire::kBroadcastMac, far_), kTapBit | kFirst | kSecond, false);
}

TEST_F(LanSwitchTest, ProbesAreControlsAndLimited) {
  EXPECT_TRUE(lan_.from_overlay(probe(), now_).probe);
  unsigned passed = 0;
  for (int i = 0; i < 10'000; ++i) passed += lan_.from_local(1, probe(), now_).probe ? 1 : 0;
  EXPECT_EQ(passed, 32u);
  EXPECT_EQ(lan_.from_local(1, probe(), now_).drop, Drop::kProbes);
  EXPECT_TRUE(lan_.from_local(2, probe(), now_).probe) << "each port has its own share";
  ByteVector other = probe();
  other[14] = 0;
  EXPECT_EQ(lan_.from_local(1, other, now_).drop, Drop::kNone) << "somebody else's experiment";
  EXPECT_TRUE(lan_.from_local(2, tagged(100, probe()), now_).probe) << "its LAN tags it";
}

/// Frames of `second` seconds at `rate` that pass, after the bucket is empty.
template <typename Frame>
unsigned passed_in_a_second(Frame frame, Millis& now) {
  while (frame().drop == Drop::kNone) {
  }
  unsigned passed = 0;
  for (Millis t = 0; t < 1'000; ++t, ++now) {
    for (int i = 0; i < 100; ++i) passed += frame().drop == Drop::kNone ? 1 : 0;
  }
  return passed;
}

TEST_F(LanSwitchTest, StormsAreLimitedEachForItself) {
  LanSwitch lan(kNetwork, kA, {1, 2});
  LanPortOptions options;
  options.broadcast = 100;
  options.multicast = 1'000;
  options.unknown = 500;
  ASSERT_TRUE(lan.add_lan_port(1, options));
  lan.set_ports(kFirst | kSecond);
  const auto frame = [&](wire::Mac to) {
    return [&, to] { return lan.from_local(1, ethernet(to, one_, 0x0800, 46), now_); };
  };
  EXPECT_NEAR(passed_in_a_second(frame(wire::kBroadcastMac), now_), 100, 1);
  EXPECT_NEAR(passed_in_a_second(frame(wire::Mac{0x01005e000001ULL}), now_), 1'000, 1);
  EXPECT_NEAR(passed_in_a_second(frame(far_), now_), 500, 1);
  const auto until_dropped = [&](wire::Mac to) {
    LanSwitch::Verdict v;
    while ((v = frame(to)()).drop == Drop::kNone) {
    }
    return v.drop;
  };
  EXPECT_EQ(until_dropped(wire::kBroadcastMac), Drop::kBroadcastStorm);
  EXPECT_EQ(until_dropped(wire::Mac{0x01005e000001ULL}), Drop::kMulticastStorm);
  EXPECT_EQ(until_dropped(far_), Drop::kUnknownStorm);
  lan.add_remote(far_, now_);
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(frame(far_)().drop, Drop::kNone) << "not unknown";
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(frame(member_)().drop, Drop::kNone) << "a member";
}

TEST_F(LanSwitchTest, GuardsKeepServersOnTheirSide) {
  LanSwitch lan(kNetwork, kA, {1, 2});
  LanPortOptions guarded;
  guarded.dhcp_guard = true;
  ASSERT_TRUE(lan.add_lan_port(1, guarded));
  ASSERT_TRUE(lan.add_lan_port(2, {}));
  lan.set_ports(kTapBit | kFirst | kSecond);
  const auto dhcp = [&](std::uint16_t from_port, wire::Mac to, wire::Mac from) {
    ByteVector frame = ethernet(to, from, 0x0800, 46);
    std::fill_n(frame.begin() + 14, 28, std::uint8_t{0});
    frame[14] = 0x45;
    frame[14 + 9] = 17;
    store_be16(frame.data() + 14 + 20, from_port);
    return frame;
  };
  EXPECT_EQ(lan.from_local(1, dhcp(67, wire::kBroadcastMac, one_), now_).drop, Drop::kGuard);
  expect(lan.from_local(1, dhcp(68, wire::kBroadcastMac, one_), now_), kTapBit | kSecond, true);
  expect(lan.from_local(2, dhcp(67, wire::kBroadcastMac, two_), now_), kTapBit, true);
  EXPECT_EQ(lan.from_local(2, dhcp(67, one_, two_), now_).drop, Drop::kGuard);
  expect(lan.from_overlay(dhcp(67, wire::kBroadcastMac, far_), now_), kTapBit | kSecond, false);
  EXPECT_EQ(lan.from_overlay(dhcp(67, one_, far_), now_).drop, Drop::kGuard);
  expect(lan.from_overlay(dhcp(68, one_, far_), now_), kFirst, false);
  ByteVector advertisement = ethernet(wire::kBroadcastMac, one_, 0x86dd, 60);
  advertisement[14 + 6] = 58;
  advertisement[14 + 40] = 134;
  expect(lan.from_local(1, advertisement, now_), kTapBit | kSecond, true);
  EXPECT_EQ(lan.from_local(1, tagged(100, dhcp(67, wire::kBroadcastMac, one_)), now_).drop,
            Drop::kGuard)
      << "in a VLAN";
}

/// Ports 1 and 2, the first of which suppresses; one_ is 10.0.0.1 behind it, far_ 10.0.0.9 in the
/// overlay.
class SuppressionTest : public LanSwitchTest {
 protected:
  static constexpr std::uint32_t kOne = 0x0a000001, kTwo = 0x0a000002, kFar = 0x0a000009;

  SuppressionTest() {
    LanPortOptions options;
    options.arp_nd_suppression = true;
    EXPECT_TRUE(bridge_.add_lan_port(1, options));
    EXPECT_TRUE(bridge_.add_lan_port(2, {}));
    bridge_.set_ports(kTapBit | kFirst | kSecond);
    bridge_.add_remote(far_, now_);
    (void)in(1, orrery::test::arp_request(one_, kOne, kOne));
    (void)in(2, orrery::test::arp_request(two_, kTwo, kTwo));
    (void)out(orrery::test::arp_request(far_, kFar, kFar));
  }

  LanSwitch::Verdict in(unsigned port, const ByteVector& frame) {
    return bridge_.from_local(port, frame, now_);
  }

  LanSwitch::Verdict out(const ByteVector& frame) { return bridge_.from_overlay(frame, now_); }

  LanSwitch bridge_{kNetwork, kA, {1, 2}};
};

TEST_F(SuppressionTest, BeyondTheOverlayTheOwnerMayBeAnsweredFor) {
  using orrery::test::arp_request;
  const auto v = in(1, arp_request(one_, kOne, kFar));
  expect(v, kTapBit | kSecond, true);
  EXPECT_EQ(v.neighbour, (fib::Neighbour{far_, false}));
  EXPECT_EQ(in(0, arp_request(own_, kTwo + 8, kFar)).neighbour.mac, far_) << "the host, too";
  EXPECT_FALSE(in(2, arp_request(two_, kTwo, kFar)).neighbour.mac) << "a port without it";
  (void)out(arp_request(member_, 0x0a000063, kOne));
  EXPECT_EQ(in(1, arp_request(one_, kOne, 0x0a000063)).neighbour.mac, member_);
}

TEST_F(SuppressionTest, AStationOfASuppressingPortMayBeAnsweredForToTheOverlay) {
  using orrery::test::arp_request;
  const auto v = out(arp_request(far_, kFar, kOne));
  expect(v, kTapBit | kFirst | kSecond, false);
  EXPECT_EQ(v.neighbour.mac, one_);
  EXPECT_FALSE(out(arp_request(far_, kFar, kTwo)).neighbour.mac) << "a port without it";
  (void)in(0, arp_request(own_, 0x0a000064, kFar));
  expect(out(arp_request(far_, kFar, 0x0a000064)), kTapBit, false);
}

TEST_F(SuppressionTest, AnOwnerOnThisSideHearsItself) {
  using orrery::test::arp_request;
  const wire::Mac other{0x525400000003ULL};
  EXPECT_EQ(in(1, arp_request(other, 0x0a000003, kOne)).drop, Drop::kLocal);
  expect(in(1, arp_request(one_, kOne, kTwo)), kSecond, false);
  bridge_.set_ports(kTapBit | kFirst);
  expect(in(1, arp_request(one_, kOne, kTwo)), kTapBit, true);
}

TEST_F(SuppressionTest, WhatIsNotKnownIsAskedForEverywhere) {
  using orrery::test::arp_request;
  const auto flooded = [&](const ByteVector& frame) {
    const auto v = in(1, frame);
    expect(v, kTapBit | kSecond, true);
    EXPECT_FALSE(v.neighbour.mac);
  };
  flooded(arp_request(one_, kOne, 0x0a000077));
  flooded(arp_request(one_, 0, kFar));     // a probe
  flooded(arp_request(one_, kOne, kOne));  // an announcement
  bridge_.remove_remote(far_);
  flooded(arp_request(one_, kOne, kFar));  // its station is gone
  bridge_.add_remote(far_, now_);
  now_ += NeighbourTable::kAge + 1;
  flooded(arp_request(one_, kOne, kFar));  // it has not been heard for a minute
}

TEST_F(SuppressionTest, AConflictIsNobodys) {
  using orrery::test::arp_request;
  (void)in(1, arp_request(wire::Mac{0x525400000003ULL}, kFar, kFar));
  EXPECT_EQ(bridge_.counts(1).contested, 1u);
  const auto v = in(1, arp_request(one_, kOne, kFar));
  expect(v, kTapBit | kSecond, true);
  EXPECT_FALSE(v.neighbour.mac);
}

TEST_F(SuppressionTest, AStationIsWhereItWasHeardLast) {
  using orrery::test::arp_request;
  now_ += 2'000;
  (void)out(ethernet(wire::kBroadcastMac, one_, 0x0800, 46));
  EXPECT_FALSE(out(arp_request(far_, kFar, kOne)).neighbour.mac);
  EXPECT_EQ(in(1, arp_request(wire::Mac{0x525400000003ULL}, 0x0a000003, kOne)).neighbour.mac, one_);
  bridge_.block(1, true);
  (void)out(arp_request(far_, kFar, kFar));
  expect(out(arp_request(far_, kFar, kOne)), kTapBit | kSecond, false);
}

TEST_F(SuppressionTest, NeighbourDiscovery) {
  using namespace orrery::test;
  const Ip6 far6 = ip6(9), one6 = ip6(1);
  (void)out(discovery(kAdvertisement, one_, far_, far6, one6, kRouterFlag | kOverrideFlag, far6));
  const auto v = in(1, solicitation(one_, one6, far6));
  expect(v, kTapBit | kSecond, true);
  EXPECT_EQ(v.neighbour, (fib::Neighbour{far_, true}));
  EXPECT_FALSE(in(1, solicitation(one_, {}, far6)).neighbour.mac) << "before its use";
  EXPECT_FALSE(out(solicitation(far_, far6, one6)).neighbour.mac) << "nobody advertised it";
}

TEST_F(SuppressionTest, EachVlanHasAddressesOfItsOwn) {
  using orrery::test::arp_request;
  const ByteVector asked = tagged(0xa000 | 100, arp_request(one_, kOne, kFar));
  EXPECT_FALSE(in(1, asked).neighbour.mac);
  (void)out(tagged(100, arp_request(far_, kFar, kFar)));
  EXPECT_EQ(in(1, asked).neighbour.mac, far_);
  (void)in(1, tagged(100, arp_request(two_, kFar, kFar)));
  EXPECT_FALSE(in(1, asked).neighbour.mac) << "contested there";
  EXPECT_EQ(in(1, arp_request(one_, kOne, kFar)).neighbour.mac, far_);
}

TEST_F(SuppressionTest, NothingIsNotedWithoutThePort) {
  using orrery::test::arp_request;
  (void)local(1, wire::kBroadcastMac, one_);
  lan_.add_remote(far_, now_);
  (void)lan_.from_overlay(arp_request(far_, kFar, kFar), now_);
  const auto v = lan_.from_local(1, arp_request(one_, kOne, kFar), now_);
  expect(v, kTapBit | kSecond, true);
  EXPECT_FALSE(v.neighbour.mac);
}

TEST_F(LanSwitchTest, NoLimitAndTheTap) {
  LanSwitch lan(kNetwork, kA, {1, 2});
  LanPortOptions options;
  options.broadcast = 0;
  ASSERT_TRUE(lan.add_lan_port(1, options));
  lan.set_ports(kTapBit | kFirst);
  for (unsigned port : {0u, 1u}) {
    for (int i = 0; i < 100'000; ++i) {
      ASSERT_EQ(
          lan.from_local(port, ethernet(wire::kBroadcastMac, port == 0 ? own_ : one_, 1, 46), now_)
              .drop,
          Drop::kNone);
    }
  }
}

TEST_F(LanSwitchTest, AFloodOfSourcesIsForwardedWithinTheRatesAndLearnedWithinTheLimit) {
  (void)local(2, wire::kBroadcastMac, two_);
  unsigned flooded = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const auto v = local(1, far_, wire::Mac{0x0a0000000000 + i});
    flooded += v.drop == Drop::kNone ? 1 : 0;
  }
  EXPECT_EQ(lan_.stations(1), LanTable::Limits{}.per_port);
  EXPECT_EQ(lan_.counts(1).refused, 100'000 - LanTable::Limits{}.per_port);
  EXPECT_LE(flooded, 300u);
  expect(overlay(two_, far_), kSecond, false);
  expect(overlay(fixed_, far_), kFirst, false);
}

}  // namespace
}  // namespace orrery::dataplane::test
