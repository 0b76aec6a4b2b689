// Nodes may compute in several threads; what happens does not depend on it.
#include <gtest/gtest.h>

#include "sim/large_world.h"
#include "sim/scenes.h"

namespace orrery::test {
namespace {

// Sanitizers take twenty times as long for each node.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kNodes = 60;
#else
constexpr std::size_t kNodes = 100;
#endif

const SceneCase kSmallWorld{"small_world", "roots die and come back, and half is cut off",
                            [](sim::Scene& s) {
                              LargeWorld world(s, WorldSize::of(kNodes));
                              (void)world.settle(90'000);
                              (void)world.lose_all_roots(10'000, 5'000);
                              (void)world.return_roots(5'000);
                              (void)world.cut_half(5'000, 5'000);
                            }};

void is_the_same_in_threads(const SceneCase& scene, std::uint64_t seed) {
  const SceneRun one = run_scene(scene, seed);
  const SceneRun two = run_scene(scene, seed, sim::Transcript::Detail::kHash, 2);
  EXPECT_EQ(two.breach, one.breach);
  EXPECT_EQ(two.hash, one.hash);
  EXPECT_EQ(two.events, one.events);
  EXPECT_EQ(two.time, one.time);
}

TEST(Turns, ALargeWorldIsTheSameInThreads) {
  is_the_same_in_threads(kSmallWorld, 1);
}

TEST(Turns, ScenesOfEveryKindAreTheSameInThreads) {
  for (const char* name : {"swarm", "lossy_lines"}) is_the_same_in_threads(*find_scene(name), 3);
}

TEST(Turns, ABreachIsTheSameInThreads) {
  const SceneCase scene{"impatient", "nothing", [](sim::Scene& s) {
                          LargeWorld world(s, WorldSize::of(kNodes));
                          (void)world.settle(30'000);
                        }};
  is_the_same_in_threads(scene, 2);
  EXPECT_NE(run_scene(scene, 2).breach, "");
}

}  // namespace
}  // namespace orrery::test
