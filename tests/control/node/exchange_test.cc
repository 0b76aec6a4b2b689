// Nodes with both ends in hand: handshake, WHOIS, rendezvous, relay, restart.
#include <gtest/gtest.h>

#include <map>

#include "control/features.h"
#include "control/key_pool.h"
#include "node/identities.h"
#include "support/sim_net.h"
#include "wire/verbs/ok.h"

namespace orrery::test {
namespace {

using control::NodeOptions;
using wire::Endpoint;

const Endpoint kRootAt = Endpoint::v4(0x0a000001, 9993);
const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
const Endpoint kBobAt = Endpoint::v4(0x0a000203, 9993);

/// Remembers what arrived, says "not yet" as often as asked.
struct Recorder : control::NetworkRole {
  struct Got {
    wire::Address source;
    wire::Verb verb;
    ByteVector payload;
    unsigned hops;
    bool answered;
  };

  std::vector<Got> got;
  std::vector<wire::Identity> identities;
  int not_yet = 0;
  wire::Address never;  // "not yet" to everything from there
  bool trusted = false;

  control::Handled on_packet(Now, const control::Incoming& in, const control::Answered* answered,
                             control::Effects&) override {
    if (in.source == never) return control::Handled::kNotYet;
    if (not_yet > 0) {
      --not_yet;
      return control::Handled::kNotYet;
    }
    got.push_back({in.source, in.verb, ByteVector(in.payload.begin(), in.payload.end()), in.hops,
                   answered != nullptr});
    return trusted ? control::Handled::kDoneTrusted : control::Handled::kDone;
  }

  void on_frame(Now, wire::NetworkId, Bytes, control::Effects&) override {}

  void on_event(Now, const fib::Event&, control::Effects&) override {}

  void on_identity(Now, const wire::Identity& identity, control::Effects&) override {
    identities.push_back(identity);
  }

  void tick(Now, control::Effects&) override {}

  Millis next_deadline() const override { return INT64_MAX; }

  bool is_managed_ip(const Endpoint&) const override { return false; }

  std::vector<wire::Address> always_contact() const override { return {}; }
};

class Exchange : public testing::Test {
 protected:
  Exchange() {
    crypto::init();
    planet_ = make_planet(77, 1, {{identity_of_vectors(0).identity(), {kRootAt}}});
  }

  NodeOptions options(std::size_t number) {
    NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = planet_;
    o.limits = limits_;
    return o;
  }

  SimHost& host(std::size_t number, const Endpoint& at, Recorder* recorder = nullptr) {
    SimHost& h = net_.add("node " + std::to_string(number), options(number), {at});
    h.node->attach(recorder, nullptr);
    net_.start(h);
    return h;
  }

  void send(SimHost& from, wire::Address to, Bytes payload) {
    from.node->send(net_.now, to, wire::Verb::kFrame, payload, {}, from.effects);
    net_.settle(from);
  }

  struct Pair {
    SimHost& alice;
    SimHost& bob;
  };

