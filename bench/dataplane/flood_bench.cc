// A legitimate flow of 1 Gbit/s in a flood of a million other datagrams a second, through a whole
// worker between memory ports.
//
// Packets arrive by the worker's own processor time: a million of the flood and the flow's share of
// 1400-byte frames a second, evenly mixed, into a queue of 1,024 descriptors, as a NIC has it; what
// finds it full is lost. Making them is not on that clock. Control takes 100 packets a millisecond
// off its ring, so that punts fill it. Floods, by name:
//
//   none          the flow alone
//   garbage       random bytes
//   strangers     packets of senders that nobody knows, a new address each
//   forged        packets in the name of the flow's own peer, AES, whose MAC is wrong
//   forged_salsa  the same under Salsa20/12-Poly1305
//   hello         HELLO of strangers
//   fragments     of packets whose other fragments never come, a new source each
//
// Counters: loss (percent of the flow), load (percent of a processor that this rate takes),
// cycles/packet (the same for one, in time-stamp cycles), flood (Mpps that the worker took). Turns
// are as short as the load allows, so half the load is not half the packets.
#include <benchmark/benchmark.h>
#include <time.h>

#include <cstdio>
#include <deque>

#include "gateway_scene.h"
#include "rounds.h"
#include "start.h"

namespace orrery::dataplane {
namespace {

constexpr double kFloodRate = 1e6;            // a second
constexpr double kFlowRate = 1e9 / 8 / 1400;  // frames of 1400 bytes in 1 Gbit/s
constexpr std::size_t kQueue = 1024;          // descriptors
constexpr double kControlRate = 100e3;        // packets a second that control takes
constexpr double kSeconds = 1.0;              // of processor time, each row

enum class Flood : std::uint8_t {
  kNone,
  kGarbage,
  kStrangers,
  kForged,
  kForgedSalsa,
  kHello,
  kFragments
};

/// Processor seconds of this thread.
double cpu_now() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

class Attacker {
 public:
  explicit Attacker(Flood flood) : flood_(flood) {}

  rte_mbuf* next() {
    rte_mbuf* m = rte_pktmbuf_alloc(g_pools.wire);
    if (m == nullptr) return nullptr;
    meta_of(m) = {};
    meta_of(m).socket = 1;
    meta_of(m).remote = wire::Endpoint::v4(static_cast<std::uint32_t>(random()), 9993);
    const std::size_t size = flood_ == Flood::kFragments ? 1400 : 100;
    auto* p =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, static_cast<std::uint16_t>(size)));
    for (std::size_t at = 0; at < 64; at += 8) store_be64(p + at, random());
    if (flood_ == Flood::kGarbage) return m;
    if (flood_ == Flood::kFragments) {
      wire::encode_fragment_header({p, size}, {random(), kSelf, 7, 3, 0});
      return m;
    }
    wire::PacketHeader header;
    header.id = random();
    header.destination = kSelf;
    const bool known = flood_ == Flood::kForged || flood_ == Flood::kForgedSalsa;
    header.source = known ? address_of(0) : wire::Address{0x3300000000ULL | (random() >> 32)};
    header.mac = random();
    const auto suite = flood_ == Flood::kForgedSalsa ? wire::Suite::kSalsaPoly
                       : flood_ == Flood::kHello     ? wire::Suite::kMacOnly
                                                     : wire::Suite::kAesGmacSiv;
    header.flags = static_cast<std::uint8_t>(static_cast<unsigned>(suite) << 3);
    header.verb = static_cast<std::uint8_t>(wire::Verb::kHello);
    wire::encode_packet_header({p, wire::kHeaderSize}, header);
    return m;
  }

 private:
  std::uint64_t random() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

  Flood flood_;
  std::uint64_t state_ = 88172645463325252ULL;
};

