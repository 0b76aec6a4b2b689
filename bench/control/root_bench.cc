// What a root has to pay for HELLO, WHOIS and remembering, in control alone: datagrams in, effects
// out, no sockets and no worker.
//
// Its peers share one key and differ by address, since a proof of work each would take days; who is
// said to be proven is proven at once. The node cannot tell: it agrees on a secret with every one
// of them. Packets are made and sealed off the clock. Rows, by name:
//
//   hello_known      HELLO of a peer with a path, newer than the one before
//   hello_stranger   HELLO of somebody new from a /24 of his own, its MAC right; 20 in a simulated
//                    millisecond
//   hello_forged     HELLO in the name of a peer, its MAC wrong
//   whois            WHOIS of a peer for another
//   peer             the exchange that makes a peer: HELLO, proof, probe and its answer
//   tick             five seconds of the node's own timers, nothing else coming in
//   restart          a node that begins with all of them in its cache, and pinned
//
// Counters: cycles/<what> (median, of the processor time), per_second (on one core), answered
// (percent), bytes (of resident memory for each peer), longest (milliseconds that one turn of the
// timers took).
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "control/node.h"
#include "control/node/forger.h"
#include "crypto/identity_work.h"
#include "crypto/kdf.h"
#include "rounds.h"
#include "sim/identities.h"
#include "wire/verbs/whois.h"
#include "wire/world.h"

namespace orrery {
namespace {

constexpr std::size_t kBatch = 512;
constexpr std::uint64_t kFirstPeer = 0x0100000000;
constexpr std::uint64_t kFirstStranger = 0x7000000000;
const wire::Endpoint kRootAt = wire::Endpoint::v4(0x0a000002, 9993);

/// Processor seconds of this thread: what others do on the machine meanwhile does not count.
double cpu_now() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

/// Median processor time of the rounds of a row, as cycles of the time-stamp counter.
class CpuRounds {
 public:
  explicit CpuRounds(benchmark::State& state) : state_(state) {}

  template <typename Run>
  void time(Run run) {
    const double begin = cpu_now();
    run();
    const double spent = cpu_now() - begin;
    state_.SetIterationTime(spent);
    nanoseconds_.push_back(static_cast<std::uint64_t>(spent * 1e9));
  }

  /// Of one of `count` in a round.
  void report(const char* what, std::size_t count) {
    cycles_ = bench::median(nanoseconds_) * bench::tsc_ghz() / static_cast<double>(count);
    state_.counters[std::string("cycles/") + what] = cycles_;
  }

  [[nodiscard]] double per_second() const { return bench::tsc_ghz() * 1e9 / cycles_; }