  /// Alice and Bob behind a root; Alice has sent Bob a frame, and both know the direct way.
  Pair meet() {
    host(0, kRootAt);
    const Pair pair{host(1, kAliceAt, &at_alice_), host(2, kBobAt, &at_bob_)};
    net_.run_for(1'000);
    send(pair.alice, pair.bob.address(), ByteVector{1});
    net_.run_for(1'000);
    EXPECT_TRUE(pair.alice.has_direct_path(net_.now, pair.bob.address()));
    return pair;
  }

  using Records = std::vector<std::pair<wire::Address, ByteVector>>;

  /// Records of peers that the host has given out to be kept since the last call.
  static Records kept_by(SimHost& host) {
    Records records;
    for (const control::SaveState& save : std::exchange(host.saves, {})) {
      if (save.kind == control::StateKind::kPeer)
        records.emplace_back(wire::Address{save.id}, save.bytes);
    }
    return records;
  }

  /// Those that a clean exit adds.
  Records kept_at_exit(SimHost& host) {
    host.saves.clear();
    host.node->save_all(net_.now, host.effects);
    net_.settle(host);
    return kept_by(host);
  }

  SimNet net_;
  control::Limits limits_;
  ByteVector planet_;
  Recorder at_alice_, at_bob_;
};

TEST_F(Exchange, HelloTeachesBothEndsAPath) {
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(200);
  EXPECT_TRUE(alice.has_direct_path(net_.now, root.address()));
  EXPECT_TRUE(root.has_direct_path(net_.now, alice.address()));
  EXPECT_TRUE(alice.node->status(net_.now).online);
  const auto seen = alice.peer(net_.now, root.address());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->protocol, 12);
  EXPECT_EQ(seen->suite, wire::Suite::kAesGmacSiv);
  EXPECT_EQ(seen->latency_ms, 10);
  EXPECT_EQ(seen->features, control::kOwnFeatures);  // ours knows ours
  EXPECT_EQ(root.peer(net_.now, alice.address())->features, control::kOwnFeatures);
  EXPECT_EQ(seen->role, control::PeerStatus::Role::kPlanet);
  EXPECT_EQ(alice.node->status(net_.now).surface, std::vector<Endpoint>{kAliceAt});
  EXPECT_EQ(root.validations, 1U);
  const bool pinned =
      std::any_of(root.saves.begin(), root.saves.end(), [&](const control::SaveState& save) {
        return save.kind == control::StateKind::kPin && save.id == alice.address().value;
      });
  EXPECT_TRUE(pinned);
  const bool marked = std::any_of(
      alice.saves.begin(), alice.saves.end(),
      [](const control::SaveState& save) { return save.kind == control::StateKind::kAccepted; });
  EXPECT_TRUE(marked);
}

TEST_F(Exchange, RootPathStaysAliveForAnHour) {
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  for (int minute = 0; minute < 60; ++minute) {
    net_.run_for(60'000);
    const auto status = alice.peer(net_.now, root.address());
    ASSERT_TRUE(status && !status->paths.empty() && !status->paths[0].expired)
        << "minute " << minute;
  }
}

TEST_F(Exchange, WhoisThenFrameThroughTheRootThenDirect) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  net_.run_for(1'000);
  const ByteVector payload = {1, 2, 3};
  send(alice, bob.address(), payload);
  net_.run_for(1'000);
  ASSERT_EQ(at_bob_.got.size(), 1U);
  EXPECT_EQ(at_bob_.got[0].payload, payload);
  EXPECT_EQ(at_bob_.got[0].hops, 1U);
  EXPECT_EQ(at_bob_.identities.size(), 1U);
  // the root introduced them: the next packet goes directly
  EXPECT_TRUE(alice.has_direct_path(net_.now, bob.address()));
  EXPECT_TRUE(bob.has_direct_path(net_.now, alice.address()));
  send(alice, bob.address(), payload);
  net_.run_for(100);
  ASSERT_EQ(at_bob_.got.size(), 2U);
  EXPECT_EQ(at_bob_.got[1].hops, 0U);
}

TEST_F(Exchange, WhoisGoesToRootsByChanceAndPastASilentOne) {
  const Endpoint other_at = Endpoint::v4(0xc0000263, 9993);
  planet_ = make_planet(77, 1,
                        {{identity_of_vectors(0).identity(), {kRootAt}},
                         {identity_of_vectors(3).identity(), {other_at}}});
  std::map<Endpoint, std::size_t> asked;  // of Alice: header, verb and one address
  net_.tap = [&](const SimNet::Flight& flight) {
    if (flight.from == kAliceAt && flight.payload.size() == wire::kHeaderSize + 5)
      ++asked[flight.to];
  };
  host(0, kRootAt);
  host(3, other_at);
  SimHost& alice = host(1, kAliceAt);
  SimHost* far[3];
  for (std::uint32_t i = 0; i < 3; ++i) far[i] = &host(4 + i, Endpoint::v4(0xc0000270 + i, 9993));
  net_.run_for(2'000);
  for (std::uint64_t i = 0; i < 40; ++i) {
    send(alice, wire::Address{0x5500000000 + i}, ByteVector{1});
    net_.run_for(200);
  }
  EXPECT_GE(asked[kRootAt], 10U);
  EXPECT_GE(asked[other_at], 10U);
  // One of them falls silent: who asked it asks again, and learns who it is that it sought.
  asked.clear();
  net_.allow = [&](const SimNet::Flight& flight) {
    return flight.to != other_at && flight.from != other_at;
  };
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(alice.peer(net_.now, far[i]->address()));
    send(alice, far[i]->address(), ByteVector{2});
    net_.run_for(5'000);
    EXPECT_TRUE(alice.peer(net_.now, far[i]->address())) << i;
  }
  EXPECT_GE(asked[other_at], 1U);
}

TEST_F(Exchange, LargePacketsTravelInFragments) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  net_.run_for(1'000);
  ByteVector payload(9'800);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7);
  send(alice, bob.address(), payload);  // fragments through the root
  net_.run_for(1'000);
  send(alice, bob.address(), payload);  // and directly
  net_.run_for(1'000);
  ASSERT_EQ(at_bob_.got.size(), 2U);
  EXPECT_EQ(at_bob_.got[0].payload, payload);
  EXPECT_EQ(at_bob_.got[1].payload, payload);
  EXPECT_EQ(at_bob_.got[1].hops, 0U);
}

TEST_F(Exchange, RelaysWhileDirectTrafficIsBlocked) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  net_.allow = [](const SimNet::Flight& f) { return f.from == kRootAt || f.to == kRootAt; };
  net_.run_for(1'000);
  for (std::uint8_t i = 0; i < 5; ++i) {
    send(alice, bob.address(), ByteVector{i});
    net_.run_for(10'000);
  }
  ASSERT_EQ(at_bob_.got.size(), 5U);
  for (const Recorder::Got& got : at_bob_.got) EXPECT_EQ(got.hops, 1U);
  EXPECT_FALSE(alice.has_direct_path(net_.now, bob.address()));
  // the block ends: introductions and pushes find the direct way
  net_.allow = [](const SimNet::Flight&) { return true; };
  for (std::uint8_t i = 0; i < 5; ++i) {
    send(alice, bob.address(), ByteVector{i});
    net_.run_for(10'000);
  }
  EXPECT_TRUE(alice.has_direct_path(net_.now, bob.address()));
}

TEST_F(Exchange, WhomAnIntroductionDoesNotFindIsAskedForOnceMore) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  // Like a NAT that opens half a second after the first question has come, and like an end that the
  // other cannot find by itself.
  Millis opens = 0;
  std::vector<Millis> asked;
  net_.allow = [&](const SimNet::Flight& f) {
    if (f.from == kRootAt || f.to == kRootAt || f.payload.size() < wire::kHeaderSize) return true;
    if (f.from == kBobAt) return !asked.empty() && net_.now.mono >= opens;
    if (asked.empty()) opens = net_.now.mono + 500;
    asked.push_back(net_.now.mono);
    return net_.now.mono >= opens;
  };
  net_.run_for(1'000);
  send(alice, bob.address(), ByteVector{1});
  net_.run_for(2'000);
  ASSERT_GE(asked.size(), 2U);
  EXPECT_EQ(asked[1] - asked[0], 1'000);
  EXPECT_TRUE(alice.has_direct_path(net_.now, bob.address()));
}

TEST_F(Exchange, WhomAnIntroductionFindsIsLeftAlone) {
  (void)meet();
  std::size_t asked = 0;
  net_.tap = [&](const SimNet::Flight& f) { asked += f.from == kAliceAt && f.to == kBobAt; };
  net_.run_for(3'000);
  EXPECT_EQ(asked, 0U);
}

TEST_F(Exchange, AHostWhoseAddressChangesIsReachedAtOnce) {
  const Pair pair = meet();
  const std::size_t before = at_bob_.got.size();
  const Endpoint moved = Endpoint::v4(0x0a000063, 9993);
  pair.bob.sockets = {{99, moved}};
  net_.start(pair.bob);
  net_.run_for(1'000);
  EXPECT_TRUE(pair.bob.has_direct_path(net_.now, pair.alice.address()));
  const auto status = pair.bob.peer(net_.now, pair.alice.address());
  for (const control::PathStatus& path : status->paths) EXPECT_EQ(path.key.socket, 99);
  send(pair.alice, pair.bob.address(), ByteVector{2});
  net_.run_for(100);
  ASSERT_EQ(at_bob_.got.size(), before + 1);
  EXPECT_EQ(at_bob_.got.back().hops, 0U);
}

TEST_F(Exchange, TrustedPeersPushTheirPaths) {
  SimHost& root = host(0, kRootAt);
  at_alice_.trusted = at_bob_.trusted = true;
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  // two sockets: the list of Bob's addresses is longer than a RENDEZVOUS
  SimHost& bob = net_.add("bob", options(2), {kBobAt, kBobAt.with_port(20'001)});
  bob.node->attach(&at_bob_, nullptr);
  net_.start(bob);
  net_.run_for(1'000);
  // RENDEZVOUS (41 bytes) never arrives, so only pushes can help
  net_.allow = [&](const SimNet::Flight& f) {
    return !(f.from == kRootAt && f.payload.size() == 41);
  };
  send(alice, bob.address(), ByteVector{1});
  net_.run_for(2'000);
  send(bob, alice.address(), ByteVector{2});
  net_.run_for(2'000);
  EXPECT_TRUE(alice.has_direct_path(net_.now, bob.address()));
  EXPECT_GT(root.counter("relayed"), 0U);
}

TEST_F(Exchange, NotYetRunsAgain) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  at_bob_.not_yet = 3;
  net_.run_for(1'000);
  send(alice, bob.address(), ByteVector{9});
  net_.run_for(3'000);
  EXPECT_EQ(at_bob_.got.size(), 1U);
  at_bob_.not_yet = 1'000;
  send(alice, bob.address(), ByteVector{9});
  net_.run_for(7'000);
  EXPECT_EQ(at_bob_.got.size(), 1U);
  EXPECT_EQ(bob.counter("receive_expired"), 1U);
}

TEST_F(Exchange, WhoeverWaitsInMassesLeavesRoomForOthers) {  // bD6
  constexpr unsigned kFlood = 2'000;
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  SimHost& carol = host(3, Endpoint::v4(0x0a000304, 9993));
  net_.run_for(1'000);
  at_bob_.never = alice.address();
  at_bob_.not_yet = 1'000;
  send(carol, bob.address(), ByteVector{9});
  send(alice, bob.address(), ByteVector{9});
  net_.run_for(1'000);
  for (unsigned i = 0; i < kFlood; ++i) send(alice, bob.address(), ByteVector{9});
  net_.run_for(100);
  EXPECT_TRUE(at_bob_.got.empty());
  at_bob_.not_yet = 0;
  net_.run_for(1'000);
  ASSERT_EQ(at_bob_.got.size(), 1U);
  EXPECT_EQ(at_bob_.got[0].source, carol.address());
  EXPECT_GE(bob.counter("waiting_rate"), kFlood - 100);
}

TEST_F(Exchange, RequestsKnowTheirAnswers) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt, &at_alice_);
  SimHost& bob = host(2, kBobAt, &at_bob_);
  net_.run_for(1'000);
  control::SendOptions expecting;
  expecting.expect_reply = true;
  expecting.context = 4711;
  alice.node->send(net_.now, bob.address(), wire::Verb::kNetworkConfigRequest, ByteVector(8),
                   expecting, alice.effects);
  net_.settle(alice);
  net_.run_for(1'000);
  // Bob has no controller: ERROR, and Alice knows what it answers
  ASSERT_EQ(at_alice_.got.size(), 1U);
  EXPECT_EQ(at_alice_.got[0].verb, wire::Verb::kError);
  EXPECT_TRUE(at_alice_.got[0].answered);
  const auto error = wire::decode_error(at_alice_.got[0].payload);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, static_cast<std::uint8_t>(wire::ErrorCode::kUnsupportedOperation));
}

TEST_F(Exchange, CachedPeersComeBackWithoutARoot) {
  const Records cached = kept_at_exit(meet().alice);
  ASSERT_EQ(cached.size(), 2U);
  SimNet again;
  again.now = net_.now;
  NodeOptions alice_options = options(1);
  alice_options.cached_peers = cached;
  SimHost& alice = again.add("alice", std::move(alice_options), {kAliceAt});
  SimHost& bob = again.add("bob", options(2), {kBobAt});
  Recorder recorder;
  bob.node->attach(&recorder, nullptr);
  again.start(alice);
  again.start(bob);
  alice.node->send(again.now, bob.address(), wire::Verb::kFrame, ByteVector{5}, {}, alice.effects);
  again.settle(alice);
  again.run_for(2'000);
  ASSERT_EQ(recorder.got.size(), 1U);
  EXPECT_EQ(recorder.got[0].hops, 0U);
}

TEST_F(Exchange, APeersRecordIsKeptOnceAndAgainOnlyWhenItChanged) {
  SimHost& alice = meet().alice;
  alice.saves.clear();
  net_.run_for(35'000);
  EXPECT_EQ(kept_by(alice).size(), 2U) << "root and Bob, by housekeeping";
  EXPECT_EQ(kept_at_exit(alice).size(), 0U) << "nothing has changed since";
  net_.run_for(60'000);
  EXPECT_EQ(kept_at_exit(alice).size(), 0U);
}

TEST_F(Exchange, SilentPeersAreForgottenAndRoutesWithdrawn) {
  auto [alice, bob] = meet();
  const wire::Address bob_address = bob.address();
  const auto published = [&](bool removed) {
    return std::any_of(alice.updates.begin(), alice.updates.end(), [&](const fib::Update& update) {
      if (const auto* gone = std::get_if<fib::RemovePeer>(&update))
        return removed && gone->address == bob_address;
      const auto* peer = std::get_if<fib::Peer>(&update);
      return !removed && peer != nullptr && peer->address == bob_address && peer->direct &&
             peer->path;
    });
  };
  EXPECT_TRUE(published(false));
  net_.remove(bob);
  net_.run_for(600'000);
  EXPECT_FALSE(alice.peer(net_.now, bob_address));
  EXPECT_TRUE(published(true));
}

TEST_F(Exchange, WhatAWorkerCarriesKeepsAPathAlive) {
  auto [alice, bob] = meet();
  // From here on control hears of Bob by the worker's events alone.
  net_.allow = [](const SimNet::Flight& f) { return f.from != kBobAt; };
  fib::Received received;
  received.peer = bob.address();
  received.via = {alice.sockets[0].socket, kBobAt};
  received.verb = static_cast<std::uint8_t>(wire::Verb::kFrame);
  received.network = wire::NetworkId{1};
  for (int second = 0; second < 600; ++second) {
    net_.run_for(1'000);
    alice.node->on_event(net_.now, received, alice.effects);
    net_.settle(alice);
    ASSERT_TRUE(alice.has_direct_path(net_.now, bob.address())) << second;
  }
  net_.run_for(250'000);
  EXPECT_FALSE(alice.has_direct_path(net_.now, bob.address())) << "and nothing else did";
}

TEST_F(Exchange, FramesThatControlCarriesAreToldOnceASecond) {
  at_alice_.trusted = at_bob_.trusted = true;
  auto [alice, bob] = meet();
  const auto told = [](SimHost& host, wire::Address of) {
    const auto updates = std::exchange(host.updates, {});
    return std::count_if(updates.begin(), updates.end(), [&](const fib::Update& update) {
      const auto* use = std::get_if<fib::PeerInUse>(&update);
      return use != nullptr && use->address == of;
    });
  };
  net_.run_for(30'000);
  (void)told(alice, bob.address());
  (void)told(bob, alice.address());
  net_.run_for(60'000);
  EXPECT_EQ(told(alice, bob.address()), 0) << "what keeps a path alive is no use";
  for (std::uint8_t i = 0; i < 40; ++i) {
    send(alice, bob.address(), ByteVector{i});
    net_.run_for(50);
  }
  EXPECT_EQ(told(alice, bob.address()), 2) << "40 frames in two seconds";
  EXPECT_EQ(told(bob, alice.address()), 2);
}

TEST_F(Exchange, MorePeersThanSchedules) {
  // Everybody holds those of one peer at a time.
  limits_.schedules = 1;
  auto [alice, bob] = meet();
  for (std::uint8_t i = 0; i < 20; ++i) {
    send(alice, bob.address(), ByteVector{i});
    send(bob, alice.address(), ByteVector{i});
    net_.run_for(10'000);
  }
  EXPECT_EQ(at_alice_.got.size(), 20U);
  EXPECT_EQ(at_bob_.got.size(), 21U);
  EXPECT_TRUE(alice.node->status(net_.now).online);
  EXPECT_EQ(alice.counter("mac") + bob.counter("mac"), 0U);
}

TEST(KeyPool, TheLeastRecentlyUsedGoes) {
  control::KeyPool pool(2, {1, 2});
  const wire::Address a{1}, b{2}, c{3};
  EXPECT_FALSE(pool.use(a));
  EXPECT_FALSE(pool.use(b));
  EXPECT_FALSE(pool.use(a));
  EXPECT_EQ(pool.use(c), b);
  EXPECT_EQ(pool.use(b), a);
  EXPECT_EQ(pool.size(), 2U);
  control::KeyPool none(0, {1, 2});  // counts as 1
  EXPECT_FALSE(none.use(a));
  EXPECT_EQ(none.use(b), a);
}

}  // namespace
}  // namespace orrery::test
