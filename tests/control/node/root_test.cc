// Where a root has two peers meet, first and after attempts that led to nothing.
#include <gtest/gtest.h>

#include <deque>

#include "control/root.h"

namespace orrery::test {
namespace {

using control::Path;
using control::Peer;
using control::PeerPath;
using wire::Endpoint;

constexpr Millis kNow = 1'000'000;
const Endpoint kAlice = Endpoint::v4(0x1f000001, 9993);
const Endpoint kBob = Endpoint::v4(0x1f000101, 9993);
const Endpoint kAliceInside = Endpoint::v4(0x0a010005, 9993);
const Endpoint kBobInside = Endpoint::v4(0x0a010106, 9993);
const Endpoint kBobElsewhere = Endpoint::v4(0xc0a80106, 9993);

Endpoint six(std::uint8_t last) {
  return Endpoint::v6(
      std::array<std::uint8_t, 16>{0x2a, 1, 4, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}, 9993);
}

class MeetingPoints : public testing::Test {
 protected:
  void knows(Peer& peer, const Endpoint& at, fib::LocalSocket socket = 1, bool expired = false) {
    Path& path = paths_.emplace_back();
    path.key = {socket, at};
    path.measured.answered(10);
    path.last_in = kNow - 1;
    peer.paths.push_back({&path, expired ? kNow - control::kPathExpire : kNow - 1, 1, nullptr});
  }

  /// Remote endpoints of the pair for the n-th introduction.
  std::pair<Endpoint, Endpoint> met(unsigned before = 0) {
    const auto point = control::meeting_point(alice_, bob_, kNow, before);
    if (!point) return {};
    return {point->first->key.remote, point->second->key.remote};
  }

  using Pair = std::pair<Endpoint, Endpoint>;

  std::deque<Path> paths_;
  Peer alice_{{}, {}}, bob_{{}, {}};
};

TEST_F(MeetingPoints, AreOfOneFamilyAndScope) {
  knows(alice_, kAlice);
  knows(bob_, six(2));
  EXPECT_EQ(met(), Pair());
  knows(bob_, kBobInside);
  EXPECT_EQ(met(), Pair());
  knows(bob_, kBob);
  EXPECT_EQ(met(), Pair(kAlice, kBob));
}

TEST_F(MeetingPoints, OneLanComesFirstThenIpv6ThenPublicIpv4) {
  knows(alice_, kAlice);
  knows(bob_, kBob);
  knows(alice_, six(1));
  knows(bob_, six(2));
  EXPECT_EQ(met(), Pair(six(1), six(2)));
  knows(alice_, kAliceInside);
  knows(bob_, kBobInside);
  EXPECT_EQ(met(), Pair(kAliceInside, kBobInside));
  EXPECT_EQ(met(1), Pair(six(1), six(2)));
  EXPECT_EQ(met(2), Pair(kAlice, kBob));
  EXPECT_EQ(met(3), met(0));  // and from the beginning
}

TEST_F(MeetingPoints, PrivateAddressesThatAreNotAlikeComeLate) {
  knows(alice_, kAliceInside);
  knows(bob_, kBobElsewhere);
  EXPECT_EQ(met(), Pair(kAliceInside, kBobElsewhere));
  knows(alice_, kAlice);
  knows(bob_, kBob);
  EXPECT_EQ(met(), Pair(kAlice, kBob));
}

TEST_F(MeetingPoints, OneOutsideAddressIsTheLastResort) {
  knows(alice_, kAlice);
  knows(bob_, kAlice.with_port(1'024));
  EXPECT_EQ(met(), Pair(kAlice, kAlice.with_port(1'024)));
  knows(alice_, kAliceInside);
  knows(bob_, kBobInside);
  EXPECT_EQ(met(), Pair(kAliceInside, kBobInside));
}

TEST_F(MeetingPoints, WhatWasHeardOfLatelyComesBeforeWhatIsBetter) {
  knows(alice_, kAliceInside, 1, true);
  knows(bob_, kBobInside);
  knows(alice_, kAlice);
  knows(bob_, kBob);
  EXPECT_EQ(met(), Pair(kAlice, kBob));
  EXPECT_EQ(met(1), Pair(kAliceInside, kBobInside));
}

TEST_F(MeetingPoints, SeveralSocketsOfTheRootAreOneAttempt) {
  for (const fib::LocalSocket socket : {1U, 2U, 3U}) {
    knows(alice_, kAlice, socket);
    knows(bob_, kBob, socket);
  }
  knows(alice_, six(1));
  knows(bob_, six(2));
  EXPECT_EQ(met(0), Pair(six(1), six(2)));
  EXPECT_EQ(met(1), Pair(kAlice, kBob));
  EXPECT_EQ(met(2), met(0));
}

TEST(Introductions, AreCountedWhileTheyAreRepeated) {
  control::Introductions introductions(64, {3, 4});
  const wire::Address alice{0x1111111111};
  const wire::Address bob{0x2222222222};
  Millis at = 1'000;
  for (unsigned before = 0; before < 5; ++before) {
    EXPECT_EQ(introductions.due(at, alice, bob), before);
    EXPECT_EQ(introductions.due(at + 1, bob, alice), std::nullopt);
    at += control::Introductions::kInterval;
  }
  EXPECT_EQ(introductions.due(at + control::Introductions::kFresh, alice, bob), 0U);
}

}  // namespace
}  // namespace orrery::test
