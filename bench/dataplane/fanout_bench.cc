// Two workers on one peer and one inner flow, against one worker, and against what the armor alone
// gains from a second thread: how much of it is left when packets are shared out and released in
// order. Generator and sink are ports of the worker that owns them; every packet bears its number,
// and one that leaves out of order fails the run.
//
// Rounds of some 35 ms run with real-time priority where that is permitted: whatever else takes a
// CPU for a moment holds up units that a worker has begun, and tells nothing of the workers.
//
// usage: fanout_bench [ROUNDS]      default 15; exit code 1: packets out of order or lost
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <thread>

#include "crypto/curve.h"
#include "dataplane/worker.h"
#include "rounds.h"

namespace orrery::dataplane {
namespace {

const wire::NetworkId kNetwork{0x8056c2e21c000001ULL};
const wire::Address kA{0x1111111111ULL}, kB{0x2222222222ULL};
const wire::Endpoint kRemote = wire::Endpoint::v4(0x0a000001, 9993);
constexpr fib::LocalSocket kSocket = 1;
constexpr std::size_t kPayload = 1394;  // bytes behind the Ethernet header: one datagram of 1,432
constexpr std::size_t kPacket = wire::kHeaderSize + 10 + kPayload;
constexpr unsigned kBurst = FastPath::kBurst;
constexpr unsigned kWorkers = 2;
constexpr auto kWarmUp = std::chrono::milliseconds(5);
constexpr auto kWindow = std::chrono::milliseconds(10);
constexpr unsigned kWindows = 3;  // of a round
constexpr double kNear = 500;     // cycles of a round trip

Pools g_pools;

void fill_frame(std::uint8_t* p) {
  wire::mac_of(kB, kNetwork).store(p);
  wire::mac_of(kA, kNetwork).store(p + 6);
  store_be16(p + 12, 0x0800);
}

/// One node; `workers` fast paths over its tables.
struct End {
  End(const char* name, wire::Address self, wire::Address other, wire::Suite suite)
      : publisher(tables) {
    if (!tables.open(name)) std::abort();
    for (unsigned i = 0; i < kWorkers; ++i) {
      FastPathOptions options;
      options.self = self;
      options.worker = options.nonce_lane = i;
      fast.push_back(std::make_unique<FastPath>(tables, g_pools, options));
    }
    fib::Peer peer;
    peer.address = other;
    peer.suite = suite;
    peer.path = {kSocket, kRemote};
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
  std::vector<std::unique_ptr<FastPath>> fast;
};

/// Sealed packets of `suite` from A to B.
std::vector<ByteVector> sealed(wire::Suite suite) {
  End a("fanout_source", kA, kB, suite);
  a.fast[0]->online();
  std::vector<ByteVector> packets;
  Outcome out;
  DropCounters drops;
  rte_mbuf* burst[kBurst];
  for (unsigned i = 0; i < kBurst; ++i) {
    burst[i] = rte_pktmbuf_alloc(g_pools.wire);
    meta_of(burst[i]) = {};
    fill_frame(reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(burst[i], std::uint16_t{14 + kPayload})));
  }
  a.fast[0]->outbound(kNetwork, burst, kBurst, out, drops);
  for (unsigned i = 0; i < out.transmits; ++i) {
    const auto* p = rte_pktmbuf_mtod(out.transmit[i], const std::uint8_t*);
    packets.emplace_back(p, p + rte_pktmbuf_data_len(out.transmit[i]));
  }
  rte_pktmbuf_free_bulk(out.transmit, out.transmits);
  a.fast[0]->offline();
  if (packets.size() != kBurst) std::abort();
  return packets;
}

/// Numbers what comes in and looks at the numbers of what goes out.
struct Numbers {
  void give(rte_mbuf** burst, unsigned n) {
    for (unsigned i = 0; i < n; ++i) burst[i]->hash.usr = next++;
  }

  void take(rte_mbuf** burst, unsigned n) {
    for (unsigned i = 0; i < n; ++i) out_of_order += burst[i]->hash.usr != expected++ ? 1 : 0;
    rte_pktmbuf_free_bulk(burst, n);
    arrived += n;
  }