 private:
  benchmark::State& state_;
  std::vector<std::uint64_t> nanoseconds_;
  double cycles_ = 1;
};

/// A /24 of its own for each.
wire::Endpoint endpoint_of(std::uint32_t number, std::uint32_t block) {
  return wire::Endpoint::v4(block + (number << 8) + 7, 9993);
}

struct Identities {
  crypto::SecretIdentity root = crypto::generate_identity();
  crypto::SecretIdentity everybody = crypto::generate_identity();
};

const Identities& identities() {
  static const Identities all;
  return all;
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %zu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

control::NodeOptions root_options(std::size_t peers) {
  wire::World planet;
  planet.type = wire::World::Type::kPlanet;
  planet.id = 1;
  planet.timestamp = 1;
  planet.roots.push_back({identities().root.identity(), {kRootAt}});
  control::NodeOptions options{.identity = sim::copy_of(identities().root)};
  options.planet = wire::encode_world(planet);
  options.identity_accepted = true;
  options.limits.peers = std::max<std::size_t>(peers + peers / 4, 65'536);
  options.limits.paths = options.limits.peers * 2;
  options.limits.requests = 65'536;
  options.entropy = [random = std::uint64_t{1}](MutableBytes bytes) mutable {
    for (std::uint8_t& b : bytes)
      b = static_cast<std::uint8_t>((random = random * 6364136223846793005 + 1) >> 56);
  };
  return options;
}

/// A root and, at the other end of every path, its peers.
class Root {
 public:
  explicit Root(std::size_t peers)
      : node(root_options(peers)),
        far(sim::copy_of(identities().everybody), identities().root.identity()) {
    node.on_local_endpoints(now, {{1, kRootAt}}, out);
    settle();
    ::malloc_trim(0);
    const std::size_t before = resident_bytes();
    std::vector<std::uint64_t> cycles;
    for (; count < peers; ++count) {
      if (count % 4 == 0) pass();
      const double start = cpu_now();
      meet(count);
      cycles.push_back(static_cast<std::uint64_t>((cpu_now() - start) * bench::tsc_ghz() * 1e9));
    }
    cycles_of_peer = bench::median(std::move(cycles));
    ::malloc_trim(0);
    if (count != 0) bytes_of_peer = (resident_bytes() - before) / count;
  }

  void take(const wire::Endpoint& from, Bytes datagram) {
    node.on_datagram(now, {1, from}, datagram, out);
  }

  ByteVector hello_of(wire::Address address) {
    far.speak_as(address);
    return far.hello(id += 8, now.wall, kRootAt);
  }

  [[nodiscard]] static wire::Address peer(std::size_t number) {
    return wire::Address{kFirstPeer + number};
  }

  [[nodiscard]] static wire::Endpoint place(std::size_t number) {
    return endpoint_of(static_cast<std::uint32_t>(number), 0x50000000);
  }

  /// Datagrams that came out; proofs hold, everything else is forgotten.
  std::size_t settle() {
    const std::size_t sent = out.datagrams.size();
    std::vector<control::ValidateIdentity> jobs = std::exchange(out.validations, {});
    out.clear();
    for (const control::ValidateIdentity& job : jobs)
      node.on_identity_validated(now, job.identity, true, out);
    out.clear();
    return sent;
  }

  /// A millisecond passes.
  void pass() {
    ++now.mono;
    ++now.wall;
    if (node.next_deadline() <= now.mono) node.tick(now, out);
    out.clear();
  }

  [[nodiscard]] std::uint64_t counted(std::string_view label) const {
    for (const auto& [name, value] : node.counters()) {
      if (label == name) return value;
    }
    std::abort();
  }

  Now now{1'000'000, 1'700'000'000'000};
  control::Effects out;
  control::Node node;
  test::Forger far;
  std::uint64_t id = 8;
  std::size_t count = 0;
  std::size_t strangers = 0;
  double cycles_of_peer = 0;
  std::size_t bytes_of_peer = 0;

 private:
  void meet(std::size_t number) {
    take(place(number), hello_of(peer(number)));
    std::vector<control::Datagram> sent = std::exchange(out.datagrams, {});
    settle();
    for (const control::Datagram& datagram : sent) {
      const auto open = far.open(datagram.payload);
      if (!open || (*open)[wire::kVerbOffset] != static_cast<std::uint8_t>(wire::Verb::kEcho))
        continue;
      std::array<std::uint8_t, 16> payload;
      Writer writer(payload);
      wire::encode_ok(
          writer,
          {static_cast<std::uint8_t>(wire::Verb::kEcho), load_be64(datagram.payload.data()), {}});
      take(place(number),
           far.seal(id += 8, wire::Verb::kOk, writer.written(), wire::Suite::kAesGmacSiv));
    }
    settle();
  }
};

/// Built once for all rows of that size: a million takes more than a minute.
Root& root_of(std::size_t peers) {
  static std::size_t size = 0;
  static std::unique_ptr<Root> root;
  if (!root || size != peers) {
    root.reset();
    root = std::make_unique<Root>(peers);
    size = peers;
  }
  return *root;
}

/// `make` gives the next datagram and where it comes from; `per_ms` of them come in a simulated
/// millisecond. Each must be answered by `answers` datagrams.
template <typename Make>
void rate(benchmark::State& state, Root& root, std::size_t per_ms, std::size_t answers, Make make) {
  CpuRounds rounds(state);
  std::size_t asked = 0, answered = 0;
  for ([[maybe_unused]] auto _ : state) {
    // A peer says something newer than the last time, and rates of each have come back.
    root.now.mono += 1'000;
    root.now.wall += 1'000;
    std::vector<std::pair<wire::Endpoint, ByteVector>> batch;
    batch.reserve(kBatch);
    for (std::size_t i = 0; i < kBatch; ++i) batch.push_back(make(root));
    rounds.time([&] {
      for (std::size_t i = 0; i < kBatch; ++i) {
        if (per_ms != 0 && i % per_ms == 0) {
          ++root.now.mono;
          ++root.now.wall;
        }
        root.take(batch[i].first, batch[i].second);
      }
    });
    asked += kBatch;
    answered += root.settle();
  }
  rounds.report("packet", kBatch);
  state.counters["per_second"] = rounds.per_second();
  state.counters["answered"] = 100.0 * static_cast<double>(answered) /
                               static_cast<double>(asked * std::max<std::size_t>(answers, 1));
}

std::size_t peers_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}

/// Peers in an order that no cache foresees.
std::size_t next_peer(std::size_t count) {
  static std::uint64_t at = 1;
  at = at * 6364136223846793005 + 1442695040888963407;
  return (at >> 33) % count;
}

void hello_known(benchmark::State& state) {
  rate(state, root_of(peers_of(state)), 0, 1, [](Root& root) {
    const std::size_t number = next_peer(root.count);
    return std::pair(Root::place(number), root.hello_of(Root::peer(number)));
  });
}

void hello_forged(benchmark::State& state) {
  rate(state, root_of(peers_of(state)), 0, 0, [](Root& root) {
    const std::size_t number = next_peer(root.count);
    ByteVector hello = root.hello_of(Root::peer(number));
    hello.back() ^= 1;
    return std::pair(Root::place(number), std::move(hello));
  });
}

void hello_stranger(benchmark::State& state) {
  rate(state, root_of(peers_of(state)), 20, 2, [](Root& root) {
    const std::size_t number = root.strangers++;
    return std::pair(endpoint_of(static_cast<std::uint32_t>(number % 0x100000), 0x60000000),
                     root.hello_of(wire::Address{kFirstStranger + number}));
  });
}

void whois(benchmark::State& state) {
  rate(state, root_of(peers_of(state)), 0, 1, [](Root& root) {
    const std::size_t number = next_peer(root.count);
    root.far.speak_as(Root::peer(number));
    std::array<std::uint8_t, wire::Address::kSize> payload;
    Writer writer(payload);
    writer.u40(Root::peer(next_peer(root.count)).value);
    return std::pair(Root::place(number), root.far.seal(root.id += 8, wire::Verb::kWhois, payload,
                                                        wire::Suite::kAesGmacSiv));
  });
}

void peer(benchmark::State& state) {
  const Root& root = root_of(peers_of(state));
  for ([[maybe_unused]] auto _ : state) state.SetIterationTime(1e-6);
  state.counters["cycles/peer"] = root.cycles_of_peer;
  state.counters["bytes"] = static_cast<double>(root.bytes_of_peer);
}

void tick(benchmark::State& state) {
  Root& root = root_of(peers_of(state));
  double longest = 0;
  CpuRounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    rounds.time([&] {
      for (const Millis end = root.now.mono + 5'000; root.now.mono < end;) {
        const Millis next = std::clamp<Millis>(root.node.next_deadline(), root.now.mono + 1, end);
        root.now.wall += next - root.now.mono;
        root.now.mono = next;
        const double start = cpu_now();
        root.node.tick(root.now, root.out);
        longest = std::max(longest, cpu_now() - start);
        root.out.clear();
      }
    });
  }
  rounds.report("peer", peers_of(state));
  state.counters["longest"] = longest * 1e3;
}

void restart(benchmark::State& state) {
  const std::size_t peers = peers_of(state);
  CpuRounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    control::NodeOptions options = root_options(peers);
    for (std::size_t i = 0; i < peers; ++i) {
      wire::Identity identity = identities().everybody.identity();
      identity.address = Root::peer(i);
      ByteVector record(128);
      Writer writer(record);
      writer.u8(2);
      wire::write_identity(writer, identity);
      for (unsigned v = 0; v < 4; ++v) writer.u16(1);
      writer.u16(1);
      wire::write_endpoint(writer, Root::place(i));
      record.resize(writer.size());
      options.cached_peers.emplace_back(identity.address, std::move(record));
      options.pins.emplace(identity.address, crypto::fingerprint(identity));
    }
    std::unique_ptr<control::Node> node;
    rounds.time([&] { node = std::make_unique<control::Node>(std::move(options)); });
  }
  rounds.report("peer", peers);
  state.counters["seconds"] =
      state.counters["cycles/peer"] * static_cast<double>(peers) / bench::tsc_ghz() / 1e9;
}

#define ORRERY_ROWS(peers)                                                                \
  BENCHMARK(peer)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(1);          \
  BENCHMARK(hello_known)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(40);  \
  BENCHMARK(hello_forged)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(40); \
  BENCHMARK(whois)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(40);        \
  BENCHMARK(tick)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(12);         \
  BENCHMARK(hello_stranger)->ArgName("peers")->Arg(peers)->UseManualTime()->Iterations(40)

ORRERY_ROWS(10'000);
ORRERY_ROWS(100'000);
ORRERY_ROWS(1'000'000);
BENCHMARK(restart)->ArgName("peers")->Arg(1'000'000)->UseManualTime()->Iterations(1);

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  orrery::crypto::init();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
