// What a large world costs and how it behaves, in numbers: tools/sim world prints them, tools/bench
// sim makes docs/scale.md of them.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "sim/large_world.h"

namespace orrery::test {

/// Everything that a world of so many nodes is put through, with rows as tools/bench writes them.
/// `say` gets a line now and then. Throws sim::Breach. Nodes compute in `threads`.
[[nodiscard]] nlohmann::json world_report(std::size_t nodes, std::uint64_t seed, unsigned threads,
                                          const std::function<void(const std::string&)>& say);

}  // namespace orrery::test
