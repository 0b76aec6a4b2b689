// A whole worker as a gateway between memory ports: frames of the LAN to datagrams ("encrypt") and
// datagrams to frames ("decrypt"), 64 packets a turn; receiving, the turn's own work, sending and
// freeing included, making the packets not. Beside each row the armor of the same packets alone, in
// the same run.
//
//   bytes     of the Ethernet frame with its header, without FCS; "imix": 64, 590 and 1514 bytes in
//             the ratio 7:4:1. More than 1418 bytes take two datagrams.
//   suite     1 Salsa20/12-Poly1305, 3 AES-GMAC-SIV
//   peers     to which (from which) the packets go in turns, each with keys of its own
//   flows     UDP flows inside, in turns
//   rule      all frames are copied ("tee", "watch") or sent ("redirect") to another member, whole
//
// Counters, of the median round: cycles/packet (time-stamp cycles), Mpps, Gbit/s of frames, crypto
// (cycles/packet of the armor alone) and efficiency (crypto / cycles).
#include <benchmark/benchmark.h>

#include <cstdio>

#include "gateway_scene.h"
#include "rounds.h"
#include "start.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kArmorEvery = 8;  // rounds

/// One round of the armor alone, cycles: the same packets and keys, sealed or opened in place.
std::uint64_t armor_alone(const Row& row, const Gateway& g, Maker& maker) {
  rte_mbuf* packets[kBurst];
  crypto::ArmorJob seal[kBurst];
  crypto::DearmorJob open[kBurst];
  const unsigned n = maker.packets_in(packets);
  for (unsigned i = 0; i < n; ++i) {
    auto* p = rte_pktmbuf_mtod(packets[i], std::uint8_t*);
    const PeerRecord* record = g.tables.peers.find({load_address(p + wire::kSourceOffset).value});
    seal[i] = {p, rte_pktmbuf_data_len(packets[i]), row.suite, &record->keys, 0};
    open[i] = {p, rte_pktmbuf_data_len(packets[i]), &record->keys, false};
  }
  const std::uint64_t begin = __rdtsc();
  if (row.encrypt) {
    maker.armorer.armor({seal, n});
  } else {
    maker.armorer.dearmor({open, n});
  }
  const std::uint64_t end = __rdtsc();
  rte_pktmbuf_free_bulk(packets, n);
  return end - begin;
}

void run(benchmark::State& state, const Row& row) {
  Gateway& g = gateway(row.suite, row.peers, row.copies);
  static unsigned rings = 0;
  ControlLink link;
  if (!link.open(1000 + rings++)) std::abort();
  Maker maker(row, g);
  bench::RoundClock clock;
  Worker worker(g_pools, link, g.fast.get(), true);
  std::vector<std::uint64_t> cycles, armor_cycles;
  const auto source = [&](rte_mbuf** out, unsigned) -> unsigned {
    if (clock.last() != 0) {
      cycles.push_back(clock.last());
      state.SetIterationTime(static_cast<double>(clock.last()) / bench::tsc_ghz() / 1e9);
    }
    // What control would take: now and then it is told of active peers.
    rte_mbuf* punted[kBurst];
    while (const unsigned n = link.punt.pop(punted, kBurst)) rte_pktmbuf_free_bulk(punted, n);
    if (!state.KeepRunning()) {
      worker.stop();
      return 0;
    }
    // In between, so that both see the same clock of the processor and the same neighbours.
    if (cycles.size() % kArmorEvery == 0) armor_cycles.push_back(armor_alone(row, g, maker));
    return row.encrypt ? maker.frames_out(out) : maker.datagrams_in(out);
  };
  auto wan = std::make_shared<bench::MemoryPort>(clock, row.encrypt ? bench::Source{} : source);
  auto lan = std::make_shared<bench::MemoryFrames>(kNetwork, clock,
                                                   row.encrypt ? source : bench::Source{});
  auto set = std::make_unique<PortSet>();
  set->ports = {wan};
  set->frame_ports = {lan};
  worker.hand_over(std::move(set));
  worker.run();
  const WorkerCounters& c = worker.counters();
  const std::uint64_t expected = cycles.size() * maker.frames();
  if (!c.balanced()) state.SkipWithError("the ledger does not add up");
  // Copies of headers that tell control of busy peers have a rate. A redirect ends the frame, but
  // not the copy that goes elsewhere.
  const auto of = [&](Drop reason) { return c.drops[static_cast<std::size_t>(reason)].value(); };
  const std::uint64_t dropped =
      total(c.drops) - of(Drop::kPuntEvent) - (of(Drop::kRedirected) == expected ? expected : 0);
  if ((row.encrypt ? c.frames_in.value() : lan->sink.packets) != expected || dropped != 0)
    state.SkipWithError("packets were lost");
  const double frames = maker.frames();
  const double each = bench::median(cycles) / frames;
  const double alone = bench::median(armor_cycles) / frames;
  state.counters["cycles/packet"] = each;
  state.counters["Mpps"] = bench::tsc_ghz() * 1e3 / each;
  state.counters["Gbit/s"] =
      static_cast<double>(maker.round_bytes()) / frames * 8 / each * bench::tsc_ghz();
  state.counters["crypto"] = alone;
  state.counters["efficiency"] = alone / each;
}

void add_rows() {
  struct Crowd {
    std::size_t peers, flows;
  };

  for (const auto& [word, rule] : {std::pair{"tee", wire::RuleType::kActionTee},
                                   std::pair{"watch", wire::RuleType::kActionWatch},
                                   std::pair{"redirect", wire::RuleType::kActionRedirect}}) {
    for (const std::size_t bytes : {64u, 1400u}) {
      const Row row{true, bytes, wire::Suite::kAesGmacSiv, 2, 1, rule};
      benchmark::RegisterBenchmark(
          ("encrypt/bytes:" + std::to_string(bytes) + "/suite:3/peers:2/flows:1/rule:" + word)
              .c_str(),
          [row](benchmark::State& s) { run(s, row); })
          ->UseManualTime();
    }
  }
  for (const bool encrypt : {true, false}) {
    for (const wire::Suite suite : {wire::Suite::kAesGmacSiv, wire::Suite::kSalsaPoly}) {
      for (const Crowd crowd : {Crowd{1, 1}, Crowd{1, 10'000}, Crowd{10'000, 10'000}}) {
        for (const std::size_t bytes : {64u, 128u, 256u, 512u, 1024u, 1400u, 2800u, 0u}) {
          const Row row{encrypt, bytes, suite, crowd.peers, crowd.flows};
          std::string name = encrypt ? "encrypt" : "decrypt";
          name += "/bytes:" + (bytes == kImix ? "imix" : std::to_string(bytes));
          name += "/suite:" + std::to_string(static_cast<int>(suite));
          name += "/peers:" + std::to_string(crowd.peers);
          name += "/flows:" + std::to_string(crowd.flows);
          benchmark::RegisterBenchmark(name.c_str(), [row](benchmark::State& s) {
            run(s, row);
          })->UseManualTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  orrery::dataplane::EalOptions options;
  options.memory_mib = 256;  // tables of a gateway for each suite and number of peers
  options.wire_mbufs = 4096;
  options.frame_mbufs = 1024;
  const auto pools = orrery::bench::start(argc, argv, "gateway_bench", options);
  orrery::dataplane::g_pools = pools;
  orrery::dataplane::add_rows();
  benchmark::RunSpecifiedBenchmarks();
  // The tables stay until the process ends: freeing 20,000 records one by one helps nobody.
  std::fflush(nullptr);
  std::_Exit(0);
}
