// One scene with many seeds, in several processes at once; what comes of them in the order of the
// seeds.
//
// A seed is the same run in whichever process it is. Processes and not threads: a scene that aborts
// takes nothing with it but itself, and is reported as broken like any other.
#pragma once

#include "sim/scenes.h"

namespace orrery::test {

/// Processors that this process may use.
[[nodiscard]] unsigned usable_processors();

/// Runs `count` seeds from `first` on, `jobs` at a time, and calls `each` with every seed,
/// ascending. Throws std::runtime_error where processes cannot be started. REQUIRES: jobs > 0; the
/// caller has no other thread and holds no scene.
void run_many(const SceneCase& scene, std::uint64_t first, std::uint64_t count, unsigned jobs,
              const std::function<void(std::uint64_t seed, const SceneRun& run)>& each);

}  // namespace orrery::test
