// The table of simulations against the one of the standard library.
#include "sim/flat_map.h"

#include <gtest/gtest.h>

#include <map>

#include "sim/random.h"

namespace orrery::test {
namespace {

using sim::FlatMap;
using wire::Endpoint;

TEST(FlatMap, IsWhatAMapIs) {
  sim::Random random(1);
  FlatMap<std::uint64_t> flat;
  std::map<std::uint64_t, std::uint64_t> map;
  for (unsigned i = 0; i < 200'000; ++i) {
    // Few enough for keys to come again, and many of them behind each other.
    const std::uint64_t key = 1 + random.below(500) % (1 + i / 1'000) + 64 * random.below(4);
    switch (random.below(3)) {
      case 0:
        flat[key] = map[key] = i;
        break;
      case 1:
        flat.erase(key);
        map.erase(key);
        break;
      default: {
        const auto known = map.find(key);
        const std::uint64_t* const found = flat.find(key);
        ASSERT_EQ(found != nullptr, known != map.end()) << i;
        ASSERT_TRUE(found == nullptr || *found == known->second) << i;
      }
    }
    ASSERT_EQ(flat.size(), map.size());
  }
  const auto odd = [](std::uint64_t key, std::uint64_t) { return key % 2 == 1; };
  flat.erase_if(odd);
  std::erase_if(map, [](const auto& entry) { return entry.first % 2 == 1; });
  std::map<std::uint64_t, std::uint64_t> left;
  flat.for_each([&](std::uint64_t key, std::uint64_t value) { left[key] = value; });
  EXPECT_EQ(left, map);
  flat.clear();
  EXPECT_EQ(flat.size(), 0U);
  EXPECT_EQ(flat.find(2), nullptr);
}

TEST(FlatMap, EveryPartOfAnEndpointAndItsContextCounts) {
  const Endpoint endpoint = Endpoint::v4(0x0a000001, 9993);
  const std::uint64_t key = sim::key_of(1, endpoint);
  EXPECT_EQ(key, sim::key_of(1, endpoint));
  EXPECT_NE(key, sim::key_of(2, endpoint));
  EXPECT_NE(key, sim::key_of(1, endpoint.with_port(9994)));
  EXPECT_NE(key, sim::key_of(1, Endpoint::v4(0x0a000002, 9993)));
  Endpoint six = endpoint;
  six.family = 6;
  EXPECT_NE(key, sim::key_of(1, six));
  six.ip[15] = 1;
  EXPECT_NE(sim::key_of(1, six), sim::key_of(1, Endpoint::v6(endpoint.ip, 9993)));
}

}  // namespace
}  // namespace orrery::test
