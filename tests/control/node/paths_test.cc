// Paths die, heal and move while frames flow between two of ours: how long they are away, and how
// quiet the nodes are when none flow.
#include <gtest/gtest.h>

#include <random>

#include "node/paths_lab.h"

namespace orrery::test {
namespace {

class PathsTest : public PathsLab {};

TEST_F(PathsTest, ARelayTakesOverWhenTheOnlyPathDiesAndGivesItBack) {
  meet();
  cut(between(kAliceAt, kBobAt));
  const Millis since = net_.now.mono;
  talk(20'000);
  EXPECT_LE(gap(at_bob_, since), 3'000);
  EXPECT_LE(gap(at_alice_, since), 3'000);
  EXPECT_EQ(at_bob_.got.back().second, 1u) << "through the root";
  EXPECT_FALSE(direct(*alice_, *bob_));
  EXPECT_EQ(alice_->counter("path_failed"), 1u);
  heal();
  const Millis healed = net_.now.mono;
  talk(3'000);
  EXPECT_TRUE(direct(*alice_, *bob_));
  EXPECT_EQ(at_bob_.got.back().second, 0u);
  EXPECT_LE(gap(at_bob_, healed), 100) << "nothing is lost by the change back";
  EXPECT_EQ(alice_->counter("path_back"), 1u);
}

TEST_F(PathsTest, OneWayIsEnoughToLeaveAPath) {
  meet();
  cut([](const SimNet::Flight& f) { return f.from == kAliceAt && f.to == kBobAt; });
  const Millis since = net_.now.mono;
  talk(20'000);
  EXPECT_LE(gap(at_bob_, since), 5'000);
  EXPECT_FALSE(direct(*alice_, *bob_));
}

TEST_F(PathsTest, AnotherPathTakesOver) {
  meet({kAliceAt, kAliceToo});
  ASSERT_EQ(alice_->peer(net_.now, bob_->address())->paths.size(), 2u);
  for (int round = 0; round < 3; ++round) {
    const Endpoint used = in_use();
    cut(between(used, kBobAt));
    const Millis since = net_.now.mono;
    talk(8'000);
    EXPECT_LE(gap(at_bob_, since), 3'000);
    EXPECT_LE(gap(at_alice_, since), 3'000);
    EXPECT_NE(in_use(), used);
    EXPECT_EQ(at_bob_.got.back().second, 0u);
    heal();
    talk(60'000);
  }
}

TEST_F(PathsTest, AnotherRootRelaysWhenTheFirstDies) {
  roots_.push_back({identity_of_vectors(3).identity(), {kOtherRootAt}});
  meet();
  const auto apart = between(kAliceAt, kBobAt);
  cut(apart);
  talk(10'000);
  ASSERT_EQ(at_bob_.got.back().second, 1u);
  Endpoint used;
  net_.tap = [&](const SimNet::Flight& f) {
    if (f.from == kAliceAt && f.payload.size() < 60 && f.to != kBobAt) used = f.to;
  };
  talk(60);
  for (const Endpoint& dead : {kRootAt, kOtherRootAt}) {
    cut([=](const SimNet::Flight& f) { return apart(f) || f.from == dead || f.to == dead; });
    const Millis since = net_.now.mono;
    talk(20'000);
    EXPECT_LE(gap(at_bob_, since), 5'000) << wire::to_string(dead);
    cut(apart);
    talk(20'000);
  }
}

TEST_F(PathsTest, ARootThatReachesTheOtherEndNoMoreIsLeft) {
  roots_.push_back({identity_of_vectors(3).identity(), {kOtherRootAt}});
  meet();
  const auto apart = between(kAliceAt, kBobAt);
  cut(apart);
  talk(10'000);
  const auto relay = alice_->node->route_of(net_.now, bob_->address());
  ASSERT_EQ(relay->kind, control::RouteStatus::Kind::kRelayed);
  const auto beyond = between(relay->path.remote, kBobAt);
  cut([=](const SimNet::Flight& f) { return apart(f) || beyond(f); });
  const Millis since = net_.now.mono;
  talk(20'000);
  EXPECT_LE(gap(at_bob_, since), 5'000);
  EXPECT_LE(gap(at_alice_, since), 5'000);
  EXPECT_GE(alice_->counter("relay_turned"), 1u);
  EXPECT_NE(alice_->node->route_of(net_.now, bob_->address())->relay, relay->relay);
}

TEST_F(PathsTest, APortThatANatChangesIsFollowed) {
  meet();
  for (std::uint16_t port = 20'000; port < 20'005; ++port) {
    alice_->sockets[0].address.port = port;  // her node does not know
    const Millis since = net_.now.mono;
    talk(10'000);
    EXPECT_LE(gap(at_alice_, since), 1'000) << port;
    EXPECT_LE(gap(at_bob_, since), 100);
    EXPECT_EQ(at_alice_.got.back().second, 0u);
  }
  EXPECT_LE(bob_->peer(net_.now, alice_->address())->paths.size(), 4u)
      << "ports that are gone make room";
}

TEST_F(PathsTest, AnIdlePeerWhosePortChangedIsFoundByTheFirstFrame) {
  meet();
  net_.run_for(60'000);
  alice_->sockets[0].address.port = 20'000;
  const Millis since = net_.now.mono;
  talk(5'000);
  EXPECT_LE(gap(at_alice_, since), 2'000);
}

TEST_F(PathsTest, LossIsNoDeath) {
  meet();
  std::mt19937 random(11);
  cut([&](const SimNet::Flight&) { return random() % 100 < 10; });
  talk(120'000);
  EXPECT_EQ(alice_->counter("path_failed"), 0u);
  EXPECT_EQ(bob_->counter("path_failed"), 0u);
  EXPECT_GT(alice_->counter("path_probes_lost"), 0u);
}

TEST_F(PathsTest, WithoutFramesThereIsHardlyAPacket) {
  meet();
  net_.run_for(30'000);
  std::size_t sent = 0;
  net_.tap = [&](const SimNet::Flight& f) { sent += f.from == kAliceAt ? 1 : 0; };
  net_.run_for(300'000);
  // To Bob, as of the reference: at most an ECHO in 14 s and a HELLO in 60 s, and answers to his;
  // to the root an ECHO in 20 s.
  EXPECT_LE(sent, 2 * (300 / 14 + 300 / 60) + 300 / 20 + 10);
  net_.run_for(600'000);  // Bob is forgotten
  sent = 0;
  net_.run_for(300'000);
  EXPECT_LE(sent, 300u / 20 + 10);
  EXPECT_GE(sent, 300u / 30) << "NATs forget after 30 s";
}

TEST_F(PathsTest, AnAddressOfTheOverlayIsNoPath) {
  at_alice_.managed = kBobAt;
  for (std::size_t i = 0; i < roots_.size(); ++i) host(root_numbers_[i], roots_[i].second);
  alice_ = &host(1, {kAliceAt}, &at_alice_);
  bob_ = &host(2, {kBobAt}, &at_bob_);
  net_.run_for(2'000);
  talk(20'000);
  EXPECT_FALSE(direct(*alice_, *bob_));
  EXPECT_FALSE(at_bob_.got.empty()) << "by the root";
  EXPECT_GE(alice_->counter("overlay_in_overlay"), 1u);
  const auto route = alice_->node->route_of(net_.now, bob_->address());
  ASSERT_TRUE(route);
  EXPECT_EQ(route->kind, control::RouteStatus::Kind::kRelayed);
  EXPECT_TRUE(std::any_of(route->candidates.begin(), route->candidates.end(), [](const auto& c) {
    return c.endpoint == kBobAt && c.verdict == control::CandidateVerdict::kOverlay;
  }));
}

TEST_F(PathsTest, PingsGoTheWayOfPackets) {
  meet();
  control::Node& node = *alice_->node;
  const auto ping = [&](wire::Address to) {
    const auto sequence = node.ping(net_.now, to, alice_->effects);
    net_.settle(*alice_);
    net_.run_for(200);
    return sequence;
  };
  ASSERT_TRUE(ping(bob_->address()));
  cut(between(kAliceAt, kBobAt));
  talk(10'000);
  ASSERT_TRUE(ping(bob_->address()));
  const auto pings = node.pings(bob_->address());
  ASSERT_EQ(pings.size(), 2u);
  EXPECT_EQ(pings[0].answered - pings[0].sent, 2 * net_.latency);
  EXPECT_FALSE(pings[0].relayed);
  EXPECT_EQ(pings[1].answered - pings[1].sent, 4 * net_.latency);
  EXPECT_TRUE(pings[1].relayed);
  EXPECT_FALSE(ping(wire::Address{0x1122334455}));
  unsigned sent = 0;
  for (int i = 0; i < 100; ++i)
    sent += node.ping(net_.now, bob_->address(), alice_->effects) ? 1 : 0;
  EXPECT_LE(sent, 10u);
}

TEST_F(PathsTest, ARestartedNodeKnowsPathsAndWhatTheyCarry) {
  meet();
  const ByteVector large(1'300, 7);
  for (int i = 0; i < 40; ++i) {
    alice_->node->send(net_.now, bob_->address(), wire::Verb::kFrame, large, {}, alice_->effects);
    net_.settle(*alice_);
    net_.run_for(100);
  }
  const auto size_at = [&](const SimHost& from) {
    const auto peer = from.peer(net_.now, bob_->address());
    return peer && !peer->paths.empty() ? std::pair(peer->paths[0].mtu, peer->paths[0].mtu_state)
                                        : std::pair(std::uint16_t{0}, control::PathStatus::Mtu{});
  };
  const std::pair probed(std::uint16_t{1'472}, control::PathStatus::Mtu::kProbed);
  ASSERT_EQ(size_at(*alice_), probed);
  alice_->node->save_all(net_.now, alice_->effects);
  net_.settle(*alice_);
  NodeOptions again{.identity = identity_of_vectors(1)};
  again.planet = make_planet(77, 1, roots_);
  for (const control::SaveState& save : alice_->saves) {
    if (save.kind == control::StateKind::kPeer)
      again.cached_peers.emplace_back(wire::Address{save.id}, save.bytes);
    if (save.kind == control::StateKind::kPin)
      std::copy_n(save.bytes.begin(), 48, again.pins[wire::Address{save.id}].begin());
  }
  net_.remove(*alice_);
  at_bob_.got.clear();
  alice_ = &net_.add("again", std::move(again), {kAliceAt});
  alice_->node->attach(&at_alice_, nullptr);
  net_.start(*alice_);
  const Millis since = net_.now.mono;
  alice_->node->send(net_.now, bob_->address(), wire::Verb::kFrame, ByteVector{1}, {},
                     alice_->effects);
  net_.settle(*alice_);
  net_.run_for(500);
  ASSERT_EQ(at_bob_.got.size(), 1u);
  EXPECT_LE(at_bob_.got[0].first - since, 100) << "as soon as the path answers";
  EXPECT_EQ(size_at(*alice_), probed);
}

TEST_F(PathsTest, WhoAsksIsAskedBeforeHisVersionIsKnown) {
  meet();
  // Alice begins anew and knows nothing; Bob knows her, and asks by ECHO what answers there. No
  // HELLO passes, which would tell her what Bob is.
  net_.remove(*alice_);
  cut([](const SimNet::Flight& f) {
    return between(kAliceAt, kBobAt)(f) && f.payload.size() > wire::kVerbOffset &&
           (f.payload[wire::kVerbOffset] & wire::kVerbMask) ==
               static_cast<std::uint8_t>(wire::Verb::kHello);
  });
  alice_ = &host(1, {kAliceAt}, &at_alice_);
  net_.run_for(2'000);
  talk(10'000);
  ASSERT_TRUE(direct(*alice_, *bob_));
  ASSERT_EQ(alice_->peer(net_.now, bob_->address())->protocol, -1);
  cut(between(kAliceAt, kBobAt));
  const Millis since = net_.now.mono;
  talk(10'000);
  EXPECT_LE(gap(at_bob_, since), 5'000);
}

TEST_F(PathsTest, ARootThatDiesIsNoticedWithoutTraffic) {
  meet();
  net_.run_for(60'000);
  cut([](const SimNet::Flight& f) { return f.from == kRootAt || f.to == kRootAt; });
  net_.run_for(30'000);
  EXPECT_EQ(alice_->counter("path_failed"), 1u);
  heal();
  net_.run_for(10'000);
  EXPECT_EQ(alice_->counter("path_back"), 1u);
  const auto root = alice_->peer(net_.now, root_[0]->address());
  ASSERT_TRUE(root);
  EXPECT_TRUE(root->paths.at(0).preferred);
}

}  // namespace
}  // namespace orrery::test