  std::uint32_t next = 0, expected = 0;
  Counter arrived;
  std::uint64_t out_of_order = 0;
};

class Wan final : public Port {
 public:
  /// `sealed` empty: a sink alone.
  Wan(Numbers& numbers, const std::vector<ByteVector>& sealed)
      : numbers_(numbers), sealed_(sealed) {}

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    if (sealed_.empty() || rte_pktmbuf_alloc_bulk(g_pools.wire, out, n) != 0) return 0;
    for (unsigned i = 0; i < n; ++i) {
      meta_of(out[i]).remote = kRemote;
      meta_of(out[i]).socket = kSocket;
      std::memcpy(rte_pktmbuf_append(out[i], std::uint16_t{kPacket}), sealed_[i].data(), kPacket);
    }
    numbers_.give(out, n);
    return n;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override { numbers_.take(in, n); }

  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override {
    return socket == kSocket;
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

 private:
  Numbers& numbers_;
  const std::vector<ByteVector>& sealed_;
  PortCounters counters_;
};

class Lan final : public FramePort {
 public:
  Lan(Numbers& numbers, bool source) : numbers_(numbers), source_(source) {}

  [[nodiscard]] wire::NetworkId network() const noexcept override { return kNetwork; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    if (!source_ || rte_pktmbuf_alloc_bulk(g_pools.wire, out, n) != 0) return 0;
    for (unsigned i = 0; i < n; ++i) {
      fill_frame(reinterpret_cast<std::uint8_t*>(
          rte_pktmbuf_append(out[i], std::uint16_t{14 + kPayload})));
    }
    numbers_.give(out, n);
    return n;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override { numbers_.take(in, n); }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

 private:
  Numbers& numbers_;
  bool source_;
  PortCounters counters_;
};

unsigned lcore_of(unsigned worker) {
  unsigned lcore = rte_get_next_lcore(-1U, 1, 0);
  while (worker-- != 0) lcore = rte_get_next_lcore(lcore, 1, 0);
  return lcore;
}

enum class Priority : int { kOrdinary = 0, kRound = 1, kReferee = 2 };

/// Of the calling thread. The referee ends rounds, so it goes before them.
void set_priority(Priority priority) {
  sched_param parameter{};
  parameter.sched_priority = static_cast<int>(priority);
  (void)::sched_setscheduler(0, priority == Priority::kOrdinary ? SCHED_OTHER : SCHED_FIFO,
                             &parameter);
}

/// Runs `what.run()` on the lcore of this worker.
template <typename What>
void launch(unsigned worker, What& what) {
  rte_eal_remote_launch(
      [](void* w) {
        set_priority(Priority::kRound);
        static_cast<What*>(w)->run();
        set_priority(Priority::kOrdinary);
        return 0;
      },
      &what, lcore_of(worker));
}

/// The worker's run() is to end. EAL spins while it waits.
void await(unsigned worker) {
  set_priority(Priority::kOrdinary);
  rte_eal_wait_lcore(lcore_of(worker));
  set_priority(Priority::kReferee);
}

/// Two threads that throw one cache line to and fro. Some 100 to 350 cycles between cores that
/// share a cache; a virtual machine's "cores" may also be threads of one, or far apart, and change
/// that at any time.
struct Pair {
  std::atomic<std::uint64_t>* line;
  std::uint64_t parity;
  std::vector<std::uint64_t> cycles{};

