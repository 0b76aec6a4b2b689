// What it costs to handle each packet once: ids of a vector of 64 into the set of seen ids, in sets
// of several sizes (argument: Mi ids), hashed, fetched and entered in one go; hashed and entered as
// the stages do it, the lines fetched before the armor; and the window of one of ours.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "crypto/nonce.h"
#include "dataplane/tables/seen_set.h"
#include "fib/replay_window.h"
#include "rounds.h"

namespace orrery::dataplane {
namespace {

constexpr unsigned kBurst = SeenSet::kBatch;

/// A set of so many Mi ids, and packets of four peers that are all new to it.
struct Scene {
  explicit Scene(benchmark::State& state) {
    auto made = SeenSet::make(static_cast<std::size_t>(state.range(0)) << 20, {1, 2});
    if (!made) std::abort();
    seen = std::move(*made);
  }

  void draw() {
    for (unsigned i = 0; i < kBurst; ++i) {
      id[i] = random();
      source[i] = 0x1111111111 + i % 4;
    }
  }

  void hash_all() { seen->hash(id, source, kBurst, hash); }

  void fetch_all() {
    for (const std::uint64_t h : hash) seen->prefetch(h);
  }

  void insert_all() {
    for (const std::uint64_t h : hash) again += seen->insert(h) ? 1 : 0;
    benchmark::DoNotOptimize(again);
  }

  std::unique_ptr<SeenSet> seen;
  std::mt19937_64 random{1};
  std::uint64_t id[kBurst], source[kBurst];
  alignas(64) std::uint64_t hash[kBurst];
  std::uint64_t again = 0;
};

void seen_set(benchmark::State& state) {
  Scene s(state);
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    s.draw();
    rounds.time([&] {
      s.hash_all();
      s.fetch_all();
      s.insert_all();
    });
  }
  rounds.report("packet", kBurst, 64);
}

void behind_the_armor(benchmark::State& state) {
  Scene s(state);
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    s.draw();
    s.hash_all();
    s.fetch_all();
    for (const std::uint64_t until = __rdtsc() + 6'400; __rdtsc() < until;) {
      // 100 cycles a packet pass before they are authentic
    }
    rounds.time([&] {
      s.hash_all();
      s.insert_all();
    });
  }
  rounds.report("packet", kBurst, 64);
}

void window(benchmark::State& state) {
  fib::ReplayWindow window;
  crypto::NonceLane lane(1);
  std::uint64_t wall = 1'700'000'000'000'000'000, refused = 0;
  std::uint64_t id[kBurst];
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    wall += 1'000'000;
    for (std::uint64_t& one : id) one = lane.next(wall);
    rounds.time([&] {
      for (const std::uint64_t one : id) refused += window.admits(one, 1, wall) ? 0 : 1;
      window.advance(id[kBurst - 1], 1);
    });
  }
  benchmark::DoNotOptimize(refused);
  rounds.report("packet", kBurst, 64);
}

BENCHMARK(seen_set)->Arg(1)->Arg(4)->Arg(16)->ArgName("Mi_ids")->UseManualTime();
BENCHMARK(behind_the_armor)->Arg(1)->Arg(4)->Arg(16)->ArgName("Mi_ids")->UseManualTime();
BENCHMARK(window)->UseManualTime();

}  // namespace
}  // namespace orrery::dataplane

BENCHMARK_MAIN();
