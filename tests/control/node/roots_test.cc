// Several roots, and what they are worth: whom a node asks, what two must agree on, what it does
// when one lies; pins by hand, alarms, identity.log; moons that know little; HELLO of protocol 13.
#include <gtest/gtest.h>

#include "control/alarms.h"
#include "crypto/extended_armor.h"
#include "crypto/kdf.h"
#include "node/forger.h"
#include "node/identities.h"
#include "support/sim_net.h"
#include "wire/verbs/whois.h"

namespace orrery::test {
namespace {

using control::AlarmKind;
using control::NodeOptions;
using control::StateKind;
using wire::Endpoint;

const Endpoint kFirstAt = Endpoint::v4(0x0a000001, 9993);
const Endpoint kSecondAt = Endpoint::v4(0x0a000002, 9993);
const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
const Endpoint kBobAt = Endpoint::v4(0x0a000203, 9993);

class Roots : public testing::Test {
 protected:
  Roots() {
    crypto::init();
    planet_ = make_planet(77, 1,
                          {{identity_of_vectors(0).identity(), {kFirstAt}},
                           {identity_of_vectors(5).identity(), {kSecondAt}}});
    net_.tap = [this](const SimNet::Flight& flight) { flights_.push_back(flight); };
  }

  NodeOptions options(std::size_t number) const {
    NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = planet_;
    return o;
  }

  SimHost& host(NodeOptions options, const Endpoint& at) {
    SimHost& h = net_.add("node", std::move(options), {at});
    net_.start(h);
    return h;
  }

  SimHost& host(std::size_t number, const Endpoint& at) { return host(options(number), at); }

  /// A root that gives `to` another key for `about`.
  class Liar {
   public:
    Liar(Roots& test, std::size_t number, const Endpoint& at, SimHost& to, wire::Identity about)
        : test_(test),
          forger_(identity_of_vectors(number), to.node->self().identity()),
          at_(at),
          about_(std::move(about)) {
      test_.net_.tap = [this, &to](const SimNet::Flight& flight) {
        if (flight.to == at_) answer(flight, to);
      };
    }

    unsigned lies = 0;

   private:
    void answer(const SimNet::Flight& flight, SimHost& to) {
      const auto open = forger_.open(flight.payload);
      if (!open) return;
      ByteVector payload(2'048);
      Writer writer(payload);
      const auto verb = static_cast<wire::Verb>((*open)[wire::kVerbOffset] & wire::kVerbMask);
      wire::encode_ok(writer,
                      {static_cast<std::uint8_t>(verb), load_be64(flight.payload.data()), {}});
      if (verb == wire::Verb::kHello) {
        wire::encode_hello_ok(writer, {test_.net_.now.wall, {12, 1, 14, 1}, flight.from, {}});
      } else if (verb == wire::Verb::kWhois) {
        ++lies;
        wire::write_identity(writer, about_);
      } else if (verb != wire::Verb::kEcho) {
        return;
      }
      payload.resize(writer.size());
      test_.net_.inject(at_, to.sockets[0].address,
                        forger_.seal(id_ += 8, wire::Verb::kOk, payload, wire::Suite::kSalsaPoly));
    }

    Roots& test_;
    Forger forger_;
    Endpoint at_;
    wire::Identity about_;
    std::uint64_t id_ = 8;
  };

  void ask(SimHost& who, wire::Address about) {
    who.node->request_identity(net_.now, about, who.effects);
    net_.settle(who);
  }

  static std::string log_of(const SimHost& host) {
    std::string text;
    for (const control::SaveState& save : host.saves) {
      if (save.kind == StateKind::kIdentityLog) text.append(save.bytes.begin(), save.bytes.end());
    }
    return text;
  }

  static std::vector<control::Alarm> alarms_of(const SimHost& host, AlarmKind kind) {
    std::vector<control::Alarm> all = host.node->alarms().all();
    std::erase_if(all, [&](const control::Alarm& alarm) { return alarm.kind != kind; });
    return all;
  }

