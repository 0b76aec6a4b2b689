// Validations of strangers in batches and generation of identities by every instruction set, and
// what a new peer costs beyond: agreement, signature, verification. One core; cycles are those of
// the time-stamp counter.
#include <benchmark/benchmark.h>
#include <sodium.h>
#include <x86intrin.h>

#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "crypto/identity_work.h"

namespace orrery::crypto {
namespace {

/// Cycles of the time-stamp counter per second.
double tsc_rate() {
  using namespace std::chrono;
  static const double kRate = [] {
    const auto begin = steady_clock::now();
    const std::uint64_t first = __rdtsc();
    while (steady_clock::now() - begin < 50ms) {
    }
    const std::uint64_t last = __rdtsc();
    return static_cast<double>(last - first) /
           duration<double>(steady_clock::now() - begin).count();
  }();
  return kRate;
}

/// Processor time of this thread, in cycles of the time-stamp counter: what other programs do on
/// the same core does not count.
double cycles_so_far() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9) * tsc_rate();
}

/// Runs `one`, which does `each` things, as often as wanted.
void measure(benchmark::State& state, const char* things, std::size_t each, const auto& one) {
  const double before = cycles_so_far();
  for (auto _ : state) one();
  const double done = static_cast<double>(state.iterations()) * static_cast<double>(each);
  state.counters["cycles"] = (cycles_so_far() - before) / done;
  state.counters[things] = benchmark::Counter(done, benchmark::Counter::kIsRate);
}

void validations(benchmark::State& state, Isa with) {
  const auto n = static_cast<std::size_t>(state.range(0));
  std::vector<wire::PublicKey> keys(n);
  for (auto& key : keys) randombytes_buf(key.data(), key.size());
  std::vector<WorkDigest> digests(n);
  measure(state, "validations/s", n, [&] {
    work_digests(keys, digests, with);
    benchmark::DoNotOptimize(digests.data());
  });
}

/// Chance decides how often is tried (about 15 times): only the mean of many says something.
void generation(benchmark::State& state, Isa with) {
  measure(state, "identities/s", 1,
          [&] { benchmark::DoNotOptimize(generate_identity({}, with).address()); });
}

/// Two identities' keys, without the work.
struct Pair {
  wire::PrivateKey secret{};
  wire::PublicKey mine{}, theirs{};
  std::array<std::uint8_t, 200> message{};
  Signature signature{};

  Pair() {
    init();
    randombytes_buf(secret.data(), secret.size());
    theirs = public_key_of(secret);
    randombytes_buf(secret.data(), secret.size());
    mine = public_key_of(secret);
    signature = sign(secret, mine, message);
  }
};

void agreement(benchmark::State& state) {
  const Pair pair;
  SharedSecret out;
  measure(state, "agreements/s", 1,
          [&] { benchmark::DoNotOptimize(agree(pair.secret, pair.theirs, out)); });
}

void signature(benchmark::State& state) {
  const Pair pair;
  measure(state, "signatures/s", 1,
          [&] { benchmark::DoNotOptimize(sign(pair.secret, pair.mine, pair.message)); });
}

void verification(benchmark::State& state) {
  const Pair pair;
  measure(state, "verifications/s", 1,
          [&] { benchmark::DoNotOptimize(verify(pair.mine, pair.message, pair.signature)); });
}

BENCHMARK(agreement);
BENCHMARK(signature);
BENCHMARK(verification);

void register_work() {
  for (const Isa with : {Isa::kRef, Isa::kAvx2, Isa::kAvx512}) {
    if (with > best_isa()) continue;
    const std::string name = isa_name(with);
    benchmark::RegisterBenchmark(("validate/" + name).c_str(), validations, with)
        ->Arg(1)
        ->Arg(4)
        ->Arg(8)
        ->Arg(16)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("generate/" + name).c_str(), generation, with)
        ->Iterations(200)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace orrery::crypto

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  orrery::crypto::register_work();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
