// The stages of one worker without ports: frames to datagrams (outbound) and datagrams to frames
// (inbound), 64 at a time, and the armor alone for comparison. Every round starts from fresh
// packets; making them is not timed. Arguments of each row: bytes of Ethernet payload, cipher
// suite.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "crypto/curve.h"
#include "dataplane/fast_path.h"
#include "rounds.h"

namespace orrery::dataplane {
namespace {

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
const wire::Address kA{0x1111111111ULL}, kB{0x2222222222ULL};
constexpr unsigned kBurst = FastPath::kBurst;

Pools g_pools;

struct End {
  End(const char* name, wire::Address self, wire::Address other, wire::Suite suite)
      : publisher(tables) {
    if (!tables.open(name)) std::abort();
    FastPathOptions options;
    options.self = self;
    fast = std::make_unique<FastPath>(tables, g_pools, options);
    fast->online();
    fib::Peer peer;
    peer.address = other;
    peer.suite = suite;
    peer.path = {1, wire::Endpoint::v4(0x0a000001, 9993)};
    publisher.apply(peer);
    fib::Network network;
    network.id = kNetwork;
    network.self = self;
    network.mac = wire::mac_of(self, kNetwork);
    wire::Rule accept;
    accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
    network.rules = {accept};
    publisher.apply(network);
    fib::Member member;
    member.network = kNetwork;
    member.address = other;
    member.allowed = member.credentials_pushed = true;
    publisher.apply(member);
  }

  Tables tables;
  Publisher publisher;
  std::unique_ptr<FastPath> fast;
  Outcome out;
  DropCounters drops;
};

void make_burst(rte_mbuf** burst, std::size_t payload) {
  for (unsigned i = 0; i < kBurst; ++i) {
    burst[i] = rte_pktmbuf_alloc(g_pools.wire);
    meta_of(burst[i]) = {};
    auto* p = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(burst[i], static_cast<std::uint16_t>(14 + payload)));
    wire::mac_of(kB, kNetwork).store(p);
    wire::mac_of(kA, kNetwork).store(p + 6);
    store_be16(p + 12, 0x0800);
  }
}

void free_all(Outcome& out) {
  rte_pktmbuf_free_bulk(out.deliver, out.delivers);
  rte_pktmbuf_free_bulk(out.transmit, out.transmits);
  rte_pktmbuf_free_bulk(out.punt, out.punts);
  out.delivers = out.transmits = out.punts = 0;
}

void outbound(benchmark::State& state) {
  const auto payload = static_cast<std::size_t>(state.range(0));
  End a("bench_a", kA, kB, static_cast<wire::Suite>(state.range(1)));
  rte_mbuf* burst[kBurst];
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    make_burst(burst, payload);
    rounds.time([&] { a.fast->outbound(kNetwork, burst, kBurst, a.out, a.drops); });
    if (a.out.transmits < kBurst) state.SkipWithError("frames were not sealed");
    free_all(a.out);
    a.fast->quiescent();
  }
  rounds.report("frame", kBurst, payload);
}

void inbound(benchmark::State& state) {
  const auto payload = static_cast<std::size_t>(state.range(0));
  const auto suite = static_cast<wire::Suite>(state.range(1));
  End a("bench_a", kA, kB, suite);
  End b("bench_b", kB, kA, suite);
  rte_mbuf* burst[kBurst];
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    make_burst(burst, payload);
    a.fast->outbound(kNetwork, burst, kBurst, a.out, a.drops);
    unsigned delivered = 0;
    rounds.time([&] {
      for (unsigned at = 0; at < a.out.transmits; at += kBurst) {
        b.fast->inbound(a.out.transmit + at, std::min(kBurst, a.out.transmits - at), b.out,
                        b.drops);
      }
    });
    delivered = b.out.delivers;
    if (delivered != kBurst) state.SkipWithError("frames were not delivered");
    a.out.transmits = 0;
    free_all(b.out);
    a.fast->quiescent();
    b.fast->quiescent();
  }
  rounds.report("frame", kBurst, payload);
}

void armor_alone(benchmark::State& state) {
  const auto payload = static_cast<std::size_t>(state.range(0));
  crypto::PeerKeys keys(crypto::SharedSecret{});
  keys.expand();
  crypto::Armorer armorer;
  const std::size_t size = wire::kHeaderSize + 10 + payload;
  std::vector<ByteVector> packets(kBurst, ByteVector(size));
  crypto::ArmorJob jobs[kBurst];
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    for (unsigned i = 0; i < kBurst; ++i) {
      packets[i][0] = static_cast<std::uint8_t>(i);
      jobs[i] = {packets[i].data(), static_cast<std::uint32_t>(size),
                 static_cast<wire::Suite>(state.range(1)), &keys, 0};
    }
    rounds.time([&] { armorer.armor(jobs); });
  }
  rounds.report("frame", kBurst, payload);
}

const std::vector<std::vector<std::int64_t>> kRows = {{64, 256, 512, 1024, 1394, 2800}, {1, 3}};
BENCHMARK(outbound)->ArgsProduct(kRows)->ArgNames({"bytes", "suite"})->UseManualTime();
BENCHMARK(inbound)->ArgsProduct(kRows)->ArgNames({"bytes", "suite"})->UseManualTime();
BENCHMARK(armor_alone)->ArgsProduct(kRows)->ArgNames({"bytes", "suite"})->UseManualTime();

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  orrery::crypto::init();
  orrery::dataplane::EalOptions options;
  options.program = "gateway_bench";
  options.file_prefix = "orrery_gateway_bench_" + std::to_string(::getpid());
  options.wire_mbufs = 4096;
  options.frame_mbufs = 1024;
  auto pools = orrery::dataplane::start_eal(options);
  if (!pools) {
    std::fprintf(stderr, "%s\n", pools.error().text.c_str());
    return 1;
  }
  orrery::dataplane::g_pools = *pools;
  benchmark::RunSpecifiedBenchmarks();
  orrery::dataplane::stop_eal(orrery::dataplane::g_pools);
  return 0;
}
