// lan_table: learning, moving, ageing, bounds; a flood takes nobody's place; several threads at
// once.
#include "dataplane/lan_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace orrery::dataplane {
namespace {

using Learned = LanTable::Learned;

constexpr Millis kStart = 1'000'000;

wire::Mac station(std::uint64_t i) {
  return wire::Mac{0x525400000000 + i};
}

wire::Mac stranger(std::uint64_t i) {
  return wire::Mac{0x0a0000000000 + (i * 2654435761u & 0xffffffffff)};
}

TEST(LanTable, LearnsAndForgets) {
  LanTable table({1, 2}, {});
  EXPECT_EQ(table.find(station(1), kStart), LanTable::kUnknown);
  EXPECT_EQ(table.learn(station(1), 3, kStart), Learned::kNew);
  EXPECT_EQ(table.learn(station(1), 3, kStart), Learned::kKnown);
  EXPECT_EQ(table.find(station(1), kStart), 3u);
  EXPECT_EQ(table.stations(3), 1u);
  table.forget(station(1), 4);
  EXPECT_EQ(table.find(station(1), kStart), 3u) << "it is not on that side";
  table.forget(station(1), 3);
  EXPECT_EQ(table.find(station(1), kStart), LanTable::kUnknown);
  EXPECT_EQ(table.stations(3), 0u);
}

TEST(LanTable, AtTimeZero) {
  LanTable table({1, 2}, {});
  EXPECT_EQ(table.learn(station(1), 3, 0), Learned::kNew);
  EXPECT_EQ(table.find(station(1), 0), 3u);
}

TEST(LanTable, MovesOnceASecond) {
  LanTable table({1, 2}, {});
  (void)table.learn(station(1), 1, kStart);
  EXPECT_EQ(table.learn(station(1), 2, kStart + 500), Learned::kHeld);
  EXPECT_EQ(table.find(station(1), kStart + 500), 1u);
  EXPECT_EQ(table.learn(station(1), 2, kStart + 1'100), Learned::kMoved);
  EXPECT_EQ(table.find(station(1), kStart + 1'100), 2u);
  EXPECT_EQ(table.stations(1), 0u);
  EXPECT_EQ(table.stations(2), 1u);
  // At a thousand flaps a second it is somewhere at any time, and moves no more than once a second.
  unsigned moves = 0;
  for (Millis t = 0; t < 10'000; ++t)
    moves += table.learn(station(1), t % 2 == 0 ? 1 : 2, kStart + 2'200 + t) == Learned::kMoved;
  EXPECT_GE(moves, 8u);
  EXPECT_LE(moves, 11u);
}

TEST(LanTable, Ages) {
  LanTable table({1, 2}, {});
  (void)table.learn(station(1), 1, kStart);
  (void)table.learn(station(2), 1, kStart);
  (void)table.learn(station(2), 1, kStart + LanTable::kAge / 2);
  const Millis late = kStart + LanTable::kAge + 200;
  EXPECT_EQ(table.find(station(1), late), LanTable::kUnknown);
  EXPECT_EQ(table.find(station(2), late), 1u);
  for (int i = 0; i < 16; ++i) table.expire(late);
  EXPECT_EQ(table.stations(1), 1u);
  EXPECT_EQ(table.learn(station(1), 2, late), Learned::kNew);
}

TEST(LanTable, FixedStationsAreLocked) {
  LanTable table({1, 2}, {});
  ASSERT_TRUE(table.fix(station(1), 1));
  EXPECT_EQ(table.learn(station(1), 1, kStart), Learned::kKnown);
  EXPECT_EQ(table.learn(station(1), 2, kStart + 5'000), Learned::kFixed);
  EXPECT_EQ(table.learn(station(1), LanTable::kOverlay, kStart + 5'000, true), Learned::kFixed);
  table.forget(station(1), 1);
  table.forget_all(1);
  for (int i = 0; i < 16; ++i) table.expire(kStart + 10 * LanTable::kAge);
  EXPECT_EQ(table.find(station(1), kStart + 10 * LanTable::kAge), 1u);
  EXPECT_EQ(table.stations(1), 0u) << "they count for no limit";
}

TEST(LanTable, TheOverlayIsIntroducedByControlAlone) {
  LanTable table({1, 2}, {});
  EXPECT_EQ(table.learn(station(1), LanTable::kOverlay, kStart, true), Learned::kKnown);
  EXPECT_EQ(table.find(station(1), kStart), LanTable::kUnknown);
  table.introduce(station(1), LanTable::kOverlay, kStart);
  EXPECT_EQ(table.find(station(1), kStart), LanTable::kOverlay);
  (void)table.learn(station(2), 1, kStart);
  table.introduce(station(2), LanTable::kOverlay, kStart + 5'000);
  EXPECT_EQ(table.find(station(2), kStart + 5'000), 1u) << "frames move it, not hearsay";
  EXPECT_EQ(table.learn(station(2), LanTable::kOverlay, kStart + 5'000, true), Learned::kMoved);
}

TEST(LanTable, ForgetsASide) {
  LanTable table({1, 2}, {});
  for (std::uint64_t i = 0; i < 1'000; ++i)
    (void)table.learn(station(i), 1 + static_cast<unsigned>(i % 2), kStart);
  table.forget_all(1);
  EXPECT_EQ(table.stations(1), 0u);
  EXPECT_EQ(table.stations(2), 500u);
  EXPECT_EQ(table.find(station(0), kStart), LanTable::kUnknown);
  EXPECT_EQ(table.find(station(1), kStart), 2u);
}

/// 100,000 MACs from one host: of another port, and of the very port that the host is on.
void flood_leaves_stations_alone(unsigned flooded) {
  LanTable table({3, 4}, {});
  constexpr std::uint64_t kStations = 2'000;
  constexpr std::uint64_t kFixed = 100;
  for (std::uint64_t i = 0; i < kFixed; ++i)
    ASSERT_TRUE(table.fix(station(1'000'000 + i), 1 + static_cast<unsigned>(i % 2)));
  Millis now = kStart;
  const auto busy = [&] {
    for (std::uint64_t i = 0; i < kStations; ++i) (void)table.learn(station(i), 1, now);
  };
  busy();
  now += 2'000;
  busy();
  // Twenty minutes; the flood comes anew, with other addresses, as soon as old ones may have gone.
  for (std::uint64_t round = 0; round < 40; ++round, now += 30'000) {
    for (std::uint64_t i = 0; i < 100'000; ++i)
      (void)table.learn(stranger(round * 100'000 + i), flooded, now);
    table.expire(now);
    busy();
    for (std::uint64_t i = 0; i < kStations; ++i)
      ASSERT_EQ(table.find(station(i), now), 1u) << "round " << round << ", station " << i;
    for (std::uint64_t i = 0; i < kFixed; ++i)
      ASSERT_EQ(table.find(station(1'000'000 + i), now), 1 + i % 2);
    ASSERT_LE(table.stations(flooded), LanTable::Limits{}.per_port);
  }
}

TEST(LanTable, AFloodOnAnotherPortLeavesStationsAlone) {
  flood_leaves_stations_alone(2);
}

TEST(LanTable, AFloodOnTheirOwnPortLeavesStationsAlone) {
  flood_leaves_stations_alone(1);
}

TEST(LanTable, WhatAFloodLeftGivesWayToNewcomers) {
  LanTable table({3, 4}, {});
  for (std::uint64_t i = 0; i < 100'000; ++i) (void)table.learn(stranger(i), 1, kStart);
  EXPECT_EQ(table.learn(station(1), 1, kStart + 1), Learned::kFull);
  EXPECT_EQ(table.learn(station(2), 2, kStart + 1), Learned::kNew) << "other ports have their own";
  table.expire(kStart + 11'000);
  EXPECT_EQ(table.learn(station(1), 1, kStart + 11'000), Learned::kNew);
}

TEST(LanTable, HoldsAHundredThousandWhereAllowed) {
  LanTable table({5, 6}, {.per_port = 131'072, .total = 131'072});
  for (std::uint64_t i = 0; i < 100'000; ++i)
    ASSERT_EQ(table.learn(stranger(i), 1, kStart), Learned::kNew) << i;
  for (std::uint64_t i = 0; i < 100'000; ++i) ASSERT_EQ(table.find(stranger(i), kStart), 1u) << i;
}

TEST(LanTable, TheNetworkHasALimitToo) {
  LanTable table({5, 6}, {.per_port = 4'096, .total = 10'000});
  for (std::uint64_t i = 0; i < 20'000; ++i)
    (void)table.learn(stranger(i), static_cast<unsigned>(i % 8), kStart);
  std::size_t all = 0;
  for (unsigned side = 0; side < 8; ++side) all += table.stations(side);
  EXPECT_LE(all, 10'000u);
  EXPECT_GE(all, 9'990u);
}

TEST(LanTable, ThreadsMayUseItTogether) {
  LanTable table({7, 8}, {});
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (Millis round = 0; round < 30; ++round) {
        const Millis now = kStart + round * 2'000;
        for (std::uint64_t i = 0; i < 2'000; ++i) {
          (void)table.learn(station(i), 1 + t, now);  // all of them claim the same stations
          const unsigned at = table.find(station(i), now);
          if (at != LanTable::kUnknown && (at < 1 || at > 3)) wrong = true;
        }
        if (t == 0) table.expire(now);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  const std::size_t all = table.stations(1) + table.stations(2) + table.stations(3);
  EXPECT_GE(all, 2'000u);
  EXPECT_LE(all, 3u * 2'000u) << "no more than one place for each that learned it";
  // Who was learned twice at the same moment has a second place that nobody refreshes.
  const Millis end = kStart + 30 * 2'000;
  for (Millis now = end; now <= end + 2 * LanTable::kAge; now += 20'000) {
    for (std::uint64_t i = 0; i < 2'000; ++i) (void)table.learn(station(i), 1, now);
    for (unsigned part = 0; part < 16; ++part) table.expire(now);
  }
  EXPECT_EQ(table.stations(1) + table.stations(2) + table.stations(3), 2'000u);
}

}  // namespace
}  // namespace orrery::dataplane
