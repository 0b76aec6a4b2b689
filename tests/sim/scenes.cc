#include "sim/scenes.h"

#include <algorithm>

#include "sim/thread_crew.h"

namespace orrery::test {

namespace {

std::vector<SceneCase>& registry() {
  static std::vector<SceneCase> all;
  return all;
}

}  // namespace

SceneEntry::SceneEntry(const char* name, const char* holds, void (*run)(sim::Scene&)) {
  std::vector<SceneCase>& all = registry();
  const SceneCase entry{name, holds, run};
  all.insert(std::upper_bound(all.begin(), all.end(), entry,
                              [](const SceneCase& a, const SceneCase& b) {
                                return std::string_view(a.name) < b.name;
                              }),
             entry);
}

const std::vector<SceneCase>& all_scenes() {
  return registry();
}

const SceneCase* find_scene(std::string_view name) {
  const auto found = std::find_if(registry().begin(), registry().end(),
                                  [&](const SceneCase& scene) { return name == scene.name; });
  return found == registry().end() ? nullptr : &*found;
}

SceneRun run_scene(const SceneCase& scene, std::uint64_t seed, sim::Transcript::Detail detail,
                   unsigned threads) {
  SceneRun run;
  ThreadCrew crew(threads);
  sim::Scene s(seed, {.crew = &crew});
  s.transcript().set_detail(detail);
  try {
    scene.run(s);
  } catch (const sim::Breach& breach) {
    run.breach = breach.what();
    s.note(sim::kNobody, run.breach);
  }
  run.hash = s.transcript().hash();
  run.events = s.events();
  run.time = s.now();
  if (detail == sim::Transcript::Detail::kText) {
    run.text = s.transcript().text();
    run.diagram = s.transcript().diagram();
  }
  return run;
}

Village::Village(sim::Scene& scene)
    : s(scene), root(s.add_root("root", s.on_internet(), {.controller = true})) {
  s.power_on(root);
  net = s.add_network(root);
}

sim::HostId Village::member(const std::string& name, const sim::Place& place,
                            const sim::HostOptions& options) {
  const sim::HostId id = s.add(name, place, options);
  s.power_on(id);
  s.join(id, net);
  members.push_back(id);
  return id;
}

void Village::settle(Millis bound) {
  s.must(
      bound, "every member has its configuration",
      [&] {
        return std::all_of(members.begin(), members.end(),
                           [&](sim::HostId id) { return s.configured(id, net); });
      },
      50);
}

void Village::meet(sim::HostId a, sim::HostId b, Millis bound) {
  s.talk(a, b, net, 250);
  s.must(bound, "direct", [&] { return s.direct(a, b); });
}

}  // namespace orrery::test