  void run() {
    constexpr std::uint64_t kThrows = 4000;
    for (std::uint64_t i = parity; i < kThrows; i += 2) {
      while (line->load(std::memory_order_acquire) != i) {
      }
      line->store(i + 1, std::memory_order_release);
      cycles.push_back(__rdtsc());
    }
  }
};

double round_trip() {
  alignas(kCacheLine) std::atomic<std::uint64_t> line{0};
  Pair pair[2] = {{&line, 0}, {&line, 1}};
  for (unsigned i = 0; i < 2; ++i) launch(i, pair[i]);
  for (unsigned i = 0; i < 2; ++i) await(i);
  auto& c = pair[0].cycles;
  for (std::size_t i = 0; i + 1 < c.size(); ++i) c[i] = c[i + 1] - c[i];
  std::ranges::nth_element(c, c.begin() + static_cast<std::ptrdiff_t>(c.size() / 2));
  return static_cast<double>(c[c.size() / 2]);
}

struct Row {
  bool outbound;
  wire::Suite suite;
};

/// Packets per time-stamp cycle.
using Rates = std::vector<double>;

double median(Rates rates) {
  std::ranges::sort(rates);
  return rates[rates.size() / 2];
}

/// Runs `workers` for a round. False: a packet out of order, or a ledger that does not add up.
bool run_workers(End& end, const Row& row, const std::vector<ByteVector>& packets, unsigned workers,
                 double& rate) {
  static const std::vector<ByteVector> kNone;
  Numbers numbers;
  Team team(workers);
  std::vector<std::unique_ptr<ControlLink>> links;
  std::vector<std::unique_ptr<Worker>> all;
  for (unsigned i = 0; i < workers; ++i) {
    links.push_back(std::make_unique<ControlLink>());
    if (!links[i]->open(i)) std::abort();
    all.push_back(std::make_unique<Worker>(g_pools, *links[i], end.fast[i].get(), false,
                                           Place{workers > 1 ? &team : nullptr, i}));
    auto set = std::make_unique<PortSet>();
    if (i == 0) {
      set->ports = {std::make_shared<Wan>(numbers, row.outbound ? kNone : packets)};
      set->frame_ports = {std::make_shared<Lan>(numbers, row.outbound)};
    }
    all[i]->hand_over(std::move(set));
    launch(i, *all[i]);
  }
  std::this_thread::sleep_for(kWarmUp);
  Rates rates;
  for (unsigned i = 0; i < kWindows; ++i) {
    const std::uint64_t begin = __rdtsc(), before = numbers.arrived;
    std::this_thread::sleep_for(kWindow);
    const std::uint64_t arrived = numbers.arrived - before;
    rates.push_back(static_cast<double>(arrived) / static_cast<double>(__rdtsc() - begin));
  }
  rate = median(std::move(rates));
  for (const auto& worker : all) worker->stop();
  bool good = true;
  for (unsigned i = 0; i < workers; ++i) {
    await(i);
    good &= all[i]->counters().balanced() && total(all[i]->counters().drops) == 0;
    for (rte_mbuf* m = nullptr; links[i]->punt.pop(&m, 1) != 0;) rte_pktmbuf_free(m);
  }
  if (numbers.out_of_order != 0 || numbers.next != numbers.expected) good = false;
  if (!good) {
    std::fprintf(stderr, "FAILED: %llu of %llu packets out of order, %u lost\n",
                 static_cast<unsigned long long>(numbers.out_of_order),
                 static_cast<unsigned long long>(numbers.arrived.value()),
                 numbers.next - numbers.expected);
  }
  return good;
}

struct CryptoThread {
  Row row;
  const std::vector<ByteVector>* packets;
  std::atomic<bool>* stop;
  std::vector<std::uint64_t> cycles;  // of each batch

  void run() {
    cycles.clear();
    crypto::PeerKeys keys(crypto::SharedSecret{});
    keys.expand();
    crypto::Armorer armorer;
    std::vector<ByteVector> copies = *packets;
    std::array<crypto::ArmorJob, kBurst> seal;
    std::array<crypto::DearmorJob, kBurst> open;
    while (!stop->load(std::memory_order_relaxed)) {
      for (unsigned i = 0; i < kBurst; ++i) {
        auto* p = copies[i].data();
        if (!row.outbound) std::memcpy(p, (*packets)[i].data(), kPacket);
        seal[i] = {p, static_cast<std::uint32_t>(kPacket), row.suite, &keys, 0};
        open[i] = {p, static_cast<std::uint32_t>(kPacket), &keys, false};
      }
      const std::uint64_t begin = __rdtsc();
      if (row.outbound) {
        armorer.armor(seal);
      } else {
        armorer.dearmor(open);
      }
      cycles.push_back(__rdtsc() - begin);
    }
  }
};

/// The armor alone on so many threads, each with packets of its own; packets per cycle.
double run_crypto(const Row& row, const std::vector<ByteVector>& packets, unsigned threads) {
  std::atomic<bool> stop{false};
  std::vector<CryptoThread> all(threads, CryptoThread{row, &packets, &stop, {}});
  for (unsigned i = 0; i < threads; ++i) launch(i, all[i]);
  std::this_thread::sleep_for(kWarmUp + kWindow * kWindows);
  stop = true;
  double rate = 0;
  for (unsigned i = 0; i < threads; ++i) {
    await(i);
    auto& cycles = all[i].cycles;
    std::ranges::nth_element(cycles,
                             cycles.begin() + static_cast<std::ptrdiff_t>(cycles.size() / 2));
    rate += kBurst / static_cast<double>(cycles[cycles.size() / 2]);
  }
  return rate;
}

/// What one round measured, one thing right after the other.
struct Round {
  double trip;
  double armor[kWorkers], workers[kWorkers];  // packets per cycle

