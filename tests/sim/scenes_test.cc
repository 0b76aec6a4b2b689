// Every scene with a few seeds; the same seed gives the same transcript.
#include <gtest/gtest.h>

#include "sim/scenes.h"

namespace orrery::test {
namespace {

class Scenes : public testing::TestWithParam<SceneCase> {};

TEST_P(Scenes, Hold) {
  constexpr std::uint64_t kSeeds = 2;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SceneRun run = run_scene(GetParam(), seed);
    EXPECT_EQ(run.breach, "") << "see it with: tools/sim run " << GetParam().name << " --seed "
                              << seed << " --transcript -";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Scenes, testing::ValuesIn(all_scenes()),
                         [](const auto& scene) { return std::string(scene.param.name); });

TEST(Seeds, DecideTheTranscript) {
  const SceneCase* scene = find_scene("lossy_lines");
  ASSERT_NE(scene, nullptr);
  const SceneRun first = run_scene(*scene, 7, sim::Transcript::Detail::kText);
  const SceneRun again = run_scene(*scene, 7, sim::Transcript::Detail::kText);
  const SceneRun other = run_scene(*scene, 8);
  EXPECT_EQ(first.hash, again.hash);
  EXPECT_EQ(first.text, again.text);
  EXPECT_NE(first.hash, other.hash);
  EXPECT_NE(first.text.find("RENDEZVOUS"), std::string::npos);
  EXPECT_NE(first.text.find("lost"), std::string::npos);
  EXPECT_NE(first.diagram.find("sequenceDiagram"), std::string::npos);
}

}  // namespace
}  // namespace orrery::test
