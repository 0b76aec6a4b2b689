// What a worker pays for each packet of a flood of 64-byte datagrams, from as many sources as there
// are packets: nothing of them may cost much, and control is given a few. Without ports; making the
// datagrams is not timed, giving their buffers back is.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>

#include "crypto/curve.h"
#include "dataplane/fast_path.h"
#include "rounds.h"
#include "start.h"
#include "wire/header.h"

namespace orrery::dataplane {
namespace {

constexpr unsigned kBurst = FastPath::kBurst;
const wire::Address kSelf{0x1111111111ULL}, kPeer{0x2222222222ULL};

Pools g_pools;

enum class Flood { kGarbage, kStrangers, kForOthers, kAtRoot, kForged, kFragments };

void flood(benchmark::State& state, Flood what) {
  Tables tables;
  if (!tables.open("bench_flood")) std::abort();
  Publisher publisher(tables);
  publisher.apply(fib::Relaying{what == Flood::kAtRoot});
  fib::Peer peer;
  peer.address = kPeer;
  peer.suite = wire::Suite::kAesGmacSiv;
  publisher.apply(peer);
  FastPathOptions options;
  options.self = kSelf;
  FastPath fast(tables, g_pools, options);
  fast.online();
  Outcome out;
  DropCounters drops;
  std::mt19937_64 random(1);
  rte_mbuf* burst[kBurst];
  std::uint64_t punted = 0, all = 0;
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    for (rte_mbuf*& m : burst) {
      m = rte_pktmbuf_alloc(g_pools.wire);
      meta_of(m) = {};
      meta_of(m).socket = 1;
      meta_of(m).remote = wire::Endpoint::v4(static_cast<std::uint32_t>(random()), 9993);
      auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 64));
      const bool others = what == Flood::kForOthers || what == Flood::kAtRoot;
      const wire::Address to = others ? wire::Address{random() >> 24 | 1} : kSelf;
      if (what == Flood::kGarbage) {
        for (unsigned at = 0; at < 64; at += 8) store_be64(p + at, random());
      } else if (what == Flood::kFragments) {
        wire::encode_fragment_header({p, 64}, {random(), to, 2, 1, 0});
      } else {
        const wire::Address from =
            what == Flood::kForged ? kPeer : wire::Address{random() >> 24 | 1};
        wire::encode_packet_header({p, 64}, {random(), to, from, 0x18, random(), 0});
        if (p[wire::kSourceOffset] == wire::kFragmentMark) p[wire::kSourceOffset] = 1;
      }
    }
    rounds.time([&] { fast.inbound(burst, kBurst, out, drops); });
    punted += out.punts;
    all += kBurst;
    rte_pktmbuf_free_bulk(out.punt, out.punts);
    if (out.transmits != 0) std::abort();
    out.punts = 0;
    out.merged = out.copies = 0;
    fast.quiescent();
    fast.expire(drops);
  }
  rounds.report("packet", kBurst, 64);
  state.counters["punted"] = static_cast<double>(punted) / static_cast<double>(all);
}

void garbage(benchmark::State& state) {
  flood(state, Flood::kGarbage);
}

void strangers(benchmark::State& state) {
  flood(state, Flood::kStrangers);
}

void for_others(benchmark::State& state) {
  flood(state, Flood::kForOthers);
}

void for_unknown_at_root(benchmark::State& state) {
  flood(state, Flood::kAtRoot);
}

void forged_of_a_peer(benchmark::State& state) {
  flood(state, Flood::kForged);
}

void fragments(benchmark::State& state) {
  flood(state, Flood::kFragments);
}

BENCHMARK(garbage)->UseManualTime();
BENCHMARK(strangers)->UseManualTime();
BENCHMARK(for_others)->UseManualTime();
BENCHMARK(for_unknown_at_root)->UseManualTime();
BENCHMARK(forged_of_a_peer)->UseManualTime();
BENCHMARK(fragments)->UseManualTime();

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  orrery::dataplane::EalOptions options;
  options.wire_mbufs = 8192;
  options.frame_mbufs = 1024;
  return orrery::bench::run(argc, argv, "punt_bench", options, orrery::dataplane::g_pools);
}
