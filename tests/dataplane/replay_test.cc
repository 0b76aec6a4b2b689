// Each packet once: the set of seen ids by itself and among threads, the window of one of ours, and
// both in the row of stages.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <thread>

#include "crypto/nonce.h"
#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

constexpr SipKey kKey{11, 12};

std::unique_ptr<SeenSet> seen_set(std::size_t ids) {
  auto made = SeenSet::make(ids, kKey);
  EXPECT_TRUE(made);
  return std::move(*made);
}

TEST(SeenSetTest, SizesAreWhatIsAsked) {
  EXPECT_EQ(seen_set(1)->ids(), SeenSet::kFewest);
  EXPECT_EQ(seen_set(100'000)->ids(), 131'072u);
  EXPECT_EQ(SeenSet::default_ids(std::size_t{1} << 30), std::size_t{1} << 20) << "1 GiB";
  EXPECT_EQ(SeenSet::default_ids(std::size_t{8} << 30), std::size_t{1} << 22) << "8 GiB: 16 MiB";
  EXPECT_EQ(SeenSet::default_ids(std::size_t{1} << 40), std::size_t{1} << 24) << "1 TiB";
}

TEST(SeenSetTest, AnIdIsBoundToItsSource) {
  auto seen = seen_set(1);
  EXPECT_FALSE(seen->insert(7, kA));
  EXPECT_TRUE(seen->insert(7, kA));
  EXPECT_FALSE(seen->insert(7, kB));
  EXPECT_FALSE(seen->insert(8, kA));
}

TEST(SeenSetTest, NothingIsForgottenWithinTheHorizon) {  // bR1
  auto seen = seen_set(std::size_t{1} << 22);
  constexpr std::uint64_t kHorizon = std::uint64_t{1} << 19, kNew = 1'000'000 + kHorizon;
  std::uint64_t wrong = 0, replayed = 0;
  for (std::uint64_t i = 0; i < kNew; ++i) {
    wrong += seen->insert(i, kA) ? 1 : 0;
    if (i >= kHorizon) replayed += seen->insert(i - kHorizon, kA) ? 0 : 1;
  }
  EXPECT_EQ(replayed, 0u) << "of a million replays, each an eighth of the set later";
  EXPECT_LE(wrong, 1u) << "7.5e-9 for each";
}

TEST(SeenSetTest, BeyondTheHorizonItForgets) {  // P2
  auto seen = seen_set(SeenSet::kFewest);
  EXPECT_FALSE(seen->insert(1, kA));
  for (std::uint64_t i = 2; i < 8 * SeenSet::kFewest; ++i) (void)seen->insert(i, kA);
  EXPECT_FALSE(seen->insert(1, kA));
}

TEST(SeenSetTest, ARingGoesRoundInOrder) {
  // One line's worth of a model: the last sixteen are there, all before are not.
  auto seen = seen_set(SeenSet::kFewest);
  const std::uint64_t line = 77;
  const auto name = [&](std::uint64_t tag) { return tag << 33 | line; };
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    ASSERT_FALSE(seen->insert(name(i)));
    ASSERT_TRUE(seen->insert(name(i)));
    if (i > 15) {
      ASSERT_TRUE(seen->insert(name(i - 15))) << "the oldest of sixteen";
    }
  }
  EXPECT_FALSE(seen->insert(name(1'000 - 16)));
  EXPECT_FALSE(seen->insert(name(0))) << "a tag of zero is one like others";
  EXPECT_TRUE(seen->insert(name(0)));
}

TEST(SeenSetTest, OfManyThreadsExactlyOneIsFirst) {  // P1
  constexpr unsigned kThreads = 4;
  constexpr std::uint64_t kIds = 200'000;
  auto seen = seen_set(std::size_t{1} << 22);
  std::vector<std::atomic<std::uint8_t>> firsts(kIds);
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      ++ready;
      while (ready.load() != kThreads) std::this_thread::yield();
      // Two threads in the same order collide, two others come from elsewhere.
      for (std::uint64_t i = 0; i < kIds; ++i) {
        const std::uint64_t id = t < 2 ? i : (i * 7919 + t * 1000) % kIds;
        if (!seen->insert(id, kA)) ++firsts[id];
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_TRUE(std::ranges::all_of(firsts, [](const auto& n) { return n.load() == 1; }));
}

TEST(SeenSetTest, ThreadsInOneLineDoNotLoseEachOther) {
  // All of them write the same sixteen slots; who is within the ring is known to all.
  constexpr unsigned kThreads = 4;
  auto seen = seen_set(SeenSet::kFewest);
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::atomic<unsigned> ready{0};
    std::array<std::atomic<unsigned>, 12> firsts{};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        ++ready;
        while (ready.load() != kThreads) std::this_thread::yield();
        for (std::uint64_t i = 0; i < firsts.size(); ++i) {
          if (!seen->insert((round * 100 + i + 1) << 33 | 5)) ++firsts[i];
        }
      });
    }
    for (std::thread& t : threads) t.join();
    for (const auto& n : firsts) ASSERT_EQ(n.load(), 1u);
  }
}

