// Many seeds in several processes: each once, in order, as one process runs them; and what becomes
// of one that dies.
#include "sim/seed_runs.h"

#include <gtest/gtest.h>

#include <csignal>

namespace orrery::test {
namespace {

using Outcome = std::tuple<std::uint64_t, std::string, std::uint64_t, std::uint64_t, sim::Micros>;

std::vector<Outcome> all_of(const SceneCase& scene, std::uint64_t first, std::uint64_t count,
                            unsigned jobs) {
  std::vector<Outcome> all;
  run_many(scene, first, count, jobs, [&](std::uint64_t seed, const SceneRun& run) {
    all.emplace_back(seed, run.breach, run.hash, run.events, run.time);
  });
  return all;
}

TEST(SeedRuns, AreTheSameHoweverManyProcessesThereAre) {
  const SceneCase scene{"throws_dice", "nothing", [](sim::Scene& s) {
                          s.note(sim::kNobody, std::to_string(s.random().next()));
                          s.run_for(static_cast<Millis>(s.random().below(1'000)));
                          if (s.random().below(10) == 0) throw sim::Breach("a one");
                        }};
  const std::vector<Outcome> one = all_of(scene, 5, 200, 1);
  ASSERT_EQ(one.size(), 200U);
  std::size_t broken = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    const auto& [seed, breach, hash, events, time] = one[i];
    EXPECT_EQ(seed, 5 + i);
    const SceneRun here = run_scene(scene, seed);
    EXPECT_EQ(one[i], Outcome(seed, here.breach, here.hash, here.events, here.time));
    broken += breach.empty() ? 0 : 1;
  }
  EXPECT_GT(broken, 0U);
  EXPECT_EQ(all_of(scene, 5, 200, 4), one);
}

TEST(SeedRuns, ADeadProcessIsOneBrokenSeed) {
  const SceneCase scene{"dies", "nothing", [](sim::Scene& s) {
                          if (s.random().below(4) == 0) std::raise(SIGKILL);
                        }};
  const std::vector<Outcome> all = all_of(scene, 1, 40, 3);
  ASSERT_EQ(all.size(), 40U);
  std::size_t dead = 0;
  for (const Outcome& run : all) {
    if (std::get<1>(run).empty()) continue;
    ++dead;
    EXPECT_EQ(std::get<1>(run), "the process ends with Killed");
  }
  EXPECT_GT(dead, 0U);
  EXPECT_LT(dead, 40U);
}

}  // namespace
}  // namespace orrery::test
