// What rules cost a packet: time-stamp cycles of judging vectors of 64 frames, reading their
// headers included, by the number of rules.
//
//   frame   the evaluator of one frame (fib/rules.h), which defines what is right
//   list    all frames at once (fib/rule_program.h)
//   flows   the same behind the cache of flows, warm: every flow was seen before
//   cold    the same with a cache that knows none of them
//
// A rule is a statement of two or three matches and an action, such as "accept ipprotocol tcp dport
// 1005". Frames are of 256 flows; a quarter of them is decided by no rule but the last, which
// accepts, the others each by one by chance. Lists of 1,000 such rules are longer than a network's
// may be (1,024 entries).
#include "fib/rule_judge.h"

#include <memory>

#include "rounds.h"

namespace orrery::fib {
namespace {

using wire::Rule;
using wire::RuleType;

constexpr std::size_t kFlows = 256;
constexpr std::size_t kFrameSize = 84;  // bytes of payload: a small TCP segment

Rule rule(RuleType type, std::initializer_list<unsigned> data = {}) {
  Rule r;
  r.type = static_cast<std::uint8_t>(type);
  std::transform(data.begin(), data.end(), r.data.begin(),
                 [](unsigned byte) { return static_cast<std::uint8_t>(byte); });
  return r;
}

/// Statement `i`: by port, by source or by both.
void add_statement(std::vector<Rule>& rules, unsigned i) {
  const unsigned port = 1000 + i;
  rules.push_back(rule(RuleType::kMatchEthertype, {0x08, 0x00}));
  if (i % 3 != 0)
    rules.push_back(rule(RuleType::kMatchIpv4Source, {10, i % 3, i >> 8, i & 0xff, 32}));
  if (i % 3 != 1) {
    rules.push_back(rule(RuleType::kMatchIpProtocol, {6}));
    rules.push_back(
        rule(RuleType::kMatchIpDestPortRange, {port >> 8, port & 0xff, port >> 8, port & 0xff}));
  }
  rules.push_back(rule(i % 2 == 0 ? RuleType::kActionAccept : RuleType::kActionDrop));
}

struct Scene {
  explicit Scene(unsigned statements) {
    network.id = wire::NetworkId{0x8056c2e21c000001ULL};
    network.self = wire::Address{0x1111111111};
    network.mac = wire::mac_of(network.self, network.id);
    network.revision = 1;
    for (unsigned i = 0; i < statements; ++i) add_statement(network.rules, i);
    network.rules.push_back(rule(RuleType::kActionAccept));
    ready.emplace(network);
    member.network = network.id;
    member.address = wire::Address{0x2222222222};
    member.revision = 2;
    std::uint32_t state = 1;
    for (auto& packet : packets) {
      state = state * 1664525 + 1013904223;
      // Beyond the list: decided by its last entry.
      const unsigned i = (state >> 8) % (statements + statements / 3 + 1);
      packet[0] = 0x45;
      packet[8] = 64;
      packet[9] = 6;
      const std::uint8_t source[4] = {10, static_cast<std::uint8_t>(i % 3),
                                      static_cast<std::uint8_t>(i >> 8),
                                      static_cast<std::uint8_t>(i)};
      std::copy_n(source, 4, packet.begin() + 12);
      store_be32(packet.data() + 16, 0x0a010001);
      store_be16(packet.data() + 20, static_cast<std::uint16_t>(state >> 16));
      store_be16(packet.data() + 22, static_cast<std::uint16_t>(1000 + i));
    }
  }

  void write(RuleFrame& f, std::size_t i) const {
    f.source = member.address;
    f.destination = network.self;
    f.mac_source = wire::Mac{0x320102030405};
    f.mac_destination = network.mac;
    f.ethertype = 0x0800;
    f.tag_control = 0;
    f.payload = packets[i % kFlows];
    f.tag = 0;
  }

  Network network;
  Member member;
  std::optional<ReadyRules> ready;
  std::array<std::array<std::uint8_t, kFrameSize>, kFlows> packets{};
};

void by_frame(benchmark::State& state) {
  const auto scene = std::make_unique<Scene>(static_cast<unsigned>(state.range(0)));
  bench::Rounds rounds(state);
  std::size_t first = 0;
  for (auto _ : state) {
    rounds.time([&] {
      for (std::size_t i = 0; i < kRuleLanes; ++i) {
        RuleFrame frame;
        scene->write(frame, first + i);
        const FilterVerdict verdict = filter_in(scene->network, scene->member, frame, 0);
        benchmark::DoNotOptimize(verdict.filter);
      }
    });
    first += kRuleLanes;
  }
  rounds.report("packet", kRuleLanes, 0);
}

void judged(benchmark::State& state, std::size_t flows, bool forget) {
  const auto scene = std::make_unique<Scene>(static_cast<unsigned>(state.range(0)));
  const auto judge = std::make_unique<RuleJudge>(flows, 5, 0);
  const auto lanes = std::make_unique<RuleLanes>();
  const auto out = std::make_unique<Judged>();
  bench::Rounds rounds(state);
  std::size_t first = 0;
  for (auto _ : state) {
    if (forget) ++scene->network.revision;
    rounds.time([&] {
      RuleHits hits;
      {
        RuleLanes::Filling filling(*lanes);
        for (std::size_t i = 0; i < kRuleLanes; ++i) {
          scene->write(filling.frame(), first + i);
          filling.add(&scene->member);
        }
      }
      judge->judge(scene->network, *scene->ready, true, true, *lanes, *out, hits,
                   [] { return 0u; });
      benchmark::DoNotOptimize(out->accept);
      benchmark::DoNotOptimize(hits.count);
    });
    first += kRuleLanes;
  }
  rounds.report("packet", kRuleLanes, 0);
}

void list(benchmark::State& state) {
  judged(state, 0, false);
}

void flows(benchmark::State& state) {
  judged(state, 4096, false);
}

void cold(benchmark::State& state) {
  judged(state, 4096, true);
}

#define ORRERY_RULES_BENCH(name) \
  BENCHMARK(name)->ArgName("rules")->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->UseManualTime()
BENCHMARK(by_frame)
    ->Name("frame")
    ->ArgName("rules")
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->UseManualTime();
ORRERY_RULES_BENCH(list);
ORRERY_RULES_BENCH(flows);
ORRERY_RULES_BENCH(cold);

}  // namespace
}  // namespace orrery::fib

BENCHMARK_MAIN();
