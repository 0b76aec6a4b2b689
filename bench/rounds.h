// Cycles of the rounds of a benchmark. Figures are medians: other work on the machine lengthens
// some rounds.
#pragma once

#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

namespace orrery::bench {

/// GHz of the time-stamp counter, by the steady clock; takes 0.2 s the first time.
inline double tsc_ghz() {
  static const double kGhz = [] {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t start = __rdtsc();
    std::chrono::duration<double> passed{};
    while (passed.count() < 0.2) passed = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(__rdtsc() - start) / passed.count() / 1e9;
  }();
  return kGhz;
}

/// The middle one; 0 of none.
inline double median(std::vector<std::uint64_t> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

class Rounds {
 public:
  explicit Rounds(benchmark::State& state) : state_(state) {}

  /// Times `run` as (a part of) this iteration of the state, which uses manual time.
  template <typename Run>
  void time(Run run) {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t start = __rdtsc();
    run();
    cycles_.push_back(__rdtsc() - start);
    state_.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }

  /// Counters "cycles/<what>" and, of `bytes` each, Gbit/s, for `count` of them in a round.
  void report(const char* what, std::size_t count, std::size_t bytes) {
    if (cycles_.empty()) return;
    const double cycles = median(cycles_) / static_cast<double>(count);
    state_.counters[std::string("cycles/") + what] = cycles;
    if (bytes != 0) state_.counters["Gbit/s"] = static_cast<double>(bytes) * 8 / cycles * tsc_ghz();
  }

 private:
  benchmark::State& state_;
  std::vector<std::uint64_t> cycles_;
};

}  // namespace orrery::bench
