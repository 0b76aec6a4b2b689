// Packet ids: never twice under one key, whatever the clock does, and a permutation that is one.
#include "crypto/nonce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <unordered_set>
#include <vector>

#include "crypto/id_permutation.h"

namespace orrery::crypto {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kNow = 1'700'000'000 * kSecond;

TEST(NonceLane, IdsOfOneLaneStrictlyIncreaseWhateverTheClockDoes) {
  NonceLane lane(3);
  std::mt19937_64 random(1);
  std::uint64_t last = 0;
  std::uint64_t clock = kNow;
  for (int i = 0; i < 200'000; ++i) {
    switch (random() % 4) {
      case 0:
        clock += random() % 1'000;
        break;
      case 1:
        clock -= random() % 2'000;  // set back
        break;
      case 2:
        if (random() % 1'000 == 0) clock -= 3'600 * kSecond;
        break;
      default:
        break;  // it stands still
    }
    const std::uint64_t id = lane.next(clock);
    ASSERT_EQ(id >> 60, 3U);
    ASSERT_GT(id, last);
    ASSERT_GE((id & NonceLane::kTimeMask) - (last & NonceLane::kTimeMask), 8U);
    ASSERT_LT(id & NonceLane::kTimeMask, lane.high_water());
    last = id;
  }
}

TEST(NonceLane, IdsDifferWithoutTheirLowBits) {
  NonceLane lane(0);
  std::unordered_set<std::uint64_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t id = lane.next(kNow + static_cast<std::uint64_t>(i % 7));
    ASSERT_EQ(id & 7, 0U);
    ASSERT_TRUE(seen.insert(id >> 3).second);
  }
}

TEST(NonceLane, NothingFallsBelowTheFloor) {
  const std::uint64_t floor = (kNow >> 3) + 12'345;
  for (const std::uint64_t clock : {std::uint64_t{0}, kNow - 86'400 * kSecond, kNow}) {
    NonceLane lane(15, floor);
    EXPECT_EQ(lane.high_water(), floor);
    EXPECT_GE(lane.next(clock) & NonceLane::kTimeMask, floor);
  }
  // a clock beyond the floor decides
  NonceLane lane(15, floor);
  EXPECT_GE(lane.next(kNow + kSecond) & NonceLane::kTimeMask, (kNow + kSecond) >> 3);
}

TEST(NonceLane, ARestartAtTheHighWaterMarkRepeatsNothing) {
  std::set<std::uint64_t> seen;
  std::uint64_t floor = 0;
  for (int restart = 0; restart < 20; ++restart) {
    NonceLane lane(1, floor);
    const std::uint64_t clock = kNow - static_cast<std::uint64_t>(restart) * kSecond;
    for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(seen.insert(lane.next(clock)).second);
    floor = lane.high_water();
  }
}

TEST(NonceLane, LanesNeverMeet) {
  std::unordered_set<std::uint64_t> seen;
  for (unsigned number = 0; number < 16; ++number) {
    NonceLane lane(number);
    for (int i = 0; i < 2'000; ++i) {
      const std::uint64_t id = lane.next(kNow);
      ASSERT_EQ(id >> 60, number);
      ASSERT_TRUE(seen.insert(id).second);
    }
  }
}

TEST(NonceLane, HoldsUntilTheYear2262) {
  constexpr std::uint64_t kYear2262 = 9'214'000'000ULL * kSecond;
  NonceLane lane(15);
  const std::uint64_t id = lane.next(kYear2262);
  EXPECT_EQ(id >> 60, 15U);
  EXPECT_GE(id & NonceLane::kTimeMask, kYear2262 >> 3);
}

TEST(IdPermutation, UniqueInUniqueOut) {
  const IdPermutation permutation({1, 2});
  std::unordered_set<std::uint64_t> out;
  NonceLane lane(2);
  std::mt19937_64 random(3);
  std::set<std::uint64_t> in;
  for (int i = 0; i < 300'000; ++i) in.insert(lane.next(kNow));
  for (int i = 0; i < 300'000; ++i) in.insert(random());
  for (std::uint64_t i = 0; i < 1'000; ++i) in.insert({i, ~i, i << 32});
  for (const std::uint64_t value : in) ASSERT_TRUE(out.insert(permutation(value)).second);
  // the same every time
  EXPECT_EQ(permutation(*in.begin()), IdPermutation({1, 2})(*in.begin()));
}

TEST(IdPermutation, KeysGiveDifferentPermutations) {
  const IdPermutation first({1, 2});
  const IdPermutation second({1, 3});
  const IdPermutation third({2, 2});
  int same = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    same += first(i) == second(i) || first(i) == third(i) || second(i) == third(i) ? 1 : 0;
  }
  EXPECT_EQ(same, 0);
}

TEST(IdPermutation, NeighboursShareNothing) {
  const IdPermutation permutation({5, 6});
  std::uint64_t changed = 0;
  constexpr std::uint64_t kCount = 10'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const std::uint64_t at = (kNow >> 3) + i * 8;
    changed +=
        static_cast<std::uint64_t>(__builtin_popcountll(permutation(at) ^ permutation(at + 8)));
  }
  EXPECT_NEAR(static_cast<double>(changed) / kCount, 32.0, 0.5);
}

}  // namespace
}  // namespace orrery::crypto
