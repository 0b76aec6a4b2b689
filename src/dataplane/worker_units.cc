// The part of the worker that shares work with the others of its team.
//
// Ledger: what is laid out is `held` until it is released, whoever works on it. With the release
// the owner learns who did: a unit that was another's is `lent` and `regained`, there `borrowed`
// and `repaid`.
#include "dataplane/worker.h"

#include <rte_cycles.h>

namespace orrery::dataplane {
namespace {

/// From here on a burst is laid out. Less is done before another worker has noticed, and a worker
/// that gets less is not behind.
constexpr unsigned kWorthSharing = 32;  // packets
/// What waits for each of the others while this one works on a unit of its own: with one only they
/// would run dry whenever they are a little faster, with many the caches hold what nobody needs
/// yet.
constexpr unsigned kAheadOfEach = 2;  // units
/// With one unit in the hands of each of 15 workers there is still room for a burst.
constexpr unsigned kMostAhead = 12;
static_assert(kMostAhead + 15 < Team::Units::kWindow);

unsigned packets_in(const Outcome& o) {
  return o.delivers + o.transmits + o.punts;
}

/// In assembly: g++ drops functions that do nothing but prefetch. The line is fetched to be
/// written, which spares a second trip to the core that wrote it last; where the instruction is
/// unknown it does nothing.
inline void fetch(const void* line) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
}

/// All lines of a unit at once, since each comes from the core that wrote it last: two workers on
/// 1,400-byte packets do 5 to 10 % more than when they meet the misses one after another.
void fetch(const WorkUnit& unit) {
  for (unsigned i = 0; i < unit.n; ++i) {
    fetch(unit.packets[i]);
    fetch(&meta_of(unit.packets[i]));
  }
  for (unsigned i = 0; i < unit.n; ++i) {
    const char* data = rte_pktmbuf_mtod(unit.packets[i], const char*);
    const int size = rte_pktmbuf_data_len(unit.packets[i]);
    // The headers of the overlay go in front.
    for (int at = -static_cast<int>(kCacheLine); at < size; at += kCacheLine) fetch(data + at);
  }
}

/// What the owner looks at in packets that another has worked on.
void fetch_back(rte_mbuf* const* packets, unsigned n) {
  for (unsigned i = 0; i < n; ++i) {
    fetch(packets[i]);
    fetch(&meta_of(packets[i]));
  }
}

}  // namespace

bool Worker::at_once(unsigned n) noexcept {
  return place_.team == nullptr || (n < kWorthSharing && units().idle());
}

void Worker::inbound(rte_mbuf** burst, unsigned n) noexcept {
  const std::uint64_t begun = rte_rdtsc();
  if (at_once(n)) {
    fast_path_->inbound(burst, n, outcome_, counters_.drops);
    finish(outcome_);
    replicate();
    latency_.add(rte_rdtsc() - begun);
    return;
  }
  WorkUnit& unit = units().next();
  unit.begun = begun;
  std::copy_n(burst, n, unit.packets);
  unit.row = WorkUnit::Row::kInbound;
  unit.n = fast_path_->gather(unit.packets, n, unit.outcome, counters_.drops);
  lay_out(unit);
}

void Worker::outbound(wire::NetworkId network, rte_mbuf** burst, unsigned n) noexcept {
  const std::uint64_t begun = rte_rdtsc();
  if (at_once(n)) {
    fast_path_->outbound(network, burst, n, outcome_, counters_.drops);
    finish(outcome_);
    replicate();
    latency_.add(rte_rdtsc() - begun);
    return;
  }
  WorkUnit& unit = units().next();
  unit.begun = begun;
  std::copy_n(burst, n, unit.packets);
  unit.row = WorkUnit::Row::kOutbound;
  unit.network = network;
  unit.n = fast_path_->set_apart(network, unit.packets, n, unit.outcome, counters_.drops);
  replicate();
  lay_out(unit);
}

void Worker::replicate() noexcept {
  while (fast_path_->replicate(outcome_, counters_.drops)) finish(outcome_);
}

void Worker::lay_out(WorkUnit& unit) noexcept {
  settle(unit.outcome);
  unit.owed = unit.n + packets_in(unit.outcome);
  unit.lent = false;
  counters_.held += unit.owed;
  units().lay_out();
  if (units().waiting() > 1) place_.team->wake_one();
}

void Worker::settle(Outcome& o) noexcept {
  counters_.merged += o.merged;
  counters_.copies += o.copies;
  counters_.answers += o.answers;
  counters_.relayed += o.relayed;
  o.merged = o.copies = o.answers = o.relayed = 0;
}

void Worker::work_on(WorkUnit& unit) noexcept {
  fetch(unit);
  if (unit.row == WorkUnit::Row::kInbound) {
    fast_path_->open(unit.packets, unit.n, unit.outcome, counters_.drops);
  } else {
    fast_path_->seal(unit.network, unit.packets, unit.n, unit.outcome, counters_.drops);
  }
  settle(unit.outcome);
  // Copies that rules asked for are no part of the unit: whoever works on it sends them.
  replicate();
}

bool Worker::work_on_own() noexcept {
  WorkUnit* unit = units().take();
  if (unit == nullptr) return false;
  work_on(*unit);
  const unsigned owed = packets_in(unit->outcome);
  counters_.held.set(counters_.held + owed - unit->owed);
  unit->owed = owed;
  Team::Units::finish(*unit);
  return true;
}

bool Worker::work_for_others() noexcept {
  for (unsigned i = 1; i < place_.team->size(); ++i) {
    Team::Units& theirs = place_.team->units_of((place_.worker + i) % place_.team->size());
    if (!theirs.has_work()) continue;
    WorkUnit* unit = theirs.take();
    if (unit == nullptr) continue;
    counters_.borrowed += unit->owed;
    unit->lent = true;
    work_on(*unit);
    counters_.repaid += packets_in(unit->outcome);
    Team::Units::finish(*unit);
    return true;
  }
  return false;
}

void Worker::release_units() noexcept {
  while (WorkUnit* unit = units().finished()) {
    counters_.held.set(counters_.held - unit->owed);
    if (unit->lent) {
      counters_.lent += unit->owed;
      counters_.regained += packets_in(unit->outcome);
      fetch_back(unit->outcome.transmit, unit->outcome.transmits);
      fetch_back(unit->outcome.deliver, unit->outcome.delivers);
    }
    finish(unit->outcome);
    latency_.add(rte_rdtsc() - unit->begun);
    units().release();
  }
}

bool Worker::make_room() noexcept {
  if (place_.team == nullptr) return true;
  const unsigned ahead = std::min(kAheadOfEach * (place_.team->size() - 1), kMostAhead);
  while (units().waiting() > ahead && work_on_own()) {
  }
  release_units();
  return units().has_room();
}

unsigned Worker::share(unsigned taken) noexcept {
  if (place_.team == nullptr) return 0;
  unsigned work = 0;
  // Nothing came: what waits is this worker's to do as well. Others are helped by whoever has
  // nothing of its own.
  if (taken == 0 && work_on_own()) ++work;
  if (work == 0 && taken < kWorthSharing && work_for_others()) ++work;
  release_units();
  // No sleep while units are out.
  return work + (units().idle() ? 0 : 1);
}

void Worker::take_back_units() noexcept {
  if (place_.team == nullptr) return;
  while (!units().idle()) {
    if (!work_on_own()) rte_pause();  // another is in the middle of it, and will not be stopped
    release_units();
  }
}

}  // namespace orrery::dataplane
