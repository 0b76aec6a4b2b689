// What a root pays for a packet that is for somebody else: the relay stage with what stands before
// and behind it, 64 datagrams at a time, without ports. Every round starts from fresh datagrams;
// making them is not timed. Argument of each row: peers, of which every datagram has two by chance.
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
const wire::Address kSelf{0x1111111111ULL};

Pools g_pools;

wire::Address peer_at(std::uint64_t i) {
  return wire::Address{0x2200000000 + i * 7919};
}

wire::Endpoint endpoint_at(std::uint64_t i) {
  return wire::Endpoint::v4(static_cast<std::uint32_t>(0x0a000000 + i), 9993);
}

void relayed(benchmark::State& state, bool head) {
  const auto peers = static_cast<std::uint64_t>(state.range(0));
  Tables tables;
  if (!tables.open("bench_relay")) std::abort();
  Publisher publisher(tables, 0);
  publisher.apply(fib::Relaying{true});
  // One destination is no source: nothing goes back to where it came from.
  for (std::uint64_t i = 0; i <= peers; ++i) {
    fib::Peer peer;
    peer.address = peer_at(i);
    peer.path = {1, endpoint_at(i)};
    peer.direct = true;
    publisher.apply(peer);
  }
  FastPathOptions options;
  options.self = kSelf;
  // The buckets are asked, and never empty.
  options.relay.per_endpoint = options.relay.per_prefix = {2'000'000'000, 4'000'000};
  FastPath fast(tables, g_pools, options);
  fast.online();
  Outcome out;
  DropCounters drops;
  std::mt19937_64 random(1);
  rte_mbuf* burst[kBurst];
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    for (rte_mbuf*& m : burst) {
      const std::uint64_t from = random() % peers;
      std::uint64_t to = random() % (peers + 1);
      if (to == from) ++to;
      m = rte_pktmbuf_alloc(g_pools.wire);
      meta_of(m) = {};
      meta_of(m).socket = 1;
      meta_of(m).remote = endpoint_at(from);
      auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 1400));
      if (head) {
        wire::encode_packet_header({p, 1400}, {random(), peer_at(to), peer_at(from), 0x18, 0, 0});
      } else {
        wire::encode_fragment_header({p, 1400}, {random(), peer_at(to), 2, 1, 0});
      }
    }
    rounds.time([&] { fast.inbound(burst, kBurst, out, drops); });
    if (out.transmits != kBurst) state.SkipWithError("datagrams were not relayed");
    rte_pktmbuf_free_bulk(out.transmit, out.transmits);
    rte_pktmbuf_free_bulk(out.punt, out.punts);
    out.transmits = out.punts = 0;
    fast.quiescent();
  }
  rounds.report("packet", kBurst, 1400);
}

void heads(benchmark::State& state) {
  relayed(state, true);
}

void fragments(benchmark::State& state) {
  relayed(state, false);
}

BENCHMARK(heads)->Arg(1)->Arg(10'000)->ArgName("peers")->UseManualTime();
BENCHMARK(fragments)->Arg(1)->Arg(10'000)->ArgName("peers")->UseManualTime();

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  orrery::dataplane::EalOptions options;
  options.wire_mbufs = 4096;
  options.frame_mbufs = 1024;
  return orrery::bench::run(argc, argv, "relay_bench", options, orrery::dataplane::g_pools);
}
