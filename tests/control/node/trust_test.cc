// What a node refuses: forged and replayed answers, strangers in masses, other keys for known
// addresses. Names in comments are rows of the attack matrix in docs.
#include <gtest/gtest.h>

#include "control/peer.h"
#include "control/replies.h"
#include "control/root.h"
#include "control/surface.h"
#include "crypto/kdf.h"
#include "crypto/nonce.h"
#include "node/forger.h"
#include "node/identities.h"
#include "support/sim_net.h"

namespace orrery::test {
namespace {

using control::NodeOptions;
using wire::Endpoint;

const Endpoint kRootAt = Endpoint::v4(0x0a000001, 9993);
const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
const Endpoint kThiefAt = Endpoint::v4(0x0a000909, 9993);

class Trust : public testing::Test {
 protected:
  Trust() {
    crypto::init();
    planet_ = make_planet(77, 1, {{identity_of_vectors(0).identity(), {kRootAt}}});
    net_.tap = [this](const SimNet::Flight& flight) { flights_.push_back(flight); };
  }

  SimHost& host(crypto::SecretIdentity identity, const Endpoint& at, bool accepted = false,
                const std::map<wire::Address, std::array<std::uint8_t, 48>>& pins = {}) {
    NodeOptions o{.identity = std::move(identity)};
    o.planet = planet_;
    o.identity_accepted = accepted;
    o.pins = pins;
    SimHost& h = net_.add("node", std::move(o), {at});
    net_.start(h);
    return h;
  }

  SimHost& host(std::size_t number, const Endpoint& at) {
    return host(identity_of_vectors(number), at);
  }

  /// Bytes sent to an endpoint so far, IP and UDP headers counted.
  std::size_t bytes_to(const Endpoint& to) const {
    std::size_t bytes = 0;
    for (const SimNet::Flight& flight : flights_) {
      if (flight.to == to) bytes += flight.payload.size() + 28;
    }
    return bytes;
  }

  std::vector<ByteVector> sent_to(const Endpoint& to) const {
    std::vector<ByteVector> all;
    for (const SimNet::Flight& flight : flights_) {
      if (flight.to == to) all.push_back(flight.payload);
    }
    return all;
  }

