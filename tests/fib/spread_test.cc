// The shares of paths: each flow keeps to one, all have some, and only what must move moves.
#include "fib/spread.h"

#include <gtest/gtest.h>

namespace orrery::fib {
namespace {

SharedPath path(std::uint32_t number) {
  return {{number, wire::Endpoint::v4(0x0a000000 + number, 9993)},
          static_cast<std::uint16_t>(1'400 + number)};
}

Spread of(std::initializer_list<std::uint32_t> numbers) {
  std::vector<SharedPath> paths;
  for (const std::uint32_t n : numbers) paths.push_back(path(n));
  return Spread(std::move(paths));
}

TEST(Spread, EveryPathHasAShare) {
  for (const Spread& s : {of({1}), of({1, 2}), of({1, 2, 3, 4}), of({1, 2, 3, 4, 5, 6, 7, 8})}) {
    std::size_t sum = 0;
    for (const SharedPath& p : s.paths()) {
      EXPECT_GE(s.buckets_of(p.key), Spread::kBuckets / s.paths().size() / 4);
      sum += s.buckets_of(p.key);
    }
    EXPECT_EQ(sum, Spread::kBuckets);
  }
  EXPECT_EQ(of({1, 2}).buckets_of(path(3).key), 0u);
}

TEST(Spread, AFlowKeepsToItsPathWhateverTheOrder) {
  const Spread s = of({1, 2, 3}), other = of({3, 1, 2});
  for (std::uint32_t flow = 0; flow < 10'000; flow += 7) EXPECT_EQ(s.of(flow), other.of(flow));
}

TEST(Spread, OnlyFlowsOfAPathThatGoesMove) {
  const Spread before = of({1, 2, 3}), after = of({1, 3});
  for (std::uint32_t flow = 0; flow < Spread::kBuckets; ++flow) {
    if (before.of(flow) != path(2)) {
      EXPECT_EQ(after.of(flow), before.of(flow)) << flow;
    }
  }
}

TEST(Spread, OnlyAShareMovesToAPathThatComes) {
  const Spread before = of({1, 2}), after = of({1, 2, 3});
  for (std::uint32_t flow = 0; flow < Spread::kBuckets; ++flow) {
    if (after.of(flow) != path(3)) {
      EXPECT_EQ(after.of(flow), before.of(flow)) << flow;
    }
  }
}

}  // namespace
}  // namespace orrery::fib
