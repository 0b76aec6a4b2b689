// Scenes of many nodes: what must hold at any size. tools/sim world runs such worlds by hand.
#include <algorithm>

#include "sim/large_world.h"
#include "sim/scenes.h"

namespace orrery::test {
namespace {

// What sanitizers look for does not need so many, and takes twenty times as long for each.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kFewer = 5;
#else
constexpr std::size_t kFewer = 1;
#endif

ORRERY_SCENE(thousand_nodes_heal,
             "half of 1,000 nodes is cut off for five minutes: all pairs are connected within a "
             "minute after it, and within each half all the time") {
  WorldSize size = WorldSize::of(1'000 / kFewer);
  size.neighbours = 2;
  LargeWorld world(s, size);
  (void)world.settle(90'000);
  const LargeWorld::Recovery recovery = world.cut_half(300'000, 60'000);
  if (!recovery.complete()) {
    throw sim::Breach(std::to_string(recovery.pairs - recovery.took.count) + " of " +
                      std::to_string(recovery.pairs) + " pairs are not connected after a minute");
  }
}

ORRERY_SCENE(rootless_world,
             "four roots of 300 nodes die: pairs with paths of their own stay connected, and all "
             "are when the roots are back") {
  LargeWorld world(s, WorldSize::of(300 / kFewer));
  (void)world.settle(90'000);
  LargeWorld::Memory freed;
  if (!world.lose_root(30'000, freed).complete()) throw sim::Breach("one root was needed");
  const LargeWorld::Recovery alone = world.lose_all_roots(120'000, 15'000);
  if (!alone.complete()) throw sim::Breach("a pair with a path of its own lost it with the roots");
  if (!world.return_roots(60'000).complete())
    throw sim::Breach("not all are connected a minute after the roots came back");
}

ORRERY_SCENE(all_at_once,
             "600 nodes start in the same millisecond, more than a root proves at a time: it has "
             "proven all of them five seconds later") {
  const sim::HostId root = s.add_root("root", s.on_internet(), {.limits = {}});
  s.start();
  s.run_for(1'000);
  std::vector<sim::HostId> nodes;
  for (int i = 0; i < 600; ++i) {
    nodes.push_back(s.add("node " + std::to_string(i), s.on_internet()));
    s.power_on(nodes.back());
  }
  s.must(5'000, "the root names everybody", [&] {
    return std::all_of(nodes.begin(), nodes.end(), [&](sim::HostId id) {
      return s.host(root).node->identity_of(s.host(id).address()) != nullptr;
    });
  });
}

}  // namespace
}  // namespace orrery::test