  SimNet net_;
  ByteVector planet_;
  std::vector<SimNet::Flight> flights_;
};

TEST_F(Trust, ReplayedOkTeachesNoPath) {  // P4, bR4
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  const auto before = alice.peer(net_.now, root.address());
  ASSERT_TRUE(before);
  ASSERT_EQ(before->paths.size(), 1U);
  for (const ByteVector& packet : sent_to(kAliceAt)) {
    net_.inject(kThiefAt, kAliceAt, packet);
    net_.inject(kRootAt, kAliceAt, packet);
  }
  net_.run_for(1'000);
  EXPECT_EQ(alice.peer(net_.now, root.address())->paths.size(), 1U);
  EXPECT_GE(alice.counter("unsolicited"), 2U);
}

TEST_F(Trust, OkFromAnotherPeerOrPathIsUnsolicited) {  // W5
  SimHost& alice = host(1, kAliceAt);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, forger.hello(800, net_.now.wall, kAliceAt));
  net_.run_for(100);
  ASSERT_TRUE(alice.peer(net_.now, forger.address()));
  // Alice probed the new path; the answer comes from elsewhere
  std::vector<std::uint64_t> ids;
  for (const ByteVector& packet : sent_to(kThiefAt)) {
    const auto plain = forger.open(packet);
    if (plain && (*plain)[wire::kVerbOffset] == static_cast<std::uint8_t>(wire::Verb::kEcho)) {
      ids.push_back(load_be64(packet.data()));
    }
  }
  ASSERT_EQ(ids.size(), 1U);
  ByteVector payload(9);
  Writer writer(payload);
  wire::encode_ok(writer, {static_cast<std::uint8_t>(wire::Verb::kEcho), ids[0], {}});
  net_.inject(kThiefAt.with_port(1), kAliceAt,
              forger.seal(801, wire::Verb::kOk, payload, wire::Suite::kAesGmacSiv));
  net_.run_for(50);
  EXPECT_TRUE(alice.peer(net_.now, forger.address())->paths.empty());
  EXPECT_EQ(alice.counter("unsolicited"), 1U);
  net_.inject(kThiefAt, kAliceAt,
              forger.seal(802, wire::Verb::kOk, payload, wire::Suite::kAesGmacSiv));
  net_.run_for(50);
  EXPECT_EQ(alice.peer(net_.now, forger.address())->paths.size(), 1U);
}

TEST_F(Trust, UnknownSenderWaitsForWhois) {
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  SimHost& carol = host(4, Endpoint::v4(0x0a000304, 9993));
  net_.run_for(1'000);
  Forger forger(identity_of_vectors(4), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt,
              forger.seal(16, wire::Verb::kEcho, ByteVector{1, 2}, wire::Suite::kAesGmacSiv));
  EXPECT_FALSE(alice.peer(net_.now, carol.address()));
  net_.run_for(1'000);
  EXPECT_TRUE(alice.peer(net_.now, carol.address()));
  EXPECT_EQ(alice.counter("unknown_sender"), 1U);
  // the packet was run when the identity had come: its ECHO is answered
  bool answered = false;
  for (const ByteVector& packet : sent_to(kThiefAt)) {
    const auto plain = forger.open(packet);
    answered |= plain && (*plain)[wire::kVerbOffset] == static_cast<std::uint8_t>(wire::Verb::kOk);
  }
  EXPECT_TRUE(answered);
}

TEST_F(Trust, NobodyIsToldMoreThanThreeTimesWhatHeSaid) {  // X1..X3, X6, bI
  SimHost& root = host(0, kRootAt);
  for (std::size_t number = 5; number < 12; ++number) {
    host(number, Endpoint::v4(0x0a010000 + static_cast<std::uint32_t>(number) * 256 + 1, 9993));
  }
  net_.run_for(2'000);
  Forger forger(identity_of_vectors(3), root.node->self().identity());
  std::size_t in = 0;
  const auto say = [&](ByteVector packet) {
    in += packet.size() + 28;
    net_.inject(kThiefAt, kRootAt, std::move(packet));
    net_.run_for(400);
    EXPECT_LE(bytes_to(kThiefAt), 3 * in);
  };
  say(forger.hello(800, net_.now.wall, kRootAt));
  EXPECT_GT(bytes_to(kThiefAt), 0U);
  ByteVector whois;
  for (std::size_t number = 5; number < 12; ++number) {
    ByteVector address(5);
    Writer(address).u40(identity_of_vectors(number).address().value);
    whois.insert(whois.end(), address.begin(), address.end());
  }
  for (std::uint64_t id = 900; id < 980; id += 8) {
    say(forger.seal(id, wire::Verb::kWhois, whois, wire::Suite::kAesGmacSiv));
    say(forger.seal(id + 400, wire::Verb::kEcho, {}, wire::Suite::kSalsaPoly));
    say(forger.hello(id + 800, net_.now.wall, kRootAt));
    say(forger.seal(id + 1'200, wire::Verb::kNetworkConfigRequest, ByteVector(8),
                    wire::Suite::kAesGmacSiv));
  }
}

TEST_F(Trust, FloodOfStrangersIsGatedAndNothingIsProvenInline) {  // H2, 2.12, 2.13
  SimHost& root = host(0, kRootAt);
  net_.work_delay = 1'000'000;
  // Real identities: every one costs its work, and all come from one /24
  for (std::size_t number = 1; number < 24; ++number) {
    Forger forger(identity_of_vectors(number), root.node->self().identity());
    net_.inject(kThiefAt.with_port(static_cast<std::uint16_t>(number)), kRootAt,
                forger.hello(number * 8, net_.now.wall, kRootAt));
  }
  net_.run_for(5);
  EXPECT_EQ(root.counter("hello_rate"), 7U);  // 16 at once from a prefix
  EXPECT_EQ(root.node->peers(net_.now).size(), 16U);
  EXPECT_LE(root.validations, 16U);
  EXPECT_TRUE(std::none_of(root.updates.begin(), root.updates.end(), [](const fib::Update& update) {
    return std::holds_alternative<fib::Peer>(update);
  })) << "provisional peers are not published";
  for (const auto& peer : root.node->peers(net_.now)) {
    EXPECT_EQ(root.node->identity_of(peer.identity.address), nullptr);
  }
}

TEST_F(Trust, FailedWorkEndsAProvisionalPeer) {  // 2.13
  SimHost& root = host(0, kRootAt);
  // the key of one node under an address that nobody derived
  Forger forger(with_address(identity_of_vectors(5), wire::Address{0x1234567890}),
                root.node->self().identity());
  net_.inject(kThiefAt, kRootAt, forger.hello(8, net_.now.wall, kRootAt));
  net_.run_for(10);
  EXPECT_TRUE(root.peer(net_.now, forger.address()));
  net_.run_for(100);
  EXPECT_FALSE(root.peer(net_.now, forger.address()));
  EXPECT_EQ(root.counter("identity_invalid"), 1U);
  EXPECT_TRUE(std::none_of(
      root.saves.begin(), root.saves.end(),
      [](const control::SaveState& save) { return save.kind == control::StateKind::kPin; }));
}

TEST_F(Trust, ARefusedProofIsAskedForAgain) {  // H6, 2.13
  SimHost& root = host(0, kRootAt);
  net_.work_room = 0;
  SimHost& alice = host(1, kAliceAt);
  SimHost& carol = host(4, Endpoint::v4(0x0a000304, 9993));
  net_.run_for(1'000);
  // nobody could be proven: known to the root, but to nobody else
  EXPECT_GE(root.counter("proof_refused"), 2U);
  EXPECT_EQ(root.node->identity_of(alice.address()), nullptr);
  net_.work_room = 8;
  net_.run_for(240'000);
  EXPECT_NE(root.node->identity_of(alice.address()), nullptr);
  EXPECT_NE(root.node->identity_of(carol.address()), nullptr);

  // the same for an answer to WHOIS: the address is not lost
  net_.work_room = 0;
  alice.node->request_identity(net_.now, carol.address(), alice.effects);
  net_.settle(alice);
  net_.run_for(2'000);
  EXPECT_GE(alice.counter("proof_refused"), 1U);
  EXPECT_EQ(alice.node->identity_of(carol.address()), nullptr);
  net_.work_room = 8;
  alice.node->request_identity(net_.now, carol.address(), alice.effects);
  net_.settle(alice);
  net_.run_for(2'000);
  EXPECT_NE(alice.node->identity_of(carol.address()), nullptr);
}

TEST_F(Trust, WrongMacIsSilence) {  // A1, H1
  SimHost& root = host(0, kRootAt);
  Forger forger(identity_of_vectors(3), root.node->self().identity());
  const ByteVector good = forger.hello(8, net_.now.wall, kRootAt);
  for (std::size_t i = 0; i < good.size(); ++i) {
    ByteVector bad = good;
    bad[i] ^= i == wire::kFlagsOffset ? 0x08 : 0x01;
    net_.inject(kThiefAt, kRootAt, bad);
    net_.run_for(150);  // within the gate of the prefix
  }
  EXPECT_TRUE(sent_to(kThiefAt).empty());
  EXPECT_TRUE(root.node->peers(net_.now).empty());
  net_.inject(kThiefAt, kRootAt, good);
  net_.run_for(100);
  EXPECT_FALSE(sent_to(kThiefAt).empty());
}

TEST_F(Trust, AnotherKeyForAKnownAddressIsRefused) {  // H8, I1
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  const wire::Identity first = alice.node->self().identity();
  // a newcomer with Alice's address and another key, no root has accepted it yet
  SimHost& thief = host(with_address(identity_of_vectors(6), alice.address()), kThiefAt);
  net_.run_for(1'000);
  EXPECT_EQ(root.peer(net_.now, alice.address())->identity, first);
  EXPECT_GE(root.counter("identity_collision"), 1U);
  EXPECT_TRUE(thief.collided);
  EXPECT_FALSE(alice.collided);
}

TEST_F(Trust, AnEstablishedIdentityStays) {  // R4
  host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  SimHost& twin = host(with_address(identity_of_vectors(6), alice.address()), kThiefAt, true);
  net_.run_for(1'000);
  EXPECT_FALSE(twin.collided);
  EXPECT_TRUE(
      std::any_of(twin.notices.begin(), twin.notices.end(), [](const control::Notice& notice) {
        return notice.level == control::Notice::Level::kAlarm;
      }));
}

TEST_F(Trust, CollisionErrorsWithoutAHelloOfOursDoNothing) {  // R4, P4
  SimHost& alice = host(1, kAliceAt);
  Forger root(identity_of_vectors(0), alice.node->self().identity());
  for (const std::uint64_t in_re : {std::uint64_t{0}, std::uint64_t{77}}) {
    ByteVector payload(10);
    Writer writer(payload);
    wire::encode_error(
        writer, {1, in_re, static_cast<std::uint8_t>(wire::ErrorCode::kIdentityCollision), {}});
    net_.inject(kRootAt, kAliceAt,
                root.seal(8 + in_re, wire::Verb::kError, payload, wire::Suite::kSalsaPoly));
  }
  net_.run_for(100);
  EXPECT_FALSE(alice.collided);
  EXPECT_EQ(alice.counter("unsolicited"), 2U);
}

TEST_F(Trust, PinsOutliveRestarts) {  // I2
  const crypto::SecretIdentity alice = identity_of_vectors(1);
  SimHost& root = host(identity_of_vectors(0), kRootAt, false,
                       {{alice.address(), crypto::fingerprint(alice.identity())}});
  Forger thief(with_address(identity_of_vectors(6), alice.address()), root.node->self().identity());
  net_.inject(kThiefAt, kRootAt, thief.hello(8, net_.now.wall, kRootAt));
  net_.run_for(100);
  EXPECT_FALSE(root.peer(net_.now, alice.address()));
  EXPECT_EQ(root.counter("pin_mismatch"), 1U);
  host(1, kAliceAt);
  net_.run_for(1'000);
  EXPECT_TRUE(root.peer(net_.now, alice.address()));
}

TEST_F(Trust, ReplayedHelloIsAnsweredOnceASecondAndTeachesNothing) {  // P5
  SimHost& root = host(0, kRootAt);
  Forger forger(identity_of_vectors(3), root.node->self().identity());
  const ByteVector old = forger.hello(8, net_.now.wall - 10'000, kRootAt);
  net_.inject(kAliceAt, kRootAt, old);
  net_.run_for(20);
  net_.inject(kAliceAt, kRootAt, forger.hello(16, net_.now.wall, kRootAt));
  net_.run_for(20);
  for (int i = 0; i < 20; ++i) net_.inject(kThiefAt, kRootAt, old);
  net_.run_for(900);
  EXPECT_EQ(sent_to(kThiefAt).size(), 2U);  // OK and one probe
  EXPECT_LE(bytes_to(kThiefAt), old.size() + 28);
  EXPECT_EQ(root.counter("hello_stale"), 20U);
}

TEST_F(Trust, AClockSetBackIsBelievedAfterAProbe) {  // Z1
  SimHost& root = host(0, kRootAt);
  {
    Forger forger(identity_of_vectors(1), root.node->self().identity());
    net_.inject(kThiefAt, kRootAt, forger.hello(8, net_.now.wall + 3'600'000, kRootAt));
    net_.run_for(100);
  }
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  EXPECT_EQ(root.counter("hello_stale"), 1U);
  EXPECT_TRUE(root.has_direct_path(net_.now, alice.address()));
  EXPECT_TRUE(alice.has_direct_path(net_.now, root.address()));
}

TEST_F(Trust, ReplayedPacketsAreDropped) {
  SimHost& alice = host(1, kAliceAt);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(100);
  const ByteVector packet =
      forger.seal(64, wire::Verb::kUserMessage, ByteVector(20), wire::Suite::kAesGmacSiv);
  for (int i = 0; i < 5; ++i) net_.inject(kThiefAt, kAliceAt, packet);
  net_.run_for(100);
  EXPECT_EQ(alice.counter("not_handled"), 1U);
  EXPECT_EQ(alice.counter("replay"), 4U);
}

TEST_F(Trust, WhatWorkersOpenedIsJudgedForReplayToo) {  // P1, 2.9
  SimHost& alice = host(1, kAliceAt);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(100);
  const auto as_worker = [&](Bytes sealed) {
    ByteVector plain(sealed.begin(), sealed.end());
    std::fill(plain.begin() + wire::kHeaderSize, plain.end(), std::uint8_t{0});
    plain[wire::kVerbOffset] = static_cast<std::uint8_t>(wire::Verb::kUserMessage);
    alice.node->on_authenticated(net_.now, {alice.sockets[0].socket, kThiefAt}, plain,
                                 sealed.size(), alice.effects);
    net_.settle(alice);
  };
  const ByteVector first =
      forger.seal(64, wire::Verb::kUserMessage, ByteVector(20), wire::Suite::kAesGmacSiv);
  as_worker(first);
  as_worker(first);
  net_.inject(kThiefAt, kAliceAt, first);  // the other way in
  net_.run_for(100);
  EXPECT_EQ(alice.counter("not_handled"), 1U);
  EXPECT_EQ(alice.counter("replay"), 2U);
  const ByteVector second =
      forger.seal(72, wire::Verb::kUserMessage, ByteVector(20), wire::Suite::kAesGmacSiv);
  net_.inject(kThiefAt, kAliceAt, second);
  net_.run_for(100);
  as_worker(second);
  EXPECT_EQ(alice.counter("not_handled"), 2U);
  EXPECT_EQ(alice.counter("replay"), 3U);
}

TEST_F(Trust, EchoFromManyPortsTakesNoPathRecords) {  // 2.14
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.planet = planet_;
  o.limits.paths = 16;
  SimHost& alice = net_.add("alice", std::move(o), {kAliceAt});
  net_.start(alice);
  net_.work_delay = 1'000'000;  // the stranger stays provisional
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(100);
  flights_.clear();
  for (std::uint16_t port = 1; port <= 200; ++port) {
    net_.inject(kThiefAt.with_port(port), kAliceAt,
                forger.seal(port * 8U, wire::Verb::kEcho, {}, wire::Suite::kAesGmacSiv));
  }
  net_.run_for(10);
  EXPECT_EQ(alice.counter("echo_rate"), 200U - 32U);
  // and the same path is answered once in its interval
  const std::uint64_t before = alice.counter("echo_rate");
  net_.run_for(2'000);
  for (std::uint64_t id = 4'000; id < 4'080; id += 8) {
    net_.inject(kThiefAt.with_port(500), kAliceAt,
                forger.seal(id, wire::Verb::kEcho, {}, wire::Suite::kAesGmacSiv));
  }
  net_.run_for(10);
  EXPECT_EQ(alice.counter("echo_rate"), before + 9);
  // somebody honest finds room for his path
  net_.work_delay = 30;
  SimHost& root = host(0, kRootAt);
  net_.run_for(6'000);
  EXPECT_TRUE(alice.has_direct_path(net_.now, root.address()));
}

TEST(Paths, RecordsThatNobodyUsesGiveWay) {
  control::Paths paths(64, {1, 2});
  const auto key = [](unsigned number) {
    return fib::PathKey{1, Endpoint::v4(0x0a000000 + number, 9993)};
  };
  for (unsigned i = 0; i < 1'000; ++i) ASSERT_NE(paths.obtain(key(i)), nullptr);
  EXPECT_EQ(paths.size(), 64U);
  unsigned used = 0;
  for (unsigned i = 0; i < 1'000; ++i) {
    control::Path* path = paths.find(key(i));
    if (path == nullptr) continue;
    ++path->references;
    ++used;
  }
  EXPECT_EQ(used, 64U);
  EXPECT_EQ(paths.obtain(key(2'000)), nullptr);
  control::Path* kept = paths.find(key(999));
  ASSERT_NE(kept, nullptr);
  --kept->references;
  EXPECT_NE(paths.obtain(key(2'000)), nullptr);
  EXPECT_EQ(paths.find(key(999)), nullptr);
  paths.sweep(1'000'000, 1);
  EXPECT_EQ(paths.size(), 63U);
}

TEST_F(Trust, APathOfAStrangerIsOneOfFew) {  // 2.14
  SimHost& alice = host(1, kAliceAt);
  net_.work_delay = 1'000'000;
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  for (std::uint16_t port = 1; port <= 12; ++port) {
    flights_.clear();
    const Endpoint at = Endpoint::v4(0x0a000900U + port, 9993);
    net_.inject(at, kAliceAt, forger.hello(port * 64U, net_.now.wall, kAliceAt));
    net_.run_for(1'100);
    for (const ByteVector& packet : sent_to(at)) {
      const auto plain = forger.open(packet);
      if (!plain || (*plain)[wire::kVerbOffset] != static_cast<std::uint8_t>(wire::Verb::kEcho))
        continue;
      ByteVector payload(9);
      Writer writer(payload);
      wire::encode_ok(writer,
                      {static_cast<std::uint8_t>(wire::Verb::kEcho), load_be64(packet.data()), {}});
      net_.inject(at, kAliceAt,
                  forger.seal(port * 64U + 8, wire::Verb::kOk, payload, wire::Suite::kAesGmacSiv));
    }
    net_.run_for(10);
  }
  EXPECT_EQ(alice.peer(net_.now, forger.address())->paths.size(), control::kMaxPathsOfStranger);
}

TEST(Introductions, AFloodOfPairsRefusesNobody) {  // 2.14
  constexpr std::size_t kPairs = 65'536;
  control::Introductions introductions(kPairs, {3, 4});
  const wire::Address alice{0x1111111111};
  const wire::Address carol{0x2222222222};
  EXPECT_TRUE(introductions.due(1'000, alice, carol));
  EXPECT_FALSE(introductions.due(1'001, carol, alice));
  for (std::uint64_t i = 0; i < 10 * kPairs; ++i) {
    ASSERT_TRUE(introductions.due(2'000, wire::Address{i + 1}, wire::Address{0x3333333333}));
  }
  const wire::Address dave{0x4444444444};
  EXPECT_TRUE(introductions.due(2'001, alice, dave));
  EXPECT_FALSE(introductions.due(2'002, alice, dave));
  EXPECT_TRUE(introductions.due(2'001 + control::Introductions::kInterval, alice, dave));
}

TEST_F(Trust, ALieAboutTheSourceIntroducesNobody) {  // X4
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  const Endpoint carol_at = Endpoint::v4(0x0a000304, 9993);
  SimHost& carol = host(4, carol_at);
  net_.run_for(2'000);
  ByteVector packet(100);
  wire::encode_packet_header(packet, {1'234, carol.address(), alice.address(), 0, 0, 8});
  flights_.clear();
  net_.inject(kThiefAt, kRootAt, packet);
  net_.run_for(8);
  EXPECT_EQ(root.counter("relayed"), 1U);
  EXPECT_EQ(sent_to(carol_at).size(), 1U);
  EXPECT_EQ(sent_to(kAliceAt).size(), 0U);
  net_.inject(kAliceAt, kRootAt, packet);
  net_.run_for(8);
  EXPECT_EQ(sent_to(kAliceAt).size(), 1U);  // RENDEZVOUS
}

TEST_F(Trust, WhatWorkersRelayedIsIntroducedAsWell) {
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  const Endpoint carol_at = Endpoint::v4(0x0a000304, 9993);
  SimHost& carol = host(4, carol_at);
  net_.run_for(2'000);
  const auto relays = [](const SimHost& of) {
    return std::any_of(of.updates.begin(), of.updates.end(), [](const fib::Update& update) {
      const auto* relaying = std::get_if<fib::Relaying>(&update);
      return relaying != nullptr && relaying->for_strangers;
    });
  };
  EXPECT_TRUE(relays(root));
  EXPECT_FALSE(relays(alice)) << "a leaf relays for nobody it does not know";
  const auto tell = [&](const Endpoint& from) {
    flights_.clear();
    root.node->on_event(
        net_.now, fib::Relayed{alice.address(), carol.address(), {root.sockets[0].socket, from}, 0},
        root.effects);
    net_.settle(root);
    net_.run_for(8);
    return sent_to(kAliceAt).size() + sent_to(carol_at).size();
  };
  EXPECT_EQ(tell(kThiefAt), 0U) << "a lie about the source";
  EXPECT_EQ(tell(kAliceAt), 2U) << "RENDEZVOUS to both";
  net_.run_for(2'000);  // they ask who the other is, and meet
  EXPECT_EQ(tell(kAliceAt), 0U) << "once in a while";
}

TEST_F(Trust, NothingIsRelayedBackToWhereItCameFrom) {  // P9
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(2'000);
  ByteVector packet(100);
  wire::encode_packet_header(packet,
                             {1'234, alice.address(), wire::Address{0x7777777777}, 0, 0, 8});
  flights_.clear();
  net_.inject(kAliceAt, kRootAt, packet);
  net_.run_for(8);
  EXPECT_EQ(sent_to(kAliceAt).size(), 0U);
  EXPECT_EQ(root.counter("no_route"), 1U);
}

/// A file of peers.d.
ByteVector peer_file(const wire::Identity& identity, const Endpoint& at) {
  ByteVector file(200);
  Writer writer(file);
  writer.u8(2);
  wire::write_identity(writer, identity);
  for (int i = 0; i < 4; ++i) writer.u16(1);
  writer.u16(1);
  wire::write_endpoint(writer, at);
  file.resize(writer.size());
  return file;
}

const Endpoint kCarolAt = Endpoint::v4(0x0a000304, 9993);

TEST_F(Trust, NamingACachedPeerCostsNothingBeforeTheGate) {  // 2.12
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.planet = planet_;
  const wire::Identity carol = identity_of_vectors(4).identity();
  o.cached_peers = {{carol.address, peer_file(carol, kCarolAt)}};
  SimHost& alice = net_.add("alice", std::move(o), {kAliceAt});
  net_.start(alice);
  Forger forger(identity_of_vectors(4), alice.node->self().identity());
  for (int i = 0; i < 100; ++i) {
    ByteVector packet = forger.seal(64 + static_cast<std::uint64_t>(i) * 8, wire::Verb::kEcho, {},
                                    wire::Suite::kAesGmacSiv);
    packet.back() ^= 1;
    net_.inject(kThiefAt, kAliceAt, packet);
    ByteVector hello = forger.hello(8'000 + static_cast<std::uint64_t>(i) * 8, 1, kAliceAt);
    hello.back() ^= 1;
    net_.inject(kThiefAt, kAliceAt, hello);
  }
  net_.run_for(10);
  EXPECT_FALSE(alice.peer(net_.now, carol.address));
  EXPECT_TRUE(sent_to(kCarolAt).empty());
  EXPECT_EQ(alice.counter("mac"), 16U);
  EXPECT_EQ(alice.counter("cache_rate") + alice.counter("hello_rate"), 184U);
  // the cache still knows her
  net_.run_for(5'000);
  net_.inject(kCarolAt, kAliceAt, forger.seal(16, wire::Verb::kEcho, {}, wire::Suite::kAesGmacSiv));
  net_.run_for(10);
  EXPECT_TRUE(alice.peer(net_.now, carol.address));
  EXPECT_FALSE(sent_to(kCarolAt).empty());
}

TEST_F(Trust, ACachedPeerThatIsSilentStaysKnown) {
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.planet = planet_;
  const wire::Identity carol = identity_of_vectors(4).identity();
  o.cached_peers = {{carol.address, peer_file(carol, kCarolAt)}};
  SimHost& alice = net_.add("alice", std::move(o), {kAliceAt});
  net_.start(alice);
  for (int round = 0; round < 3; ++round) {
    flights_.clear();
    alice.node->send(net_.now, carol.address, wire::Verb::kUserMessage, ByteVector(8), {},
                     alice.effects);
    net_.settle(alice);
    EXPECT_FALSE(sent_to(kCarolAt).empty()) << round;
    net_.run_for(600'000);
    EXPECT_FALSE(alice.peer(net_.now, carol.address));
  }
}

TEST_F(Trust, ADamagedCacheShutsNobodyOut) {  // I1, 2.1
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.planet = planet_;
  const wire::Identity carol = identity_of_vectors(4).identity();
  o.cached_peers = {
      {carol.address,
       peer_file(with_address(identity_of_vectors(6), carol.address).identity(), kCarolAt)}};
  SimHost& alice = net_.add("alice", std::move(o), {kAliceAt});
  net_.start(alice);
  alice.node->request_identity(net_.now, carol.address, alice.effects);
  net_.settle(alice);
  EXPECT_EQ(alice.node->identity_of(carol.address), nullptr) << "not proven yet";
  net_.run_for(1'000);
  EXPECT_FALSE(alice.peer(net_.now, carol.address));
  EXPECT_TRUE(std::any_of(alice.saves.begin(), alice.saves.end(), [&](const auto& save) {
    return save.kind == control::StateKind::kPeer && save.id == carol.address.value && save.remove;
  }));
  Forger forger(identity_of_vectors(4), alice.node->self().identity());
  net_.inject(kCarolAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(1'000);
  ASSERT_NE(alice.node->identity_of(carol.address), nullptr);
  EXPECT_EQ(*alice.node->identity_of(carol.address), carol);
}

TEST_F(Trust, RootsArePinnedAndPinnedKeysCostNoProof) {  // I2, 2.13
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  EXPECT_EQ(root.validations, 1U);
  const auto pin_of = [](const SimHost& h, wire::Address address) {
    return std::count_if(h.saves.begin(), h.saves.end(), [&](const control::SaveState& save) {
      return save.kind == control::StateKind::kPin && save.id == address.value;
    });
  };
  EXPECT_EQ(pin_of(alice, root.address()), 1);
  EXPECT_EQ(pin_of(root, alice.address()), 1);
  std::map<wire::Address, std::array<std::uint8_t, 48>> pins;
  for (const control::SaveState& save : root.saves) {
    if (save.kind == control::StateKind::kPin)
      std::copy(save.bytes.begin(), save.bytes.end(), pins[wire::Address{save.id}].begin());
  }
  net_.remove(root);
  SimHost& again = host(identity_of_vectors(0), kRootAt, false, pins);
  net_.run_for(300'000);
  EXPECT_NE(again.node->identity_of(alice.address()), nullptr);
  EXPECT_EQ(again.validations, 0U);
}

TEST_F(Trust, TheNewestHelloAgainIsAnsweredOncePerPath) {  // P2
  SimHost& root = host(0, kRootAt);
  Forger forger(identity_of_vectors(3), root.node->self().identity());
  const ByteVector hello = forger.hello(8, net_.now.wall, kRootAt);
  for (int i = 0; i < 50; ++i) net_.inject(kThiefAt, kRootAt, hello);
  net_.run_for(10);
  EXPECT_EQ(sent_to(kThiefAt).size(), 2U);  // OK and one probe
  std::size_t answers = 0;
  for (std::uint16_t port = 1; port <= 200; ++port)
    net_.inject(kThiefAt.with_port(port), kRootAt, hello);
  net_.run_for(10);
  for (std::uint16_t port = 1; port <= 200; ++port)
    answers += sent_to(kThiefAt.with_port(port)).empty() ? 0 : 1;
  EXPECT_LE(answers, 16U);
  EXPECT_EQ(root.counter("replay") + root.counter("hello_rate"), 249U - answers);
}

struct RecordingController final : control::ControllerRole {
  std::vector<Millis> asked;

  void on_config_request(Now now, const control::Incoming&, control::Effects&) override {
    asked.push_back(now.mono);
  }

  LocalAnswer on_local_request(Now, wire::NetworkId, Bytes, control::Effects&) override {
    return {};
  }

  bool recently_configured(Now, wire::NetworkId, wire::Address) const override { return false; }

  std::vector<wire::Address> owners_of(wire::NetworkId, wire::MulticastGroup) const override {
    return {};
  }

  void tick(Now, control::Effects&) override {}

  Millis next_deadline() const override { return INT64_MAX; }
};

TEST_F(Trust, AConfigRequestOfSomebodyUnprovenWaitsForTheProof) {
  SimHost& alice = host(1, kAliceAt);
  RecordingController controller;
  alice.node->attach(nullptr, &controller);
  net_.work_delay = 200;
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  const Millis start = net_.now.mono;
  net_.inject(kThiefAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.inject(
      kThiefAt, kAliceAt,
      forger.seal(16, wire::Verb::kNetworkConfigRequest, ByteVector(10), wire::Suite::kAesGmacSiv));
  net_.run_for(100);
  EXPECT_TRUE(controller.asked.empty());
  EXPECT_EQ(alice.counter("waiting"), 1U);
  net_.run_for(200);
  ASSERT_EQ(controller.asked.size(), 1U);
  EXPECT_LE(controller.asked[0] - start, 210);
  net_.run_for(10'000);
  EXPECT_EQ(controller.asked.size(), 1U);
}

TEST_F(Trust, WhoAsksOftenAwaitsItsProofOnce) {
  constexpr std::uint32_t kAtATime = 128;
  constexpr std::uint32_t kMostToCheck = 65'536;
  SimHost& alice = host(1, kAliceAt);
  RecordingController controller;
  alice.node->attach(nullptr, &controller);
  net_.work_delay = 1'000'000;
  const auto stranger = [](std::uint32_t number) {
    return with_address(identity_of_vectors(3), wire::Address{0x1000000000u + number});
  };
  const auto ask = [&](std::uint32_t number, unsigned times) {
    const Endpoint from = Endpoint::v4(0x09000001 + (number << 8), 9993);
    Forger forger(stranger(number), alice.node->self().identity());
    net_.inject(from, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
    for (unsigned i = 0; i < times; ++i) {
      net_.inject(from, kAliceAt,
                  forger.seal(16 + 8 * i, wire::Verb::kNetworkConfigRequest, ByteVector(10),
                              wire::Suite::kAesGmacSiv));
    }
    net_.run_for(100);
  };
  for (std::uint32_t i = 0; i < kAtATime; ++i) ask(i, 1);
  EXPECT_EQ(alice.validations, kAtATime);
  ask(kAtATime, kMostToCheck);
  ask(kAtATime + 1, 1);
  EXPECT_EQ(alice.validations, kAtATime) << "no room for more";
  for (const std::uint32_t done : {0u, 1u}) {
    control::Effects out;
    alice.node->on_identity_validated(net_.now, stranger(done).identity(), false, out);
    ASSERT_EQ(out.validations.size(), 1U);
    EXPECT_EQ(out.validations[0].identity, stranger(kAtATime + done).identity());
  }
}

TEST_F(Trust, StrangersDoNotSayHowWeLook) {  // N5
  SimHost& alice = host(1, kAliceAt);
  const Endpoint thief = Endpoint::v4(0x09090909, 9993);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  for (std::uint64_t id = 8; id < 80; id += 8) {
    net_.now.wall += 1'000;
    net_.inject(thief, kAliceAt, forger.hello(id, net_.now.wall, Endpoint::v4(0x08080808, 53)));
    net_.run_for(1'000);
  }
  EXPECT_NE(alice.node->identity_of(forger.address()), nullptr);
  EXPECT_TRUE(alice.node->status(net_.now).surface.empty()) << "his path has not answered";
}

TEST(Surface, WhereRootsSpeakNobodyElseIsHeard) {
  control::Surface surface;
  const auto global = [](std::uint32_t last) { return Endpoint::v4(0x08080800 + last, 1); };
  const wire::Address root{1};
  const wire::Address peer{2};
  (void)surface.observe(1, peer, {1, global(9)}, global(66), false);
  EXPECT_EQ(surface.endpoints(), std::vector{global(66)});
  (void)surface.observe(2, root, {1, global(8)}, global(1), true);
  EXPECT_EQ(surface.endpoints(), std::vector{global(1)});
  (void)surface.observe(3, peer, {2, global(9)}, global(67), false);  // another socket
  EXPECT_EQ(surface.endpoints(), (std::vector{global(1), global(67)}));
}

TEST_F(Trust, OnlyNetworksThatArePrivateThroughoutAreTrusted) {  // A9, 2.23
  const auto net = [](std::uint32_t ip, std::uint16_t bits) { return Endpoint::v4(ip, bits); };
  const auto trusted = [&](const Endpoint& network) {
    SimNet sim;
    NodeOptions o{.identity = identity_of_vectors(1)};
    o.planet = planet_;
    o.physical = {{network, false, 77, 0}};
    SimHost& alice = sim.add("alice", std::move(o), {kAliceAt});
    sim.start(alice);
    Forger forger(identity_of_vectors(3), alice.node->self().identity());
    sim.inject(kThiefAt, kAliceAt, forger.hello(8, sim.now.wall, kAliceAt));
    sim.run_for(100);
    ByteVector packet =
        forger.seal(16, wire::Verb::kUserMessage, ByteVector(8), wire::Suite::kMacOnly);
    crypto::armor_trusted(packet, 77);
    sim.inject(kThiefAt, kAliceAt, packet);
    sim.run_for(100);
    return alice.counter("not_handled") == 1;
  };
  EXPECT_TRUE(trusted(net(0x0a000000, 8)));
  EXPECT_TRUE(trusted(net(0x0a000900, 24)));
  EXPECT_FALSE(trusted(net(0, 0)));
  EXPECT_FALSE(trusted(net(0x0a000000, 7)));
  EXPECT_FALSE(trusted(net(0x08000000, 5)));
  SimNet sim;
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.physical = {{Endpoint::v6(std::array<std::uint8_t, 16>{}, 0), false, 77, 0},
                {Endpoint::v6(std::array<std::uint8_t, 16>{0xfd}, 8), false, 77, 0}};
  SimHost& alice = sim.add("alice", std::move(o), {kAliceAt});
  sim.start(alice);
  std::size_t alarms = 0;
  std::size_t warnings = 0;
  for (const control::Notice& notice : alice.notices) {
    if (notice.text.find("trusted path") == std::string::npos) continue;
    (notice.level == control::Notice::Level::kAlarm ? alarms : warnings) += 1;
  }
  EXPECT_EQ(alarms, 1U);
  EXPECT_EQ(warnings, 1U);
}

TEST(Replies, ProbesPushOutEachOther) {  // 2.14
  control::Replies replies(64, {1, 2});
  const wire::Address root{1};
  const auto expect = [&](std::uint64_t id, wire::Verb verb, Millis sent) {
    replies.expect(id, {verb, root, {}, id, sent, sent + control::reply_window(verb), true});
  };
  const auto answered = [&](std::uint64_t id, wire::Verb verb, Millis now) {
    control::Incoming answer;
    answer.source = root;
    return replies.match(id, verb, answer, now).has_value();
  };
  expect(1, wire::Verb::kWhois, 1'000);
  expect(2, wire::Verb::kNetworkConfigRequest, 1'000);
  for (std::uint64_t id = 100; id < 100'100; ++id) expect(id, wire::Verb::kHello, 1'001);
  EXPECT_EQ(replies.size(), 64U);
  EXPECT_TRUE(answered(1, wire::Verb::kWhois, 2'000));
  EXPECT_FALSE(answered(1, wire::Verb::kWhois, 2'000)) << "consumed";
  EXPECT_FALSE(answered(100, wire::Verb::kHello, 2'000));
  EXPECT_TRUE(answered(100'099, wire::Verb::kHello, 2'000));
  replies.expire(20'000);
  EXPECT_EQ(replies.size(), 1U);
  EXPECT_TRUE(answered(2, wire::Verb::kNetworkConfigRequest, 60'000));
}

TEST_F(Trust, FragmentsOfStrangersLeaveThoseOfPeersAlone) {  // F1, 2.18
  SimHost& root = host(0, kRootAt);
  NodeOptions o{.identity = identity_of_vectors(1)};
  o.planet = planet_;
  o.limits.reassembly = 64;
  SimHost& alice = net_.add("alice", std::move(o), {kAliceAt});
  net_.start(alice);
  net_.run_for(1'000);
  ASSERT_TRUE(alice.has_direct_path(net_.now, root.address()));
  std::vector<ByteVector> held;
  net_.allow = [&](const SimNet::Flight& flight) {
    const bool piece = flight.payload.size() > 16 &&
                       wire::kind_of(flight.payload) == wire::DatagramKind::kFragment;
    if (piece) held.push_back(flight.payload);
    return !piece;
  };
  root.node->send(net_.now, alice.address(), wire::Verb::kUserMessage, ByteVector(3'000), {},
                  root.effects);
  net_.settle(root);
  net_.run_for(20);
  ASSERT_EQ(held.size(), 2U);
  for (std::uint32_t source = 0; source < 1'000; ++source) {
    ByteVector piece = held[0];
    store_be64(piece.data(), source);
    net_.inject(Endpoint::v4(0x0a0b0000 + source, 9993), kAliceAt, piece);
  }
  net_.run_for(20);
  for (const ByteVector& piece : held) net_.inject(kRootAt, kAliceAt, piece);
  net_.run_for(20);
  EXPECT_EQ(alice.counter("not_handled"), 1U);
}

TEST_F(Trust, ClearTextIsForHelloAlone) {  // A5, A9
  SimHost& alice = host(1, kAliceAt);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, forger.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(100);
  flights_.clear();
  net_.inject(kThiefAt, kAliceAt, forger.seal(16, wire::Verb::kEcho, {}, wire::Suite::kMacOnly));
  ByteVector trusted = forger.seal(24, wire::Verb::kEcho, {}, wire::Suite::kMacOnly);
  crypto::armor_trusted(trusted, 0);
  net_.inject(kThiefAt, kAliceAt, trusted);
  for (std::uint8_t cipher = 4; cipher < 8; ++cipher) {
    ByteVector odd = forger.seal(32 + cipher, wire::Verb::kEcho, {}, wire::Suite::kMacOnly);
    odd[wire::kFlagsOffset] = static_cast<std::uint8_t>(cipher << 3);
    net_.inject(kThiefAt, kAliceAt, odd);
  }
  net_.run_for(100);
  EXPECT_TRUE(sent_to(kThiefAt).empty());
  EXPECT_EQ(alice.counter("cipher"), 5U);
  EXPECT_EQ(alice.counter("trusted_path"), 1U);
}

TEST_F(Trust, WhoisAnswersMustMatchAndBeAskedFor) {  // I6, W8
  SimHost& alice = host(1, kAliceAt);
  Forger root(identity_of_vectors(0), alice.node->self().identity());
  ByteVector payload(9 + wire::Identity::kWireSize);
  Writer writer(payload);
  wire::encode_ok(writer, {static_cast<std::uint8_t>(wire::Verb::kWhois), 99, {}});
  wire::write_identity(writer, identity_of_vectors(7).identity());
  net_.inject(kRootAt, kAliceAt, root.seal(8, wire::Verb::kOk, payload, wire::Suite::kAesGmacSiv));
  net_.run_for(100);
  EXPECT_FALSE(alice.peer(net_.now, identity_of_vectors(7).address()));
  EXPECT_EQ(alice.counter("unsolicited"), 1U);
}

TEST_F(Trust, HopsEndAtTheLimit) {  // W3, F9
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(1'000);
  Forger forger(identity_of_vectors(3), alice.node->self().identity());
  for (unsigned hops = 0; hops < 8; ++hops) {
    net_.inject(kThiefAt, kRootAt,
                forger.seal(8 + hops * 8, wire::Verb::kEcho, {}, wire::Suite::kAesGmacSiv, hops));
  }
  net_.run_for(100);
  EXPECT_EQ(root.counter("relayed"), 3U);
  EXPECT_EQ(root.counter("hops"), 5U);
  // a leaf relays nothing for strangers
  Forger other(identity_of_vectors(3), root.node->self().identity());
  net_.inject(kThiefAt, kAliceAt, other.seal(8, wire::Verb::kEcho, {}, wire::Suite::kAesGmacSiv));
  net_.run_for(100);
  EXPECT_EQ(alice.counter("relay_refused"), 1U);
}

TEST_F(Trust, NoPacketIdBeyondTheMarkOnDiskLeaves) {  // A6
  SimHost& root = host(0, kRootAt);
  SimHost& alice = host(1, kAliceAt);
  std::uint64_t mark = 0;
  const auto read_mark = [&] {
    for (const control::SaveState& save : alice.saves) {
      if (save.kind == control::StateKind::kNonce) mark = load_be64(save.bytes.data());
    }
    alice.saves.clear();
  };
  net_.run_for(10'000);
  read_mark();
  ASSERT_NE(mark, 0U);
  const auto holds_keys = [&] {
    bool keys = false;
    for (const fib::Update& update : alice.updates) {
      if (std::holds_alternative<fib::Peer>(update)) keys = true;
      if (std::holds_alternative<fib::RemovePeer>(update)) keys = false;
    }
    return keys;
  };
  EXPECT_TRUE(holds_keys());
  // Control is silent but for its ticks; the workers are not: the mark moves on.
  for (int i = 0; i < 30; ++i) {
    net_.run_for(10'000);
    read_mark();
    EXPECT_GT(mark, static_cast<std::uint64_t>(net_.now.wall) * 125'000);
  }
  alice.disk_full = true;
  flights_.clear();
  net_.tap = [&](const SimNet::Flight& flight) {
    if (flight.from != kAliceAt) return;
    flights_.push_back(flight);
    const auto header = wire::decode_packet_header(flight.payload);
    if (!header || header->cipher() != 0) return;
    EXPECT_LT(load_be64(flight.payload.data()) & crypto::NonceLane::kTimeMask, mark)
        << "ids of HELLO are shown as they are";
  };
  for (int i = 0; i < 60; ++i) {
    net_.run_for(5'000);
    // as if the workers had sent all the time
    if (static_cast<std::uint64_t>(net_.now.wall) * 125'000 >= mark + 5'000 * 125'000ULL) {
      EXPECT_FALSE(holds_keys());
    }
  }
  EXPECT_GT(alice.counter("no_packet_id"), 0U);
  const std::size_t sent = flights_.size();
  net_.run_for(60'000);
  EXPECT_EQ(flights_.size(), sent);
  // room again: the mark is written and everything goes on
  alice.disk_full = false;
  net_.tap = [&](const SimNet::Flight& flight) { flights_.push_back(flight); };
  net_.run_for(20'000);
  read_mark();
  EXPECT_GT(mark, static_cast<std::uint64_t>(net_.now.wall) * 125'000);
  EXPECT_GT(flights_.size(), sent);
  EXPECT_TRUE(holds_keys());
  EXPECT_TRUE(alice.has_direct_path(net_.now, root.address()));
}

TEST_F(Trust, PacketIdsNeverRepeatAcrossARestartWithTheClockSetBack) {  // A6
  const auto ids = [&](std::uint64_t floor, Millis wall, std::uint64_t& mark) {
    SimNet net;
    net.now.wall = wall;
    std::vector<std::uint64_t> seen;
    net.tap = [&](const SimNet::Flight& flight) {
      seen.push_back(load_be64(flight.payload.data()));
    };
    NodeOptions o{.identity = identity_of_vectors(1)};
    o.planet = planet_;
    o.nonce_floor = floor;
    SimHost& h = net.add("alice", std::move(o), {kAliceAt});
    net.start(h);
    net.run_for(60'000);
    for (const control::SaveState& save : h.saves) {
      if (save.kind == control::StateKind::kNonce) mark = load_be64(save.bytes.data());
    }
    return seen;
  };
  std::uint64_t mark = 0;
  std::vector<std::uint64_t> first = ids(0, net_.now.wall, mark);
  ASSERT_FALSE(first.empty());
  ASSERT_NE(mark, 0U);
  for (const std::uint64_t id : first) EXPECT_LT(id & crypto::NonceLane::kTimeMask, mark);
  std::uint64_t next_mark = 0;
  for (const std::uint64_t id : ids(mark, net_.now.wall - 3'600'000, next_mark)) {
    EXPECT_GE(id & crypto::NonceLane::kTimeMask, mark);
  }
  EXPECT_GT(next_mark, mark);
}

}  // namespace
}  // namespace orrery::test
