// What many entries cost: look-ups of a vector's 64 keys at random places of the workers' tables,
// and the memory of an entry.
//
//   peers       with the schedules of AES (of 4,096 at most, as the daemon has it) and without
//   macs        stations behind remote bridges
//   networks    joined, each with 100 members
//   members     of all these networks together
//
// Counters: cycles/lookup (time-stamp cycles, median round, the first byte of the record read),
// bytes (of an entry: heap and locked memory; DPDK's tables, allotted whole at the start, not
// counted).
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdio>

#include "crypto/locked_memory.h"
#include "gateway_scene.h"
#include "rounds.h"
#include "start.h"

namespace orrery::dataplane {
namespace {

constexpr unsigned kKeys = 64;
constexpr std::size_t kMembersEach = 100;

/// Bytes that records take: of the heap, and of locked memory.
std::size_t in_use() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd + crypto::locked_memory().in_use;
}

wire::NetworkId network_of(std::size_t i) {
  return wire::NetworkId{0x8056c2e21c000000ULL + i};
}

/// Random numbers below `most`.
class Random {
 public:
  std::size_t operator()(std::size_t most) {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((state_ >> 33) % most);
  }

 private:
  std::uint64_t state_ = 1;
};

/// `key(i)` is the i-th of `count` entries.
template <typename Key, typename Record, std::size_t kHot, typename Make>
void look_up(benchmark::State& state, const RcuTable<Key, Record, kHot>& table, std::size_t count,
             Make key) {
  Random random;
  std::vector<std::uint64_t> cycles;
  for ([[maybe_unused]] auto _ : state) {
    std::array<Key, kKeys> keys;
    std::array<const Key*, kKeys> wanted;
    std::array<const Record*, kKeys> found;
    for (unsigned i = 0; i < kKeys; ++i) {
      keys[i] = key(random(count));
      wanted[i] = &keys[i];
    }
    const std::uint64_t begin = __rdtsc();
    table.find_bulk(wanted.data(), kKeys, found.data());
    unsigned missing = 0;
    std::uint8_t read = 0;
    for (const Record* r : found) {
      missing += r == nullptr ? 1 : 0;
      if (r != nullptr) read ^= *reinterpret_cast<const std::uint8_t*>(r);
    }
    benchmark::DoNotOptimize(read);
    cycles.push_back(__rdtsc() - begin);
    state.SetIterationTime(static_cast<double>(cycles.back()) / bench::tsc_ghz() / 1e9);
    if (missing != 0) state.SkipWithError("entries are missing");
  }
  state.counters["cycles/lookup"] = bench::median(cycles) / kKeys;
}

unsigned g_made = 0;

struct Scene {
  Scene() : publisher(tables) {
    if (!tables.open("scale" + std::to_string(g_made++))) std::abort();
  }

  Tables tables;
  Publisher publisher;
};

void peers(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Scene scene;
  const std::size_t before = in_use();
  for (std::size_t i = 0; i < count; ++i) {
    fib::Peer peer;
    peer.address = address_of(i);
    peer.secret = crypto::Secret(secret_of(i));
    peer.suite = wire::Suite::kAesGmacSiv;
    peer.path = {1, endpoint_of(i)};
    scene.publisher.apply(peer);
  }
  const std::size_t grown = in_use() - before;
  look_up(state, scene.tables.peers, count,
          [](std::size_t i) { return PeerKey{address_of(i).value}; });
  state.counters["bytes"] = static_cast<double>(grown) / static_cast<double>(count);
  state.counters["active"] = static_cast<double>(scene.publisher.active());
}

void macs(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Scene scene;
  const std::size_t before = in_use();
  for (std::size_t i = 0; i < count; ++i)
    scene.publisher.apply(
        fib::BridgeRoute{kNetwork, wire::Mac{0x0a0000000000ULL + i * 7919}, address_of(i % 100)});
  const std::size_t grown = in_use() - before;
  if (scene.publisher.refused() != 0) state.SkipWithError("no room");
  look_up(state, scene.tables.bridge_routes, count,
          [](std::size_t i) { return BridgeKey{kNetwork.value, 0x0a0000000000ULL + i * 7919}; });
  state.counters["bytes"] = static_cast<double>(grown) / static_cast<double>(count);
}

void join_all(Scene& scene, std::size_t count, std::size_t members) {
  for (std::size_t n = 0; n < count; ++n) {
    fib::Network network;
    network.id = network_of(n);
    network.self = kSelf;
    network.mac = wire::mac_of(kSelf, network.id);
    scene.publisher.apply(network);
    for (std::size_t i = 0; i < members; ++i) {
      fib::Member member;
      member.network = network.id;
      member.address = address_of(i);
      member.allowed = member.credentials_pushed = true;
      scene.publisher.apply(member);
    }
  }
}

void networks(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Scene scene;
  const std::size_t before = in_use();
  join_all(scene, count, 0);
  const std::size_t grown = in_use() - before;
  look_up(state, scene.tables.networks, count,
          [](std::size_t i) { return NetworkKey{network_of(i).value}; });
  state.counters["bytes"] = static_cast<double>(grown) / static_cast<double>(count);
}

void members(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Scene scene;
  const std::size_t before = in_use();
  join_all(scene, count / kMembersEach, kMembersEach);
  const std::size_t grown = in_use() - before;
  if (scene.publisher.refused() != 0) state.SkipWithError("no room");
  look_up(state, scene.tables.members, count, [](std::size_t i) {
    return MemberKey{network_of(i / kMembersEach).value, address_of(i % kMembersEach).value};
  });
  state.counters["bytes"] = static_cast<double>(grown) / static_cast<double>(count);
}

BENCHMARK(peers)
    ->ArgName("entries")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(60'000)
    ->UseManualTime();
BENCHMARK(macs)->ArgName("entries")->Arg(1'000)->Arg(10'000)->Arg(100'000)->UseManualTime();
BENCHMARK(networks)->ArgName("entries")->Arg(1)->Arg(100)->Arg(1'000)->UseManualTime();
BENCHMARK(members)->ArgName("entries")->Arg(1'000)->Arg(10'000)->Arg(100'000)->UseManualTime();

}  // namespace
}  // namespace orrery::dataplane

int main(int argc, char** argv) {
  orrery::dataplane::EalOptions options;
  options.memory_mib = 256;
  options.wire_mbufs = 1024;
  options.frame_mbufs = 256;
  orrery::dataplane::Pools pools;
  return orrery::bench::run(argc, argv, "scale_bench", options, pools);
}
