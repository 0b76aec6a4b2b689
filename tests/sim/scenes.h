// Scenes by name: what the test runs with a few seeds, and tools/sim with any.
//
//   ORRERY_SCENE(two_cones_meet, "two nodes behind port-restricted NATs talk directly in 5 s") {
//     ...
//   }
//
// A scene gets a world with nobody in it. It fails by throwing sim::Breach.
#pragma once

#include <vector>

#include "sim/scene.h"

namespace orrery::test {

struct SceneCase {
  const char* name;
  const char* holds;  // what is so at its end, in a sentence
  void (*run)(sim::Scene&);
};

/// By name, ascending.
[[nodiscard]] const std::vector<SceneCase>& all_scenes();
/// Null when there is none.
[[nodiscard]] const SceneCase* find_scene(std::string_view name);

/// What a run of a scene came to.
struct SceneRun {
  std::string breach;  // empty: it held
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  sim::Micros time = 0;
  std::string text, diagram;  // with detail kText
};

[[nodiscard]] SceneRun run_scene(const SceneCase& scene, std::uint64_t seed,
                                 sim::Transcript::Detail detail = sim::Transcript::Detail::kHash,
                                 unsigned threads = 1);

struct SceneEntry {
  SceneEntry(const char* name, const char* holds, void (*run)(sim::Scene&));
};

/// A root that is the controller of one network, which is where most scenes begin. All is on.
struct Village {
  explicit Village(sim::Scene& scene);

  /// A node that has joined the network.
  sim::HostId member(const std::string& name, const sim::Place& place,
                     const sim::HostOptions& options = {});
  /// Until all members have their configuration.
  void settle(Millis bound = 10'000);
  /// The two send each other a frame every 250 ms from now on, and do so directly within the bound.
  void meet(sim::HostId a, sim::HostId b, Millis bound);

  sim::Scene& s;
  sim::HostId root;
  wire::NetworkId net;
  std::vector<sim::HostId> members;
};

}  // namespace orrery::test

// NOLINTNEXTLINE
#define ORRERY_SCENE(name, holds)                                            \
  static void name(::orrery::sim::Scene& s);                                 \
  static const ::orrery::test::SceneEntry kEntry_##name(#name, holds, name); \
  static void name([[maybe_unused]] ::orrery::sim::Scene& s)