// --- the window

constexpr std::uint64_t kWall = 1'700'000'000'000'000'000;  // ns

/// Eight genuine ids: strict from here on.
void prove(fib::ReplayWindow& window, crypto::NonceLane& lane, Millis mono = 1'000) {
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t id = lane.next(kWall);
    ASSERT_TRUE(window.admits(id, mono, kWall));
    window.advance(id, mono);
  }
  ASSERT_TRUE(window.strict());
}

TEST(ReplayWindowTest, RandomIdsNeverMakeItStrict) {
  fib::ReplayWindow window;
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t id = random();
    EXPECT_TRUE(window.admits(id, 1, kWall));
    window.advance(id, 1);
  }
  EXPECT_FALSE(window.strict());
}

TEST(ReplayWindowTest, WhatIsFarBackIsRefused) {  // P2, of ours
  fib::ReplayWindow window;
  crypto::NonceLane lane(3);
  prove(window, lane);
  const std::uint64_t old = lane.next(kWall);
  window.advance(old, 1'000);
  const std::uint64_t later = lane.next(kWall + 4'000'000'000);
  EXPECT_TRUE(window.admits(later, 5'000, kWall));
  window.advance(later, 5'000);
  EXPECT_FALSE(window.admits(old, 5'000, kWall)) << "four seconds behind the newest";
  const std::uint64_t late = lane.next(kWall + 4'000'000'000) - 125'000'000;
  EXPECT_TRUE(window.admits(late, 5'000, kWall)) << "P7: a second late";
  EXPECT_TRUE(window.admits(later, 8'000, kWall)) << "young: the set's business";
  EXPECT_FALSE(window.admits(later, 8'001, kWall)) << "an idle lane does not stay open";
  EXPECT_TRUE(window.admits(lane.next(kWall + 9'000'000'000), 99'000, kWall));
}

TEST(ReplayWindowTest, AnotherLaneFollowsTheSameClock) {
  fib::ReplayWindow window;
  crypto::NonceLane lane(3);
  prove(window, lane);
  EXPECT_TRUE(window.admits(crypto::NonceLane(4).next(kWall - 1'000'000'000), 1'000, kWall));
  EXPECT_FALSE(window.admits(crypto::NonceLane(5).next(kWall - 600'000'000'000), 1'000, kWall));
}

TEST(ReplayWindowTest, ClocksApartAreLeftAlone) {
  fib::ReplayWindow window;
  crypto::NonceLane lane(3);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t id = lane.next(kWall);
    EXPECT_TRUE(window.admits(id, 1, kWall + 600'000'000'000));
    window.advance(id, 1);
  }
  EXPECT_FALSE(window.strict());
}

// --- in the row of stages

class ReplayStageTest : public Dataplane, public ::testing::WithParamInterface<wire::Suite> {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    seen_ = seen_set(std::size_t{1} << 20);
  }

  /// A worker with the shared set.
  std::unique_ptr<End> make(const char* name, wire::Address self, wire::Address other,
                            wire::Endpoint remote) {
    auto end = std::make_unique<End>(name, self, other, remote, GetParam());
    end->fast->offline();
    end->fast.reset();
    FastPathOptions options;
    options.self = self;
    options.permutation = {self.value, 2};
    options.seen = seen_.get();
    end->fast = std::make_unique<FastPath>(end->tables, pools(), options);
    end->fast->online();
    return end;
  }

  std::vector<ByteVector> datagrams(End& a, unsigned n) {
    std::vector<ByteVector> all;
    for (unsigned i = 0; i < n; ++i) {
      rte_mbuf* m = mbuf_of(a.frame(100 + i % 700), pools().frame);
      a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
      EXPECT_EQ(a.out.transmits, 1u);
      all.emplace_back(bytes_of(a.out.transmit[0]).begin(), bytes_of(a.out.transmit[0]).end());
      release(a.out);
    }
    return all;
  }

  /// Frames that were delivered.
  static unsigned feed(End& end, const std::vector<ByteVector>& all, wire::Endpoint from) {
    unsigned delivered = 0;
    for (std::size_t at = 0; at < all.size(); at += FastPath::kBurst) {
      rte_mbuf* burst[FastPath::kBurst];
      unsigned n = 0;
      for (; n < FastPath::kBurst && at + n < all.size(); ++n) {
        burst[n] = mbuf_of(all[at + n], pools().wire);
        meta_of(burst[n]).remote = from;
        meta_of(burst[n]).socket = kSocket;
      }
      end.fast->inbound(burst, n, end.out, end.drops);
      delivered += end.out.delivers;
      release(end.out);
    }
    return delivered;
  }

  std::unique_ptr<SeenSet> seen_;
};

INSTANTIATE_TEST_SUITE_P(Suites, ReplayStageTest,
                         ::testing::Values(wire::Suite::kSalsaPoly, wire::Suite::kAesGmacSiv),
                         [](const auto& i) {
                           return i.param == wire::Suite::kSalsaPoly ? "salsa" : "aes";
                         });

TEST_P(ReplayStageTest, EveryCopyIsDroppedWhereverItComesFrom) {  // P1
  auto a = make("replay_a", kA, kB, kEndB);
  auto b = make("replay_b", kB, kA, kEndA);
  constexpr unsigned kPackets = 1'000;
  const auto all = datagrams(*a, kPackets);
  EXPECT_EQ(feed(*b, all, kEndA), kPackets);
  EXPECT_EQ(feed(*b, all, kEndA), 0u);
  EXPECT_EQ(feed(*b, all, wire::Endpoint::v4(0x0a000063, 1)), 0u) << "from another source";
  EXPECT_EQ(b->dropped(Drop::kReplay), 2 * kPackets);
  a.reset();
  auto other = make("replay_c", kB, kA, kEndA);
  EXPECT_EQ(feed(*other, all, kEndA), 0u) << "to another worker";
  EXPECT_EQ(other->dropped(Drop::kReplay), kPackets);
  EXPECT_EQ(total(other->drops), kPackets);
}

TEST_P(ReplayStageTest, WhatControlHandledIsKnownHere) {
  auto a = make("replay_a", kA, kB, kEndB);
  auto b = make("replay_b", kB, kA, kEndA);
  const auto all = datagrams(*a, 1);
  // As control does after it opened the packet itself.
  fib::SeenIds& shared = *seen_;
  std::uint64_t id;
  std::memcpy(&id, all[0].data(), 8);
  EXPECT_FALSE(shared.insert(id, kA));
  EXPECT_EQ(feed(*b, all, kEndA), 0u);
  EXPECT_EQ(b->dropped(Drop::kReplay), 1u);
}

TEST_P(ReplayStageTest, DuplicatesAndDisorderOfTheNetwork) {  // P7
  auto a = make("replay_a", kA, kB, kEndB);
  auto b = make("replay_b", kB, kA, kEndA);
  constexpr unsigned kPackets = 5'000;
  auto all = datagrams(*a, kPackets);
  std::mt19937_64 random(7);
  const std::size_t originals = all.size();
  for (std::size_t i = 0; i < originals / 5; ++i) all.push_back(all[random() % originals]);
  for (std::size_t at = 0; at < all.size(); at += 1'000)
    std::shuffle(all.begin() + static_cast<std::ptrdiff_t>(at),
                 all.begin() + static_cast<std::ptrdiff_t>(std::min(at + 1'000, all.size())),
                 random);
  EXPECT_EQ(feed(*b, all, kEndA), kPackets);
  EXPECT_EQ(b->dropped(Drop::kReplay), kPackets / 5);
}

TEST_P(ReplayStageTest, WhatIsNotAuthenticIsNotEntered) {  // P8
  auto a = make("replay_a", kA, kB, kEndB);
  auto b = make("replay_b", kB, kA, kEndA);
  const auto all = datagrams(*a, 100);
  auto forged = all;
  for (ByteVector& d : forged) d[50] ^= 1;
  EXPECT_EQ(feed(*b, forged, kEndA), 0u);
  EXPECT_EQ(b->dropped(Drop::kMac), 100u);
  EXPECT_EQ(feed(*b, all, kEndA), 100u) << "nobody can burn the ids of others";
}

/// With cipher 3: ids of cipher 1 are permuted, no window sees them, and the set alone remembers.
TEST_P(ReplayStageTest, OfOursTheWindowRefusesWhatTheSetForgot) {
  const bool window = GetParam() == wire::Suite::kAesGmacSiv;
  auto a = make("replay_a", kA, kB, kEndB);
  auto b = make("replay_b", kB, kA, kEndA);
  fib::Peer ours = b->peer();
  ours.window = std::make_shared<fib::ReplayWindow>();
  b->publisher.apply(ours);
  const auto all = datagrams(*a, 64);
  EXPECT_EQ(feed(*b, all, kEndA), 64u);
  EXPECT_EQ(ours.window->strict(), window);
  // Ten seconds later, to a worker whose set has forgotten everything.
  ours.window->advance(crypto::NonceLane(0).next(
                           static_cast<std::uint64_t>(std::time(nullptr) + 10) * 1'000'000'000),
                       b->fast->now());
  a.reset();
  b.reset();
  seen_ = seen_set(1);
  auto fresh = make("replay_d", kB, kA, kEndA);
  fresh->publisher.apply(ours);
  EXPECT_EQ(feed(*fresh, all, kEndA), window ? 0u : 64u);
  EXPECT_EQ(fresh->dropped(Drop::kReplay), window ? 64u : 0u);
}

}  // namespace
}  // namespace orrery::dataplane::test
