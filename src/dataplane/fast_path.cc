#include "dataplane/fast_path.h"

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>
#include <time.h>

#include <algorithm>

#include "dataplane/partition.h"
#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

// The inbound row: what must run in order, and what need not.
#define ORRERY_STEP(stage) {stage, StageId::stage}
constexpr Step kGather[] = {ORRERY_STEP(classify), ORRERY_STEP(relay), ORRERY_STEP(reassemble)};
constexpr Step kOpen[] = {
    ORRERY_STEP(sender),  ORRERY_STEP(dearmor),  ORRERY_STEP(replay),
    ORRERY_STEP(inflate), ORRERY_STEP(dispatch), ORRERY_STEP(gate),
    ORRERY_STEP(filter),  ORRERY_STEP(learn),    ORRERY_STEP(deliver),
};
// The outbound row: what goes to many, and all the rest.
constexpr Step kSetApart[] = {ORRERY_STEP(flow), ORRERY_STEP(multicast)};
constexpr Step kFlow[] = {ORRERY_STEP(flow)};
constexpr Step kResolve[] = {ORRERY_STEP(resolve), ORRERY_STEP(filter_out)};
constexpr Step kCredentials[] = {ORRERY_STEP(credentials)};
constexpr Step kSeal[] = {ORRERY_STEP(steer), ORRERY_STEP(encap), ORRERY_STEP(armor),
                          ORRERY_STEP(fragment)};
#undef ORRERY_STEP

}  // namespace

FastPath::FastPath(Tables& tables, const Pools& pools, const FastPathOptions& options)
    : worker_(options.worker),
      recorder_(options.recorder),
      context_(tables, pools, options),
      vector_{} {
  rte_rcu_qsbr_thread_register(tables.rcu.get(), worker_);
  refresh_clock();
}

FastPath::~FastPath() {
  rte_rcu_qsbr_thread_unregister(context_.tables.rcu.get(), worker_);
}

void FastPath::refresh_clock() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  context_.now_ms = static_cast<Millis>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000 + 1;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
  context_.wall_ns =
      static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
}

void FastPath::online() noexcept {
  rte_rcu_qsbr_thread_online(context_.tables.rcu.get(), worker_);
}

void FastPath::quiescent() noexcept {
  rte_rcu_qsbr_quiescent(context_.tables.rcu.get(), worker_);
  refresh_clock();
}

void FastPath::offline() noexcept {
  rte_rcu_qsbr_thread_offline(context_.tables.rcu.get(), worker_);
}

void FastPath::expire(DropCounters& drops) noexcept {
  drops[static_cast<std::size_t>(Drop::kFragmentTimeout)] +=
      context_.reassembly.expire(context_.now_ms);
}

template <std::size_t N>
void FastPath::run(const Step (&steps)[N]) noexcept {
  std::uint64_t before = rte_rdtsc();
  for (const Step& step : steps) {
    const unsigned lanes = vector_.n;
    if (lanes == 0) return;
    step.run(context_, vector_);
    partition(context_, vector_);
    if (context_.recorder != nullptr) [[unlikely]]
      context_.recorder->passed(step.id, vector_);
    const std::uint64_t now = rte_rdtsc();
    StageCount& count = stages_[static_cast<std::size_t>(step.id)];
    count.packets += lanes;
    ++count.vectors;
    count.cycles += now - before;
    before = now;
  }
}

void FastPath::load(Spot spot, rte_mbuf** burst, unsigned n, Outcome& out,
                    DropCounters& drops) noexcept {
  context_.out = &out;
  context_.drops = &drops;
  if (context_.recorder != nullptr) [[unlikely]]
    context_.recorder->begin(spot);
  vector_.load(burst, n);
}

void FastPath::inbound(rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept {
  load(kOuterIn, burst, n, out, drops);
  run(kGather);
  run(kOpen);
}

unsigned FastPath::gather(rte_mbuf** burst, unsigned n, Outcome& out,
                          DropCounters& drops) noexcept {
  load(kHostOut, burst, n, out, drops);
  run(kGather);
  std::copy_n(vector_.mbuf.data(), vector_.n, burst);
  return vector_.n;
}

void FastPath::open(rte_mbuf** burst, unsigned n, Outcome& out, DropCounters& drops) noexcept {
  load(kOuterIn, burst, n, out, drops);
  run(kOpen);
}

void FastPath::load(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                    DropCounters& drops) noexcept {
  load(kHostOut, burst, n, out, drops);
  const NetworkRecord* record = context_.tables.networks.find({network.value});
  for (unsigned i = 0; i < n; ++i) {
    vector_.network[i] = record;
    meta_of(burst[i]).network = network.value;  // for control, should it be punted
  }
}

void FastPath::outbound(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                        DropCounters& drops) noexcept {
  load(network, burst, n, out, drops);
  run(kSetApart);
  run(kResolve);
  run(kCredentials);
  run(kSeal);
}

unsigned FastPath::set_apart(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                             DropCounters& drops) noexcept {
  load(network, burst, n, out, drops);
  run(kSetApart);
  std::copy_n(vector_.mbuf.data(), vector_.n, burst);
  return vector_.n;
}

void FastPath::seal(wire::NetworkId network, rte_mbuf** burst, unsigned n, Outcome& out,
                    DropCounters& drops) noexcept {
  load(network, burst, n, out, drops);
  run(kFlow);
  run(kResolve);
  run(kCredentials);
  run(kSeal);
}

rte_mbuf* FastPath::answer(fib::Neighbour owner, Bytes question) const noexcept {
  return answer_in_name_of(owner, question, context_.pools);
}

void FastPath::fill(void (*stage)(WorkerContext&, PacketVector&) noexcept, StageId id, Outcome& out,
                    DropCounters& drops) noexcept {
  context_.out = &out;
  context_.drops = &drops;
  Recorder* const recorder = context_.recorder;
  if (recorder != nullptr) [[unlikely]]
    recorder->begin(kHostOut);
  const std::uint64_t before = rte_rdtsc();
  stage(context_, vector_);  // it begins with an empty vector
  if (recorder != nullptr) [[unlikely]]
    recorder->passed(id, vector_);
  StageCount& count = stages_[static_cast<std::size_t>(id)];
  count.packets += vector_.n;
  ++count.vectors;
  count.cycles += rte_rdtsc() - before;
}

bool FastPath::replicate(Outcome& out, DropCounters& drops) noexcept {
  if (!context_.multicasts.empty()) {
    fill(orrery::dataplane::replicate, StageId::replicate, out, drops);
    run(kCredentials);
  } else if (!context_.copies.empty()) {
    fill(copies, StageId::copies, out, drops);
  } else {
    return false;
  }
  run(kSeal);
  return true;
}

}  // namespace orrery::dataplane
