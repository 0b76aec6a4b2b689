// lan_table: learning, moving, ageing, bounds.
#include "dataplane/lan_table.h"

#include <gtest/gtest.h>

namespace orrery::dataplane {
namespace {

TEST(LanTable, LearnsMovesAndForgets) {
  LanTable table({1, 2});
  const wire::Mac mac{0x020000000001};
  EXPECT_EQ(table.find(7, mac, 1), LanTable::kUnknown);
  table.learn(7, mac, 3, 1000);
  EXPECT_EQ(table.find(7, mac, 1001), 3);
  EXPECT_EQ(table.find(8, mac, 1001), LanTable::kUnknown) << "networks are apart";
  table.learn(7, mac, 4, 2000);
  EXPECT_EQ(table.find(7, mac, 2001), 4);
  EXPECT_EQ(table.find(7, mac, 2001 + LanTable::kAge), LanTable::kUnknown);
}

TEST(LanTable, ClearForgetsAll) {
  LanTable table({1, 2});
  table.learn(7, wire::Mac{0x525400aabbccULL}, 3, 1000);
  ASSERT_EQ(table.find(7, wire::Mac{0x525400aabbccULL}, 1001), 3);
  table.clear();
  EXPECT_EQ(table.find(7, wire::Mac{0x525400aabbccULL}, 1001), LanTable::kUnknown);
}

TEST(LanTable, AFloodOfSourcesDoesNotPushOutTheYoung) {
  LanTable table({3, 4});
  for (std::uint64_t i = 1; i <= 100; ++i) table.learn(7, wire::Mac{0x020000000000 + i}, 1, 1000);
  for (std::uint64_t i = 0; i < 300'000; ++i)
    table.learn(7, wire::Mac{0x060000000000 + i}, 2, 1001);
  for (std::uint64_t i = 1; i <= 100; ++i)
    EXPECT_EQ(table.find(7, wire::Mac{0x020000000000 + i}, 1002), 1) << i;
}

}  // namespace
}  // namespace orrery::dataplane