void flood(benchmark::State& state, Flood kind) {
  static unsigned runs = 0;
  const unsigned run = runs++;
  Gateway g("flood" + std::to_string(run), wire::Suite::kAesGmacSiv, 1);
  ControlLink link;
  if (!link.open(2000 + run)) std::abort();
  const Row row{false, 1400, wire::Suite::kAesGmacSiv, 1, 1};
  Maker maker(row, g);
  Attacker attacker(kind);
  bench::RoundClock clock;
  Worker worker(g_pools, link, g.fast.get(), true);

  std::deque<rte_mbuf*> flow;  // made, not yet arrived
  double excluded = 0, busy = 0, handed_out = 0, started = cpu_now();
  bool worked = false;
  double flow_due = 0, flood_due = 0, control_due = 0;
  // Places of the queue: how many of the flow and of the flood wait, in turns as they came.
  std::deque<bool> queue;  // true: of the flow
  std::uint64_t flow_sent = 0, flow_lost = 0, flood_taken = 0, flood_lost = 0, taken = 0;
  const auto source = [&](rte_mbuf** out, unsigned n) -> unsigned {
    const double begin = cpu_now();
    const double now = begin - started - excluded;
    if (worked) busy += begin - handed_out;
    if (now > kSeconds) {
      worker.stop();
      return 0;
    }
    const auto arrive = [&](bool of_flow) {
      if (of_flow) ++flow_sent;
      if (queue.size() < kQueue) {
        queue.push_back(of_flow);
      } else {
        ++(of_flow ? flow_lost : flood_lost);
      }
    };
    while (flow_due <= now || (kind != Flood::kNone && flood_due <= now)) {
      if (kind == Flood::kNone || flow_due <= flood_due) {
        arrive(true);
        flow_due += 1 / kFlowRate;
      } else {
        arrive(false);
        flood_due += 1 / kFloodRate;
      }
    }
    for (rte_mbuf* m = nullptr; control_due <= now; control_due += 1 / kControlRate) {
      if (link.punt.pop(&m, 1) == 0 && link.raw.pop(&m, 1) == 0) {
        control_due = now;
        break;
      }
      rte_pktmbuf_free(m);
    }
    unsigned got = 0;
    for (; got < n && !queue.empty(); queue.pop_front()) {
      if (queue.front()) {
        if (flow.empty()) {
          rte_mbuf* more[kBurst];
          const unsigned count = maker.packets_in(more);
          flow.assign(more, more + count);
        }
        out[got++] = flow.front();
        flow.pop_front();
      } else if (rte_mbuf* m = attacker.next(); m != nullptr) {
        out[got++] = m;
        ++flood_taken;
      } else {
        ++flood_lost;  // the pool is empty: a NIC would have no descriptor
      }
    }
    taken += got;
    worked = got != 0;
    handed_out = cpu_now();
    excluded += handed_out - begin;
    return got;
  };
  auto wan = std::make_shared<bench::MemoryPort>(clock, source);
  auto lan = std::make_shared<bench::MemoryFrames>(kNetwork, clock);
  auto set = std::make_unique<PortSet>();
  set->ports = {wan};
  set->frame_ports = {lan};
  worker.hand_over(std::move(set));
  for ([[maybe_unused]] auto _ : state) {
    started = cpu_now();
    worker.run();
    state.SetIterationTime(kSeconds);
  }
  for (rte_mbuf* m : flow) rte_pktmbuf_free(m);
  if (!worker.counters().balanced()) state.SkipWithError("the ledger does not add up");
  const std::uint64_t waiting =
      static_cast<std::uint64_t>(std::count(queue.begin(), queue.end(), true));
  const double lost = static_cast<double>(flow_sent - waiting - lan->sink.packets);
  if (flow_lost > flow_sent - waiting - lan->sink.packets)
    state.SkipWithError("packets of the flow came out twice");
  state.counters["loss"] = lost * 100 / static_cast<double>(flow_sent);
  state.counters["load"] = busy / kSeconds * 100;
  state.counters["cycles/packet"] =
      busy * bench::tsc_ghz() * 1e9 / static_cast<double>(std::max<std::uint64_t>(taken, 1));
  state.counters["flood"] = static_cast<double>(flood_taken) / kSeconds / 1e6;
  state.counters["flood_lost"] = static_cast<double>(flood_lost);
}

#define ORRERY_FLOOD(name, kind) \
  BENCHMARK_CAPTURE(flood, name, kind)->Iterations(1)->UseManualTime()
ORRERY_FLOOD(none, Flood::kNone);
ORRERY_FLOOD(garbage, Flood::kGarbage);
ORRERY_FLOOD(strangers, Flood::kStrangers);
ORRERY_FLOOD(forged, Flood::kForged);
ORRERY_FLOOD(forged_salsa, Flood::kForgedSalsa);
ORRERY_FLOOD(hello, Flood::kHello);
ORRERY_FLOOD(fragments, Flood::kFragments);

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  orrery::dataplane::EalOptions options;
  const auto pools = orrery::bench::start(argc, argv, "flood_bench", options);
  orrery::dataplane::g_pools = pools;
  benchmark::RunSpecifiedBenchmarks();
  std::fflush(nullptr);
  std::_Exit(0);  // what the worker still parks is nobody's
}
