// neighbour_table: who is believed, for how long; contested addresses; a flood; writers and readers
// at once.
#include "dataplane/neighbour_table.h"

#include <gtest/gtest.h>

#include <thread>

namespace orrery::dataplane::test {
namespace {

using Claimed = NeighbourTable::Claimed;

const wire::Mac kOne{0x525400000001ULL}, kTwo{0x525400000002ULL};
const auto kIp = fib::NeighbourAddress::v4(0x0a000001);

class NeighbourTableTest : public ::testing::Test {
 protected:
  Claimed claim(fib::NeighbourAddress ip, wire::Mac mac, fib::Claim claim = fib::Claim::kSound,
                bool router = false) {
    return table_.claim({.claim = claim, .router = router, .sender = ip, .mac = mac, .target = {}},
                        vlan_, now_);
  }

  std::optional<fib::Neighbour> find(fib::NeighbourAddress ip = kIp) {
    return table_.find(ip, vlan_, now_);
  }

  NeighbourTable table_{{1, 2}};
  std::uint16_t vlan_ = 0;
  Millis now_ = 1'000'000;
};

TEST_F(NeighbourTableTest, WhoClaimsAnAddressHasIt) {
  EXPECT_FALSE(find());
  EXPECT_EQ(claim(kIp, kOne), Claimed::kNew);
  EXPECT_EQ(find(), (fib::Neighbour{kOne, false}));
  EXPECT_EQ(claim(kIp, kOne), Claimed::kKnown);
  EXPECT_FALSE(find(fib::NeighbourAddress::v4(0x0a000002)));
  EXPECT_FALSE(find({0, 0x0a000001})) << "the same number of IPv6";
}

TEST_F(NeighbourTableTest, EachVlanHasAddressesOfItsOwn) {
  claim(kIp, kOne);
  vlan_ = 4'095;
  EXPECT_FALSE(find());
  EXPECT_EQ(claim(kIp, kTwo), Claimed::kNew);
  EXPECT_EQ(find()->mac, kTwo);
  EXPECT_EQ(claim(kIp, kOne), Claimed::kContested);
  EXPECT_FALSE(find());
  EXPECT_EQ(claim(kIp, kTwo), Claimed::kKnown) << "contested";
  vlan_ = 0;
  EXPECT_EQ(find()->mac, kOne);
}

TEST_F(NeighbourTableTest, AWeakClaimTeachesNobody) {
  EXPECT_EQ(claim(kIp, kOne, fib::Claim::kWeak), Claimed::kKnown);
  EXPECT_FALSE(find());
}

TEST_F(NeighbourTableTest, ARouterIsOneUntilItSaysOtherwise) {
  EXPECT_EQ(claim(kIp, kOne, fib::Claim::kSound, true), Claimed::kNew);
  EXPECT_TRUE(find()->router);
  claim(kIp, kOne, fib::Claim::kWeak);
  EXPECT_TRUE(find()->router) << "a weak claim does not know";
  claim(kIp, kOne);
  EXPECT_FALSE(find()->router);
}

TEST_F(NeighbourTableTest, Ages) {
  claim(kIp, kOne);
  now_ += NeighbourTable::kAge;
  EXPECT_TRUE(find());
  ++now_;
  EXPECT_FALSE(find());
  EXPECT_EQ(claim(kIp, kTwo), Claimed::kNew) << "no conflict with who is gone";
  for (const fib::Claim again : {fib::Claim::kSound, fib::Claim::kWeak}) {
    now_ += NeighbourTable::kAge;
    EXPECT_EQ(claim(kIp, kTwo, again), Claimed::kKnown);
    EXPECT_TRUE(find());
  }
}

TEST_F(NeighbourTableTest, TwoWhoClaimAnAddressLoseIt) {
  for (const fib::Claim contrary : {fib::Claim::kSound, fib::Claim::kWeak}) {
    claim(kIp, kOne);
    EXPECT_EQ(claim(kIp, kTwo, contrary), Claimed::kContested);
    EXPECT_FALSE(find());
    now_ += NeighbourTable::kAge;
    EXPECT_EQ(claim(kIp, kOne), Claimed::kKnown) << "repeating it does not help";
    EXPECT_EQ(claim(kIp, kTwo), Claimed::kKnown);
    EXPECT_FALSE(find());
    ++now_;
    EXPECT_EQ(claim(kIp, kTwo), Claimed::kNew);
    EXPECT_TRUE(find());
    now_ += NeighbourTable::kAge + 1;
  }
}

TEST_F(NeighbourTableTest, AFloodTakesFreePlacesOnly) {
  claim(kIp, kOne);
  std::size_t taken = 1;
  bool full = false;
  for (std::uint32_t i = 0; i < 40'000; ++i) {
    const Claimed c = claim(fib::NeighbourAddress::v4(0x0b000000 + i), kTwo);
    taken += c == Claimed::kNew ? 1 : 0;
    full |= c == Claimed::kFull;
  }
  EXPECT_TRUE(full);
  EXPECT_LE(taken, NeighbourTable::kBuckets * NeighbourTable::kWays);
  EXPECT_GT(taken, NeighbourTable::kBuckets * NeighbourTable::kWays * 9 / 10);
  EXPECT_EQ(find(), (fib::Neighbour{kOne, false}));
  now_ += NeighbourTable::kAge + 1;
  EXPECT_EQ(claim(kIp, kOne), Claimed::kNew) << "what has aged gives its place";
}

TEST_F(NeighbourTableTest, WritersAndReadersAtOnce) {
  // Every address has one owner of the same number: whoever finds another has read half a write.
  constexpr std::uint32_t kAddresses = 20'000;
  const auto owner = [](std::uint32_t i) { return wire::Mac{0x525400000000ULL + i}; };
  std::atomic<bool> stop{false};
  std::atomic<unsigned> wrong{0}, right{0};
  const auto work = [&](bool writes, std::uint32_t seed) {
    Millis now = 1'000'000;
    while (!stop.load()) {
      seed = seed * 1664525 + 1013904223;
      const std::uint32_t i = (seed >> 8) % kAddresses;
      const auto ip = fib::NeighbourAddress::v4(0x0b000000 + i);
      now += 10;
      if (writes) {
        (void)table_.claim({.claim = fib::Claim::kSound,
                            .router = false,
                            .sender = ip,
                            .mac = owner(i),
                            .target = {}},
                           0, now);
      } else if (const auto found = table_.find(ip, 0, now)) {
        ++(found->mac == owner(i) ? right : wrong);
      }
    }
  };
  std::thread threads[] = {std::thread(work, true, 1), std::thread(work, true, 2),
                           std::thread(work, false, 3), std::thread(work, false, 4)};
  for (int i = 0; i < 5'000 && right.load() < 200'000; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop = true;
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(right.load(), 0u);
}

}  // namespace
}  // namespace orrery::dataplane::test
