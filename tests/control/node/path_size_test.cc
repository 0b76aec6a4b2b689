// The search for what a path carries: the state machine on a virtual clock, and two nodes over a
// network that drops by size.
#include <gtest/gtest.h>

#include <random>

#include "control/path_size.h"
#include "control/token_bucket.h"
#include "node/identities.h"
#include "support/sim_net.h"

namespace orrery::test {
namespace {

using control::PathSize;
using control::PathSizes;
using control::SizeLimits;
using wire::Endpoint;

using Sizes = std::initializer_list<std::uint16_t>;
constexpr SizeLimits kEthernet{28, 1'432, 1'472};
constexpr SizeLimits kJumbo{28, 1'432, 8'972};

/// One path under test: probes up to `carries` bytes are answered, at once.
struct Path {
  explicit Path(const SizeLimits& l) : limits(l) {}

  /// Runs for so long, with traffic of full size unless `idle`.
  void run(Millis duration) {
    const Millis end = now + duration;
    for (;;) {
      if (!idle) size.use(now);
      const Millis next = std::min(size.due(), end);
      now = std::max(now, idle ? next : std::min(next, now + 10'000));
      if (now >= end) return;
      if (size.due() > now) continue;
      const PathSize::Turn turn = size.turn(now, limits, 20);
      lost += turn.lost;
      if (turn.fell) fell_at = now;
      probes += turn.ask.size();
      for (const std::uint16_t asked : turn.ask) {
        largest = std::max(largest, asked);
        if (asked > carries || loses()) continue;
        EXPECT_TRUE(size.answered(asked, size.round()));
        ++answered;
      }
    }
  }

  [[nodiscard]] std::uint16_t now_is() const { return size.size(limits); }

  PathSize size;
  SizeLimits limits;
  std::uint16_t carries = 65'535;
  std::function<bool()> loses = [] { return false; };
  bool idle = false;
  Millis now = 1'000;
  Millis fell_at = 0;
  std::size_t probes = 0, answered = 0, lost = 0;
  std::uint16_t largest = 0;
};

TEST(PathSize, WithoutTrafficNothingIsAsked) {
  Path path(kEthernet);
  path.idle = true;
  path.run(3'600'000);
  EXPECT_EQ(path.probes, 0u);
  EXPECT_EQ(path.now_is(), 1'432);
  EXPECT_FALSE(path.size.known());
}

TEST(PathSize, FindsWhatThePathCarriesInARound) {
  Path path(kEthernet);
  path.run(1);
  EXPECT_EQ(path.now_is(), 1'472) << "larger datagrams wait for no verdict";
  path.run(2'000);
  EXPECT_FALSE(path.size.searching());
  EXPECT_TRUE(path.size.known());
}

TEST(PathSize, EverySizeOfLinksIsFound) {
  for (const unsigned link : {576, 1'024, 1'280, 1'400, 1'420, 1'450, 1'460, 1'480, 1'492, 1'500,
                              2'800, 5'000, 8'500, 8'896, 9'000}) {
    Path path(kJumbo);
    path.carries = static_cast<std::uint16_t>(link - 28);
    path.run(20'000);
    EXPECT_EQ(path.now_is(), link - 28);
    while (path.size.searching()) path.run(100);
    EXPECT_EQ(path.probes, path.answered + path.lost);
  }
}

TEST(PathSize, WhatWasKnownBeforeIsUsedAtOnceAndAskedForLikeAnySize) {
  Path path(kJumbo);
  path.idle = true;
  path.size.recall(300);
  EXPECT_FALSE(path.size.known()) << "no link is that small";
  path.size.recall(8'972);
  EXPECT_EQ(path.now_is(), 8'972);
  path.run(3'600'000);
  EXPECT_EQ(path.probes, 0u);
  path.idle = false;
  path.carries = 1'472;
  path.run(10'000);
  EXPECT_EQ(path.now_is(), 1'472) << "no longer true";
}

TEST(PathSize, SizesBetweenTheStepsOfTheLadderAreRoundedDown) {
  Path path(kJumbo);
  path.carries = 1'300 - 28;
  path.run(20'000);
  EXPECT_EQ(path.now_is(), 1'280 - 28);
}

TEST(PathSize, APathOfEthernetIsNotAskedForJumboFrames) {
  Path path(kJumbo);
  path.carries = 1'472;
  path.run(20'000);
  EXPECT_EQ(path.now_is(), 1'472);
  EXPECT_LE(path.largest, 2 * 1'472);
}

TEST(PathSize, NothingLargerThanTheLinkOrTheOperatorsWord) {
  for (const std::uint16_t most : Sizes{1'472, 1'600, 2'800, 9'000}) {
    Path path({28, std::min<std::uint16_t>(most, 1'432), most});
    path.run(60'000);
    EXPECT_EQ(path.now_is(), most);
    EXPECT_EQ(path.largest, most);
  }
}

TEST(PathSize, ABlackHoleShowsWithinTenSeconds) {
  for (const Millis onset : {20'000, 21'700, 23'300, 24'900}) {
    for (const std::uint16_t carries : Sizes{1'372, 1'252, 548}) {
      Path path(kEthernet);
      path.run(onset);
      ASSERT_EQ(path.now_is(), 1'472);
      path.carries = carries;
      const Millis since = path.now;
      path.run(30'000);
      EXPECT_EQ(path.now_is(), carries);
      EXPECT_LE(path.fell_at - since, 10'000);
    }
  }
}

TEST(PathSize, GrowsAgainAfterTenMinutes) {
  Path path(kEthernet);
  path.carries = 1'252;
  path.run(10'000);
  ASSERT_EQ(path.now_is(), 1'252);
  path.carries = 1'472;
  path.run(580'000);
  EXPECT_EQ(path.now_is(), 1'252);
  path.run(30'000);
  EXPECT_EQ(path.now_is(), 1'472);
}

TEST(PathSize, APathThatFellIdleIsCheckedWhenItIsUsedAgain) {
  Path path(kEthernet);
  path.run(60'000);
  path.idle = true;
  path.run(60'000);
  const std::size_t before = path.probes;
  path.run(3'600'000);
  EXPECT_EQ(path.probes, before);
  EXPECT_EQ(path.now_is(), 1'472) << "what was found stays";
  path.carries = 1'252;
  path.idle = false;
  path.run(4'000);
  EXPECT_EQ(path.now_is(), 1'252);
}

TEST(PathSize, SilenceSaysNothing) {
  Path path(kEthernet);
  path.run(20'000);
  path.carries = 0;
  const std::size_t before = path.probes;
  path.run(600'000);
  EXPECT_EQ(path.now_is(), 1'472);
  EXPECT_EQ(path.fell_at, 0);
  EXPECT_LT(path.probes - before, 600u) << "nor is it talked to much";
}

TEST(PathSize, LossIsNoBlackHole) {
  std::mt19937 random(7);
  unsigned falls = 0;
  for (int i = 0; i < 50; ++i) {
    Path path(kEthernet);
    path.run(10'000);
    path.loses = [&] { return random() % 20 == 0; };
    path.run(600'000);
    if (path.fell_at != 0) ++falls;
  }
  EXPECT_LE(falls, 2u) << "of 6,000 confirmations at 5 % loss";
}

TEST(PathSize, AnswersOfARoundThatIsOverAreLost) {
  PathSize size;
  size.use(1'000);
  const PathSize::Turn first = size.turn(1'000, kEthernet, 0);
  ASSERT_FALSE(first.ask.empty());
  const std::uint32_t round = size.round();
  const PathSize::Turn second = size.turn(2'000, kEthernet, 0);
  EXPECT_EQ(second.lost, first.ask.size());
  EXPECT_FALSE(size.answered(1'472, round));
  EXPECT_EQ(size.size(kEthernet), 1'432);
}

TEST(PathSize, ASlowPathHasTime) {
  PathSize size;
  size.use(1'000);
  (void)size.turn(1'000, kEthernet, 800);
  EXPECT_EQ(size.due(), 1'000 + 1'600);
}

TEST(PathSize, AConfirmedPathCostsAProbeInFiveSeconds) {
  Path path(kEthernet);
  path.run(10'000);
  const std::size_t before = path.probes;
  path.run(500'000);
  EXPECT_LE(path.probes - before, 100u);
}

TEST(PathSizes, InTheOrderInWhichTheyAreDue) {
  PathSizes sizes(2, {1, 2});
  const fib::PathKey a{1, Endpoint::v4(1, 1)}, b{1, Endpoint::v4(2, 1)}, c{1, Endpoint::v4(3, 1)};
  EXPECT_EQ(sizes.next(), PathSize::kNever);
  EXPECT_TRUE(sizes.use(1'500, b, wire::Address{5}));
  EXPECT_TRUE(sizes.use(1'000, a, wire::Address{6}));
  EXPECT_FALSE(sizes.use(1'000, c, wire::Address{7})) << "full";
  EXPECT_EQ(sizes.next(), 1'000);
  EXPECT_EQ(sizes.first(), a);
  (void)sizes.turn(1'000, a, kEthernet, 0);
  EXPECT_EQ(sizes.first(), b);
  sizes.erase(b);
  EXPECT_EQ(sizes.first(), a);
  sizes.erase(a);
  EXPECT_EQ(sizes.next(), PathSize::kNever);
}

TEST(TokenBucket, WhatIsOwedComesBackFirst) {
  control::TokenBucket bucket(4, 10);
  EXPECT_TRUE(bucket.any(1'000));
  bucket.take_all(6);
  EXPECT_FALSE(bucket.any(1'200));
  EXPECT_FALSE(bucket.any(1'299));
  EXPECT_TRUE(bucket.any(1'300));
  EXPECT_TRUE(bucket.take(1'300));
  EXPECT_FALSE(bucket.any(1'300));
}

// --- two nodes

class ProbedPaths : public testing::Test {
 protected:
  explicit ProbedPaths(std::vector<control::PhysicalNetwork> physical = {})
      : physical_(std::move(physical)) {
    crypto::init();
    planet_ = make_planet(77, 1, {{identity_of_vectors(0).identity(), {kRootAt}}});
    net_.allow = [this](const SimNet::Flight& flight) {
      const bool middle = flight.from != kRootAt && flight.to != kRootAt;
      return !middle || flight.payload.size() <= carries_;
    };
    root_ = &host(0, kRootAt);
    alice_ = &host(1, kAliceAt);
    bob_ = &host(2, kBobAt);
    net_.run_for(1'000);
    send(1);
    net_.run_for(1'000);
    EXPECT_TRUE(alice_->has_direct_path(net_.now, bob_->address()));
  }

  SimHost& host(std::size_t number, const Endpoint& at) {
    control::NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = planet_;
    o.physical = physical_;
    SimHost& h = net_.add("node " + std::to_string(number), std::move(o), {at});
    h.sockets[0].mtu = 9'000;
    net_.start(h);
    return h;
  }

  /// From Alice to Bob.
  void send(std::size_t size, wire::Verb verb = wire::Verb::kFrame) {
    alice_->node->send(net_.now, bob_->address(), verb, ByteVector(size), {}, alice_->effects);
    net_.settle(*alice_);
  }

  /// Frames of full size, once a second.
  void talk(Millis duration) {
    for (const Millis end = net_.now.mono + duration; net_.now.mono < end;) {
      send(1'500);
      net_.run_for(1'000);
    }
  }

  control::PathStatus path() {
    const auto peer = alice_->peer(net_.now, bob_->address());
    for (const control::PathStatus& p : peer->paths) {
      if (p.preferred) return p;
    }
    throw std::runtime_error("no direct path");
  }

  /// What the workers hold.
  std::uint16_t published() {
    std::uint16_t mtu = 0;
    for (const fib::Update& update : alice_->updates) {
      const auto* peer = std::get_if<fib::Peer>(&update);
      if (peer != nullptr && peer->address == bob_->address() && peer->direct) mtu = peer->mtu;
    }
    return mtu;
  }

  static inline const Endpoint kRootAt = Endpoint::v4(0x0a000001, 9993);
  static inline const Endpoint kAliceAt = Endpoint::v4(0x0a000102, 9993);
  static inline const Endpoint kBobAt = Endpoint::v4(0x0a000203, 9993);

  SimNet net_;
  ByteVector planet_;
  std::vector<control::PhysicalNetwork> physical_;
  std::size_t carries_ = 65'535;
  SimHost* root_ = nullptr;
  SimHost* alice_ = nullptr;
  SimHost* bob_ = nullptr;
};

TEST_F(ProbedPaths, OnlyTrafficOfFullSizeIsAReasonToAsk) {
  for (int i = 0; i < 60; ++i) {
    send(500);
    net_.run_for(1'000);
  }
  EXPECT_EQ(alice_->counter("size_probes"), 0u);
  EXPECT_EQ(path().mtu_state, control::PathStatus::Mtu::kAssumed);
  EXPECT_EQ(path().mtu, 1'432);
}

TEST_F(ProbedPaths, ControlsOwnPacketsFindItOutAndDoNotWatchIt) {
  carries_ = 1'252;
  std::uint64_t after_a_minute = 0;
  for (int i = 0; i < 600; ++i) {
    send(1'500, wire::Verb::kNetworkConfig);
    net_.run_for(1'000);
    if (i == 60) after_a_minute = alice_->counter("size_probes");
  }
  EXPECT_EQ(path().mtu, 1'252);
  EXPECT_NE(after_a_minute, 0u);
  EXPECT_EQ(alice_->counter("size_probes"), after_a_minute);
}

TEST_F(ProbedPaths, GrowsToWhatTheLinkCarriesAndTellsTheWorkers) {
  talk(10'000);
  EXPECT_EQ(path().mtu, 8'972);
  EXPECT_EQ(path().mtu_state, control::PathStatus::Mtu::kProbed);
  EXPECT_EQ(published(), 8'972);
  EXPECT_EQ(alice_->counter("size_probes_lost"), 0u);
  EXPECT_EQ(bob_->counter("size_probes"), 0u) << "it sent nothing of full size";
}

TEST_F(ProbedPaths, AWorkersWordIsEnough) {
  alice_->node->on_event(net_.now, fib::FullSizeSent{bob_->address()}, alice_->effects);
  net_.settle(*alice_);
  net_.run_for(6'000);
  EXPECT_EQ(published(), 8'972);
}

TEST_F(ProbedPaths, ProbesAreWholeAndOfTheirSize) {
  std::vector<std::size_t> whole;
  alice_->node->on_event(net_.now, fib::FullSizeSent{bob_->address()}, alice_->effects);
  alice_->node->tick(net_.now, alice_->effects);
  for (const control::Datagram& d : alice_->effects.datagrams) {
    if (d.whole) whole.push_back(d.payload.size());
  }
  EXPECT_EQ(whole, (std::vector<std::size_t>{1'432, 1'452, 1'464, 1'472, 2'772}));
  net_.settle(*alice_);
}

TEST_F(ProbedPaths, ShrinksAtABlackHoleAndCutsAccordingly) {
  talk(10'000);
  carries_ = 1'252;
  talk(12'000);
  EXPECT_EQ(path().mtu, 1'252);
  EXPECT_EQ(published(), 1'252);
  EXPECT_EQ(alice_->counter("size_fell"), 1u);
  std::size_t largest = 0, pieces = 0;
  net_.tap = [&](const SimNet::Flight& flight) {
    if (flight.from != kAliceAt || flight.to != kBobAt) return;
    largest = std::max(largest, flight.payload.size());
    ++pieces;
  };
  send(2'800);
  EXPECT_EQ(pieces, 3u);
  EXPECT_EQ(largest, 1'252u);
}

TEST_F(ProbedPaths, ForgedAndForeignAnswersChangeNothing) {
  carries_ = 1'432;
  std::vector<SimNet::Flight> answers;
  net_.tap = [&](const SimNet::Flight& flight) {
    if (flight.from == kBobAt && flight.to == kAliceAt) answers.push_back(flight);
  };
  talk(10'000);
  ASSERT_EQ(path().mtu, 1'432);
  ASSERT_FALSE(answers.empty());
  // What was answered once, again; and with a bit of it changed.
  const std::uint64_t before = alice_->counter("size_probes_answered");
  for (const SimNet::Flight& answer : std::exchange(answers, {})) {
    net_.inject(answer.from, answer.to, answer.payload);
    ByteVector forged = answer.payload;
    forged.back() ^= 1;
    net_.inject(answer.from, answer.to, forged);
  }
  net_.run_for(100);
  EXPECT_EQ(alice_->counter("size_probes_answered"), before);
  EXPECT_EQ(path().mtu, 1'432);
}

TEST_F(ProbedPaths, RelayedPacketsKeepToTheDefault) {
  carries_ = 0;
  net_.run_for(300'000);
  send(1'500);
  net_.run_for(10'000);
  ASSERT_FALSE(alice_->has_direct_path(net_.now, bob_->address()));
  EXPECT_GT(alice_->counter("size_probes"), 0u) << "of the root's path";
  std::size_t largest = 0;
  net_.tap = [&](const SimNet::Flight& flight) {
    if (flight.to == kRootAt) largest = std::max(largest, flight.payload.size());
  };
  send(5'000);
  EXPECT_EQ(largest, 1'432u);
}

class OperatorsPaths : public ProbedPaths {
 protected:
  OperatorsPaths() : ProbedPaths({{.network = Endpoint::v4(0x0a000000, 8), .mtu = 2'800}}) {}
};

TEST_F(OperatorsPaths, BeginWithHisWordAndGoNoFurther) {
  std::size_t largest = 0;
  net_.tap = [&](const SimNet::Flight& flight) {
    largest = std::max(largest, flight.payload.size());
  };
  EXPECT_EQ(path().mtu, 2'800);
  talk(20'000);
  EXPECT_EQ(path().mtu, 2'800);
  EXPECT_EQ(largest, 2'800u);
  carries_ = 1'400;
  talk(12'000);
  EXPECT_EQ(path().mtu, 1'392) << "but what does not pass does not pass";
}

}  // namespace
}  // namespace orrery::test