  SimNet net_;
  ByteVector planet_;
  std::vector<SimNet::Flight> flights_;
};

TEST_F(Roots, InStrictModeTwoThatAgreeAreEnough) {  // I4, R1
  host(0, kFirstAt);
  host(5, kSecondAt);
  SimHost& bob = host(2, kBobAt);
  NodeOptions strict = options(1);
  strict.strict = true;
  SimHost& alice = host(std::move(strict), kAliceAt);
  net_.run_for(2'000);
  ask(alice, bob.address());
  net_.run_for(2'000);
  EXPECT_NE(alice.node->identity_of(bob.address()), nullptr);
  EXPECT_EQ(alice.counter("whois_unconfirmed"), 1U) << "the first word is not enough";
  EXPECT_EQ(alice.counter("alarms"), 0U);
}

TEST_F(Roots, InStrictModeOneAloneIsNotEnough) {  // I4
  host(0, kFirstAt);
  SimHost& bob = host(2, kBobAt);
  NodeOptions strict = options(1);
  strict.strict = true;
  SimHost& alice = host(std::move(strict), kAliceAt);
  net_.run_for(2'000);
  ask(alice, bob.address());
  net_.run_for(10'000);
  EXPECT_EQ(alice.node->identity_of(bob.address()), nullptr);
  EXPECT_GE(alice.counter("whois_unconfirmed"), 1U);
}

TEST_F(Roots, InStrictModeALyingRootIsFoundOut) {  // I3, I4
  host(0, kFirstAt);
  SimHost& bob = host(2, kBobAt);
  NodeOptions strict = options(1);
  strict.strict = true;
  SimHost& alice = host(std::move(strict), kAliceAt);
  // a proven key, so that only the other root's word speaks against it
  const wire::Identity other = with_address(identity_of_vectors(6), bob.address()).identity();
  Liar liar(*this, 5, kSecondAt, alice, other);
  net_.run_for(2'000);
  ask(alice, bob.address());
  net_.run_for(3'000);
  EXPECT_GE(liar.lies, 1U);
  EXPECT_GE(alice.counter("whois_disputed"), 1U);
  const wire::Identity* known = alice.node->identity_of(bob.address());
  EXPECT_EQ(known, nullptr);
  ASSERT_EQ(alarms_of(alice, AlarmKind::kRootsDisagree).size(), 1U);
  EXPECT_EQ(alarms_of(alice, AlarmKind::kRootsDisagree)[0].about, bob.address());
  EXPECT_NE(log_of(alice).find(wire::to_string(bob.address()) + " refused "), std::string::npos);
}

TEST_F(Roots, ALieAboutAKnownPeerIsAnAlarmWithTheNameOfTheRoot) {  // I3, bR6
  host(0, kFirstAt);
  SimHost& bob = host(2, kBobAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(2'000);
  ask(alice, bob.address());
  net_.run_for(2'000);
  ASSERT_NE(alice.node->identity_of(bob.address()), nullptr);
  const wire::Identity truth = *alice.node->identity_of(bob.address());
  alice.node->pin(net_.now, bob.address(), crypto::fingerprint(truth), alice.effects);
  net_.settle(alice);

  const wire::Identity other = with_address(identity_of_vectors(6), bob.address()).identity();
  Forger root(identity_of_vectors(5), alice.node->self().identity());
  net_.inject(kSecondAt, kAliceAt, root.hello(8, net_.now.wall, kAliceAt));
  net_.run_for(100);
  Liar liar(*this, 5, kSecondAt, alice, other);
  net_.run_for(600'000);  // alice forgets whom she does not hear, and asks again; the pin stays
  for (int i = 0; i < 20; ++i) {
    ask(alice, bob.address());
    net_.run_for(1'000);
    const wire::Identity* known = alice.node->identity_of(bob.address());
    EXPECT_TRUE(known == nullptr || *known == truth);
  }
  if (liar.lies != 0) {
    const auto alarms = alarms_of(alice, AlarmKind::kRootNamesOtherKey);
    ASSERT_EQ(alarms.size(), 1U);
    EXPECT_EQ(alarms[0].by, identity_of_vectors(5).address());
    EXPECT_EQ(alarms[0].count, liar.lies);
  }
}

TEST_F(Roots, PreferredOnesAreUsedWhileOneIsAlive) {
  SimHost& first = host(0, kFirstAt);
  host(5, kSecondAt);
  SimHost& bob = host(2, kBobAt);
  NodeOptions picky = options(1);
  picky.preferred_roots = {first.address()};
  SimHost& alice = host(std::move(picky), kAliceAt);
  net_.run_for(2'000);
  EXPECT_EQ(alice.node->best_root(net_.now), first.address());
  for (int i = 0; i < 20; ++i) {
    ask(alice, wire::Address{0x1111111100 + static_cast<std::uint64_t>(i)});
    net_.run_for(100);
  }
  const auto by_alice = std::count_if(
      flights_.begin(), flights_.end(),
      [&](const SimNet::Flight& f) { return f.from == kAliceAt && f.to == kSecondAt; });
  EXPECT_LE(by_alice, 4) << "HELLO and probes, no WHOIS";
  // It dies: the other one takes over.
  net_.remove(first);
  net_.run_for(600'000);
  EXPECT_NE(alice.node->best_root(net_.now), wire::Address{});
  ask(alice, bob.address());
  net_.run_for(2'000);
  EXPECT_NE(alice.node->identity_of(bob.address()), nullptr);
  const auto roots = alice.node->root_status(net_.now);
  ASSERT_EQ(roots.size(), 2U);
  EXPECT_EQ(std::count_if(roots.begin(), roots.end(), [](const auto& r) { return r.preferred; }),
            1);
  EXPECT_EQ(std::count_if(roots.begin(), roots.end(), [](const auto& r) { return r.alive; }), 1);
}

TEST_F(Roots, ExcludedOnesHearNothing) {
  SimHost& first = host(0, kFirstAt);
  SimHost& second = host(5, kSecondAt);
  NodeOptions picky = options(1);
  picky.excluded_roots = {first.address()};
  SimHost& alice = host(std::move(picky), kAliceAt);
  net_.run_for(600'000);
  EXPECT_EQ(std::count_if(
                flights_.begin(), flights_.end(),
                [&](const SimNet::Flight& f) { return f.from == kAliceAt && f.to == kFirstAt; }),
            0);
  EXPECT_FALSE(alice.node->is_root(first.address()));
  EXPECT_TRUE(alice.node->is_root(second.address()));
  for (const auto& root : alice.node->root_status(net_.now))
    EXPECT_EQ(root.excluded, root.identity.address == first.address());
}

TEST_F(Roots, ACheckTellsWhoAnswers) {
  SimHost& first = host(0, kFirstAt);
  SimHost& alice = host(1, kAliceAt);  // the second root is not there
  net_.run_for(2'000);
  EXPECT_EQ(alice.node->check_roots(net_.now, 77, alice.effects), 2U);
  net_.settle(alice);
  EXPECT_EQ(alice.node->check_roots(net_.now, 78, alice.effects), 0U);
  const Millis asked = net_.now.mono;
  net_.run_for(1'000);
  for (const auto& root : alice.node->root_status(net_.now)) {
    const bool there = root.identity == first.node->self().identity();
    EXPECT_EQ(root.answered_hello > asked, there);
    EXPECT_EQ(root.answered_whois > asked, there);
    EXPECT_EQ(root.worlds, std::vector<std::uint64_t>{77});
  }
}

TEST_F(Roots, APinByHandBeatsWhoIsKnown) {  // bR6
  SimHost& root = host(0, kFirstAt);
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(2'000);
  ASSERT_NE(root.node->identity_of(alice.address()), nullptr);
  root.saves.clear();
  const auto right = crypto::fingerprint(alice.node->self().identity());
  root.node->pin(net_.now, alice.address(), right, root.effects);
  net_.settle(root);
  EXPECT_NE(root.node->identity_of(alice.address()), nullptr) << "the same key";
  const auto wrong = crypto::fingerprint(identity_of_vectors(6).identity());
  root.node->pin(net_.now, alice.address(), wrong, root.effects);
  net_.settle(root);
  EXPECT_EQ(root.node->identity_of(alice.address()), nullptr);
  EXPECT_EQ(root.node->pins().at(alice.address()), wrong);
  net_.run_for(300'000);
  EXPECT_EQ(root.node->identity_of(alice.address()), nullptr) << "refused whenever it comes";
  EXPECT_GE(root.counter("pin_mismatch"), 1U);
  EXPECT_TRUE(std::any_of(root.saves.begin(), root.saves.end(), [&](const auto& save) {
    return save.kind == StateKind::kPinByHand && save.id == alice.address().value && !save.remove;
  }));

  EXPECT_TRUE(root.node->unpin(net_.now, alice.address(), root.effects));
  EXPECT_FALSE(root.node->unpin(net_.now, alice.address(), root.effects));
  net_.settle(root);
  net_.run_for(300'000);
  EXPECT_NE(root.node->identity_of(alice.address()), nullptr);
  EXPECT_EQ(root.node->pins().at(alice.address()), right);
  const std::string log = log_of(root);
  const std::string name = wire::to_string(alice.address());
  for (const char* event : {" pinned ", " unpinned ", " refused "})
    EXPECT_NE(log.find(name + event), std::string::npos) << event << log;
}

TEST_F(Roots, LinesOfTheLog) {
  control::Fingerprint hash{};
  hash[0] = 0xab;
  EXPECT_EQ(control::key_event_line(1'700'000'000'123, wire::Address{0x1122334455},
                                    control::KeyEvent::kRefused, hash, wire::Address{0x99}),
            "2023-11-14T22:13:20Z 1122334455 refused ab" + std::string(94, '0') + " 0000000099\n");
  // Leap years and the ends of months.
  for (const auto& [wall, day] : {std::pair{Millis{951'782'400'000}, "2000-02-29"},
                                  {951'868'800'000, "2000-03-01"},
                                  {1'709'164'800'000, "2024-02-29"},
                                  {1'735'603'200'000, "2024-12-31"},
                                  {1'735'689'600'000, "2025-01-01"},
                                  {4'107'542'400'000, "2100-03-01"}}) {
    EXPECT_TRUE(control::key_event_line(wall, wire::Address{1}, control::KeyEvent::kSeen, {}, {})
                    .starts_with(day))
        << day;
  }
  EXPECT_EQ(control::key_event_line(0, wire::Address{1}, control::KeyEvent::kUnpinned, {}, {}),
            "1970-01-01T00:00:00Z 0000000001 unpinned - -\n");
}

TEST(Alarms, WhatAnybodyCausesHidesNoRootsLie) {
  control::Alarms alarms;
  EXPECT_TRUE(alarms.raise(AlarmKind::kRootsDisagree, wire::Address{1}, wire::Address{2}, {1, 1}));
  for (std::uint64_t i = 0; i < 1'000; ++i)
    EXPECT_TRUE(alarms.raise(AlarmKind::kOtherKey, wire::Address{i + 10}, {}, {2, 2}));
  EXPECT_EQ(alarms.all().size(), control::Alarms::kMost + 1);
  EXPECT_EQ(alarms.raised(), 1'001U);
  EXPECT_EQ(alarms.all()[0].kind, AlarmKind::kRootsDisagree);
  // The same again is told once an hour.
  EXPECT_FALSE(alarms.raise(AlarmKind::kRootsDisagree, wire::Address{1}, wire::Address{2}, {9, 9}));
  EXPECT_TRUE(alarms.raise(AlarmKind::kRootsDisagree, wire::Address{1}, wire::Address{2},
                           {control::Alarms::kTellAgain + 1, 9}));
  EXPECT_EQ(alarms.all()[0].count, 3U);
}

TEST_F(Roots, AMoonDefersToThePlanetForWhatItDoesNotKnow) {
  // Carol follows the moon alone, Bob is known to the planet's root alone.
  const wire::Identity moon_root = identity_of_vectors(7).identity();
  const Endpoint moon_at = Endpoint::v4(0x0a000007, 9993);
  wire::World moon;
  moon.type = wire::World::Type::kMoon;
  moon.id = moon_root.address.value;
  moon.timestamp = 1;
  moon.roots.push_back({moon_root, {moon_at}});
  host(0, kFirstAt);
  SimHost& bob = host(2, kBobAt);
  NodeOptions both = options(7);
  both.moons = {wire::encode_world(moon)};
  SimHost& moon_host = host(std::move(both), moon_at);
  NodeOptions alone{.identity = identity_of_vectors(4)};
  alone.moons = {wire::encode_world(moon)};
  SimHost& carol = host(std::move(alone), kAliceAt);
  net_.run_for(5'000);
  ASSERT_EQ(moon_host.node->identity_of(bob.address()), nullptr);
  ask(carol, bob.address());
  net_.run_for(4'000);
  EXPECT_NE(carol.node->identity_of(bob.address()), nullptr);
  EXPECT_NE(moon_host.node->identity_of(bob.address()), nullptr);
  // and what the moon knows the planet need not be asked for
  const auto asked = [&] {
    return std::count_if(flights_.begin(), flights_.end(), [&](const SimNet::Flight& f) {
      return f.from == moon_at && f.to == kFirstAt;
    });
  };
  SimHost& dave = host(
      [&] {
        NodeOptions o{.identity = identity_of_vectors(8)};
        o.moons = {wire::encode_world(moon)};
        return o;
      }(),
      Endpoint::v4(0x0a000808, 9993));
  net_.run_for(1'000);
  const auto before = asked();
  ask(carol, dave.address());
  net_.run_for(300);
  EXPECT_NE(carol.node->identity_of(dave.address()), nullptr);
  EXPECT_EQ(asked(), before);
}

TEST_F(Roots, ASeedWithAnotherKeyThanTheOperatorsIsNotFollowed) {  // R6, 2.21
  const Endpoint moon_at = Endpoint::v4(0x0a000007, 9993);
  wire::World moon;
  moon.type = wire::World::Type::kMoon;
  moon.id = identity_of_vectors(7).address().value;
  moon.timestamp = 1;
  moon.roots.push_back({identity_of_vectors(7).identity(), {moon_at}});
  host(0, kFirstAt);
  NodeOptions seed = options(7);
  seed.moons = {wire::encode_world(moon)};
  SimHost& seed_host = host(std::move(seed), moon_at);
  SimHost& alice = host(1, kAliceAt);
  SimHost& bob = host(2, kBobAt);
  net_.run_for(2'000);
  alice.node->orbit(net_.now, moon.id, seed_host.address(),
                    crypto::fingerprint(identity_of_vectors(6).identity()), alice.effects);
  net_.settle(alice);
  bob.node->orbit(net_.now, moon.id, seed_host.address(),
                  crypto::fingerprint(identity_of_vectors(7).identity()), bob.effects);
  net_.settle(bob);
  net_.run_for(120'000);
  EXPECT_TRUE(alice.node->moons().at(0).waiting);
  EXPECT_GE(alice.counter("pin_mismatch"), 1U);
  EXPECT_FALSE(alice.node->is_root(seed_host.address()));
  EXPECT_FALSE(bob.node->moons().at(0).waiting);
  EXPECT_TRUE(bob.node->is_root(seed_host.address()));
}

TEST_F(Roots, AMoonFromAFileAndItsSuccessors) {  // R5
  SimHost& alice = host(1, kAliceAt);
  const crypto::SecretIdentity signer = identity_of_vectors(20);
  wire::World moon;
  moon.type = wire::World::Type::kMoon;
  moon.id = 0x1122334455667788;
  moon.timestamp = 5;
  moon.update_key = signer.identity().public_key;
  moon.roots.push_back({identity_of_vectors(7).identity(), {Endpoint::v4(0x0a000007, 9993)}});
  const auto add = [&](std::uint64_t id) {
    const bool added = alice.node->add_moon(net_.now, id, wire::encode_world(moon), alice.effects);
    net_.settle(alice);
    return added;
  };
  EXPECT_FALSE(add(7)) << "another moon than it says";
  EXPECT_TRUE(add(moon.id));
  EXPECT_TRUE(alice.node->is_root(identity_of_vectors(7).address()));
  EXPECT_FALSE(add(moon.id)) << "the same again";
  moon.timestamp = 6;
  EXPECT_FALSE(add(moon.id)) << "not signed by the key that we hold";
  moon.signature = crypto::sign(signer, wire::world_signed_bytes(moon));
  EXPECT_TRUE(add(moon.id));
  alice.node->deorbit(net_.now, moon.id, alice.effects);
  net_.settle(alice);
  EXPECT_TRUE(alice.node->moons().empty());
}

TEST_F(Roots, HelloOfProtocol13IsReadAndSentWhereAskedFor) {
  NodeOptions quiet = options(1);
  quiet.extended_hello = control::ExtendedHello::kAlways;
  SimHost& root = host(0, kFirstAt);
  SimHost& alice = host(std::move(quiet), kAliceAt);
  NodeOptions able = options(2);
  able.extended_hello = control::ExtendedHello::kAble;
  SimHost& bob = host(std::move(able), kBobAt);
  net_.run_for(2'000);
  EXPECT_TRUE(alice.has_direct_path(net_.now, root.address()));
  EXPECT_NE(root.node->identity_of(alice.address()), nullptr);
  EXPECT_GE(root.counter("hello_extended"), 1U);
  const auto clear_hellos = [&](const Endpoint& from) {
    return std::count_if(flights_.begin(), flights_.end(), [&](const SimNet::Flight& f) {
      const auto header = wire::decode_packet_header(f.payload);
      return f.from == from && f.to == kFirstAt && header && header->cipher() == 0 &&
             !crypto::has_extended_armor(*header);
    });
  };
  EXPECT_EQ(clear_hellos(kAliceAt), 0);
  // Bob begins in clear and goes on encrypted once the root has said that it reads it.
  const auto before = clear_hellos(kBobAt);
  EXPECT_GE(before, 1);
  net_.run_for(600'000);
  EXPECT_EQ(clear_hellos(kBobAt), before);
  EXPECT_TRUE(bob.node->status(net_.now).online);
  EXPECT_EQ(root.counter("mac"), 0U);
}

TEST_F(Roots, ExtendedArmorCostsAnAgreementBehindTheGate) {  // H5
  SimHost& root = host(0, kFirstAt);
  net_.run_for(100);
  ByteVector packet(200);
  for (unsigned i = 0; i < 100; ++i) {
    for (std::size_t k = 0; k < packet.size(); ++k)
      packet[k] = static_cast<std::uint8_t>(net_.now.wall + i * 7 + k * 13);
    wire::encode_packet_header(packet, {i * 8 + 8, root.address(), wire::Address{0x0123456789},
                                        crypto::kFlagExtended, 0, 1});
    net_.inject(kBobAt, kFirstAt, packet);
  }
  net_.run_for(10);
  EXPECT_GE(root.counter("hello_rate"), 80U);  // 16 at once from a prefix
  EXPECT_EQ(root.counter("hello_rate") + root.counter("hello_malformed") + root.counter("cipher") +
                root.counter("hello_version") + root.counter("address"),
            100U);
  EXPECT_TRUE(root.node->peers(net_.now).empty() || root.node->peers(net_.now).size() == 1U);
}

TEST_F(Roots, WhoAnswersAProbeIsNotPushedOutByThoseWhoDoNot) {  // bD9, H3
  NodeOptions small = options(0);
  small.limits.peers = 64;  // room for 16 strangers
  SimHost& root = host(std::move(small), kFirstAt);
  net_.work_delay = 2'000;
  SimHost& alice = host(1, kAliceAt);
  net_.run_for(50);  // she has answered; her work is being checked
  Forger flood(identity_of_vectors(6), root.node->self().identity());
  for (std::uint64_t i = 0; i < 400; ++i) {
    flood.speak_as(wire::Address{0x2000000000 + i});
    net_.inject(Endpoint::v4(0x14000000 + (static_cast<std::uint32_t>(i) << 8) + 1, 9993), kFirstAt,
                flood.hello(i * 8 + 8, net_.now.wall, kFirstAt));
    net_.run_for(2);
  }
  EXPECT_TRUE(root.peer(net_.now, alice.address()));
  net_.run_for(3'000);
  EXPECT_NE(root.node->identity_of(alice.address()), nullptr);
  EXPECT_LE(root.validations, 80U) << "those who answer nothing are not all checked";
}

}  // namespace
}  // namespace orrery::test
