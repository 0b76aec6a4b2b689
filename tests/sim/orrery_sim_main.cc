// Scenes by hand: list them, run one with a seed, many seeds, write what happened; tools/sim runs
// this.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "sim/nat_kinds.h"
#include "sim/scenes.h"
#include "sim/seed_runs.h"
#include "sim/world_report.h"

namespace orrery::test {
namespace {

constexpr int kBroken = 1;
constexpr int kUsage = 2;

bool write_file(const std::string& file, const std::string& text) {
  if (file == "-") {
    std::cout << text;
    return true;
  }
  std::ofstream out(file);
  out << text;
  out.flush();
  if (!out) std::cerr << "cannot write " << file << "\n";
  return static_cast<bool>(out);
}

int list() {
  for (const SceneCase& scene : all_scenes()) std::printf("%-32s %s\n", scene.name, scene.holds);
  return 0;
}

const SceneCase* scene_or_complain(const std::string& name) {
  const SceneCase* scene = find_scene(name);
  if (scene == nullptr) std::cerr << "there is no scene " << name << "; try: list\n";
  return scene;
}

void print(const SceneCase& scene, std::uint64_t seed, const SceneRun& run) {
  std::printf("%s seed %" PRIu64 ": %s, transcript %016" PRIx64 ", %" PRIu64
              " events, %.1f s of virtual time\n",
              scene.name, seed, run.breach.empty() ? "holds" : "BROKEN", run.hash, run.events,
              static_cast<double>(run.time) / 1e6);
  if (!run.breach.empty()) std::printf("  %s\n", run.breach.c_str());
}

int run_one(const std::string& name, std::uint64_t seed, const std::string& transcript,
            const std::string& diagram) {
  const SceneCase* scene = scene_or_complain(name);
  if (scene == nullptr) return kUsage;
  const bool text = !transcript.empty() || !diagram.empty();
  const SceneRun run = run_scene(
      *scene, seed, text ? sim::Transcript::Detail::kText : sim::Transcript::Detail::kHash);
  if (!transcript.empty() && !write_file(transcript, run.text)) return kBroken;
  if (!diagram.empty() && !write_file(diagram, run.diagram)) return kBroken;
  print(*scene, seed, run);
  return run.breach.empty() ? 0 : kBroken;
}

int run_seeds(const std::string& name, std::uint64_t first, std::uint64_t count, unsigned jobs) {
  const SceneCase* scene = scene_or_complain(name);
  if (scene == nullptr) return kUsage;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begun = Clock::now();
  Clock::time_point told = begun;
  std::uint64_t broken = 0;
  std::uint64_t events = 0;
  double virtual_time = 0;
  const auto seconds = [&](Clock::time_point t) {
    return std::chrono::duration<double>(t - begun).count();
  };
  run_many(*scene, first, count, jobs, [&](std::uint64_t seed, const SceneRun& run) {
    events += run.events;
    virtual_time += static_cast<double>(run.time) / 1e6;
    if (!run.breach.empty()) {
      ++broken;
      print(*scene, seed, run);
      std::printf("  again: tools/sim run %s --seed %" PRIu64 " --transcript -\n", scene->name,
                  seed);
      std::fflush(stdout);
    }
    if (const Clock::time_point at = Clock::now(); at - told > std::chrono::seconds(10)) {
      told = at;
      std::fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds, %.0f s\n", seed - first + 1, count,
                   seconds(at));
    }
  });
  const double took = seconds(Clock::now());
  std::printf("%s: %" PRIu64 " seeds from %" PRIu64 ", %" PRIu64 " broken, %" PRIu64
              " events, %.0f s of virtual time in %.1f s (%.0f times)\n",
              scene->name, count, first, broken, events, virtual_time, took, virtual_time / took);
  return broken == 0 ? 0 : kBroken;
}

int matrix(const std::string& file, std::uint64_t seed) {
  std::string document;
  if (file != "-") {
    std::ifstream in(file);
    document.assign(std::istreambuf_iterator<char>(in), {});
  }
  return write_file(file, nat_document(std::move(document), seed)) ? 0 : kBroken;
}

int world(std::size_t nodes, std::uint64_t seed, unsigned threads, const std::string& file) {
  try {
    const nlohmann::json rows = world_report(nodes, seed, threads, [](const std::string& line) {
      std::fprintf(stderr, "%s\n", line.c_str());
    });
    return write_file(file, rows.dump(1) + "\n") ? 0 : kBroken;
  } catch (const sim::Breach& breach) {
    std::cerr << "BROKEN: " << breach.what() << "\n";
    return kBroken;
  }
}

}  // namespace
}  // namespace orrery::test

int main(int argc, char** argv) {
  CLI::App app(
      "Runs scenes of the simulated world. Exit codes: 0 all held, 1 one was broken or a "
      "file could not be written, 2 usage.",
      "tools/sim");
  app.require_subcommand(1);
  std::string scene, transcript, diagram, file = "-";
  std::uint64_t seed = 1, first = 1, count = 100;
  app.add_subcommand("list", "Names of scenes, and what holds in each");
  CLI::App* run = app.add_subcommand("run", "Runs one scene with one seed");
  run->add_option("scene", scene, "Its name")->required();
  run->add_option("--seed", seed, "Default 1");
  run->add_option("--transcript", transcript, "Writes what happened, a line each; -: to stdout");
  run->add_option("--diagram", diagram, "Writes the beginning as a Mermaid sequence diagram");
  CLI::App* seeds = app.add_subcommand("seeds", "Runs one scene with many seeds");
  seeds->add_option("scene", scene, "Its name")->required();
  seeds->add_option("--from", first, "First seed; default 1");
  seeds->add_option("--count", count, "How many; default 100");
  unsigned jobs = orrery::test::usable_processors();
  seeds->add_option("--jobs", jobs, "Processes at once; default: as many as processors")
      ->check(CLI::Range(1, 1'024));
  CLI::App* nats = app.add_subcommand("matrix", "Every kind of NAT with every other, as a table");
  nats->add_option("--write", file, "Puts it into docs/nat.md, in place of the one there");
  nats->add_option("--seed", seed, "Default 1");
  std::size_t nodes = 1'000;
  CLI::App* world = app.add_subcommand(
      "world", "A world of many nodes: how it comes up, what it costs, how it recovers; as JSON");
  world->add_option("--nodes", nodes, "How many, roots and controllers among them; default 1000")
      ->check(CLI::Range(200, 1'000'000));
  world->add_option("--seed", seed, "Default 1");
  unsigned threads = std::min(orrery::test::usable_processors(), 4u);
  world
      ->add_option("--threads", threads,
                   "In which nodes compute; default: as many as processors, at most 4. The "
                   "transcript is the same")
      ->check(CLI::Range(1, 64));
  world->add_option("--rows", file, "Writes the figures there; default -, stdout");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : orrery::test::kUsage;
  }
  if (run->parsed()) return orrery::test::run_one(scene, seed, transcript, diagram);
  if (seeds->parsed()) return orrery::test::run_seeds(scene, first, count, jobs);
  if (world->parsed()) return orrery::test::world(nodes, seed, threads, file);
  if (nats->parsed()) return orrery::test::matrix(file, seed);
  return orrery::test::list();
}
