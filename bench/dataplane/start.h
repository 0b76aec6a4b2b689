// How a benchmark of the data plane begins: its own EAL, under a prefix that no other process has.
#pragma once

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "crypto/curve.h"
#include "dataplane/eal.h"
#include "dataplane/fast_path.h"

namespace orrery::bench {

/// Reads the arguments of Google Benchmark and starts the EAL; `options` may name sizes. Ends the
/// process when it cannot.
inline dataplane::Pools start(int& argc, char** argv, const std::string& program,
                              dataplane::EalOptions options) {
  benchmark::Initialize(&argc, argv);
  crypto::init();
  options.program = program;
  options.file_prefix = "orrery_" + program + "_" + std::to_string(::getpid());
  auto pools = dataplane::start_eal(options);
  if (!pools) {
    std::fprintf(stderr, "%s\n", pools.error().text.c_str());
    std::exit(1);
  }
  return *pools;
}

/// The whole of it for benchmarks that need nothing in between: `pools` is set while they run.
inline int run(int argc, char** argv, const std::string& program,
               const dataplane::EalOptions& options, dataplane::Pools& pools) {
  pools = start(argc, argv, program, options);
  dataplane::table_hash_key() = {1, 2};
  benchmark::RunSpecifiedBenchmarks();
  dataplane::stop_eal(pools);
  return 0;
}

}  // namespace orrery::bench