  [[nodiscard]] double armor_gain() const { return armor[1] / armor[0]; }

  [[nodiscard]] double gain() const { return workers[1] / workers[0]; }
};

template <typename Of>
double median(std::span<const Round> rounds, Of of) {
  Rates values;
  for (const Round& round : rounds) values.push_back(of(round));
  return median(std::move(values));
}

void print(const Row& row, const char* cores, std::span<const Round> rounds) {
  if (rounds.empty()) return;
  const double mega = bench::tsc_ghz() * 1e3;
  const auto of = [&](auto each) { return median(rounds, each); };
  std::printf("%-9s %5u  %-5s %6zu  %5.0f %9.2f %9.2f %6.2f %9.2f %9.2f %6.2f %6.2f\n",
              row.outbound ? "outbound" : "inbound", static_cast<unsigned>(row.suite), cores,
              rounds.size(), of([](const Round& r) { return r.trip; }),
              of([&](const Round& r) { return r.workers[0] * mega; }),
              of([&](const Round& r) { return r.workers[1] * mega; }),
              of([](const Round& r) { return r.gain(); }),
              of([&](const Round& r) { return r.armor[0] * mega; }),
              of([&](const Round& r) { return r.armor[1] * mega; }),
              of([](const Round& r) { return r.armor_gain(); }),
              of([](const Round& r) { return r.gain() / r.armor_gain(); }));
  std::fflush(stdout);
}

/// Rounds on cores that are near each other and on those that are not stand in rows of their own.
bool bench(unsigned count) {
  bool good = true;
  std::printf(
      "%zu-byte frames, one peer, one flow; medians; trip: cycles of a cache line to the "
      "other worker and back\n"
      "direction suite  cores rounds   trip       Mpps of workers            Mpps of armor "
      "alone         kept\n"
      "                                          1         2   gain         1         2   "
      "gain\n",
      kPayload + 14);
  for (const Row row :
       {Row{true, wire::Suite::kSalsaPoly}, Row{true, wire::Suite::kAesGmacSiv},
        Row{false, wire::Suite::kSalsaPoly}, Row{false, wire::Suite::kAesGmacSiv}}) {
    const std::vector<ByteVector> packets = sealed(row.suite);
    End end("fanout", row.outbound ? kA : kB, row.outbound ? kB : kA, row.suite);
    std::vector<Round> rounds;
    for (unsigned r = 0; r < count; ++r) {
      Round round{};
      const double before = round_trip();
      for (unsigned n = 1; n <= kWorkers; ++n) {
        round.armor[n - 1] = run_crypto(row, packets, n);
        good &= run_workers(end, row, packets, n, round.workers[n - 1]);
      }
      round.trip = std::max(before, round_trip());
      rounds.push_back(round);
    }
    const auto far = std::ranges::partition(rounds, [](const Round& r) { return r.trip < kNear; });
    print(row, "near", {rounds.begin(), far.begin()});
    print(row, "far", far);
  }
  return good;
}

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  using namespace orrery::dataplane;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1) {
    std::fputs("usage: fanout_bench [ROUNDS]\n", stderr);
    return 2;
  }
  orrery::crypto::init();
  const auto cpus = usable_cpus();
  if (cpus.size() < kWorkers) {
    std::fputs("fanout_bench needs two CPUs\n", stderr);
    return 77;
  }
  EalOptions options;
  options.program = "fanout_bench";
  options.file_prefix = "orrery_fanout_bench_" + std::to_string(::getpid());
  auto placement = place(cpus, std::to_string(cpus[0].id) + "," + std::to_string(cpus[1].id), -1);
  if (!placement) return 1;
  options.placement = *placement;
  auto pools = start_eal(options);
  if (!pools) {
    std::fprintf(stderr, "%s\n", pools.error().text.c_str());
    return 1;
  }
  g_pools = *pools;
  set_priority(Priority::kReferee);
  const bool good = bench(static_cast<unsigned>(rounds));
  if (!good) std::fputs("FAILED: packets out of order, dropped or lost\n", stderr);
  stop_eal(g_pools);
  return good ? 0 : 1;
}
