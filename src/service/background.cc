#include "service/background.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "crypto/identity_work.h"

namespace orrery::service {

void reset_affinity() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
  ::sched_setaffinity(0, sizeof all, &all);  // the kernel cuts it to the CPUs there are
}

Validator::Validator(Done done) : done_(std::move(done)), thread_([this] { run(); }) {}

Validator::~Validator() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

bool Validator::submit(const wire::Identity& identity) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kQueueMax) return false;
    queue_.push_back(identity);
  }
  wake_.notify_one();
  return true;
}

void Validator::run() {
  reset_affinity();
  ::setpriority(PRIO_PROCESS, 0, 15);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    const wire::Identity identity = queue_.front();
    queue_.pop_front();
    lock.unlock();
    done_(identity, crypto::validate(identity));
    lock.lock();
  }
}

Saver::Saver(Save save, Failed failed, Kinds shared, std::chrono::milliseconds pin_interval)
    : save_(std::move(save)),
      failed_(std::move(failed)),
      shared_(std::move(shared)),
      pin_interval_(pin_interval),
      thread_([this] { run(); }) {}

Saver::~Saver() {
  {
    const std::lock_guard lock(mutex_);
    end_ = std::chrono::steady_clock::now() + kPatienceAtEnd;
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Saver::submit(const control::SaveState& state) {
  {
    const std::lock_guard lock(mutex_);
    queue_[{state.kind, state.id}] = {state};
  }
  wake_.notify_one();
}

Result<void> Saver::save_now(std::span<const control::SaveState> states) {
  const std::lock_guard lock(mutex_);
  for (const control::SaveState& state : states) queue_.erase(Key{state.kind, state.id});
  Result<void> saved;
  {
    const std::lock_guard disk(disk_);
    for (const control::SaveState& state : states) superseded_.insert(Key{state.kind, state.id});
    saved = save_(states);
  }
  if (saved) return saved;
  failed_(saved.error());
  for (const control::SaveState& state : states)
    queue_.insert_or_assign(Key{state.kind, state.id}, Job{state});
  wake_.notify_one();
  return saved;
}

/// True: done with, written or given up.
bool Saver::write_one(const Key& key, Job& job, bool ending) {
  Result<void> saved;
  {
    const std::lock_guard disk(disk_);
    if (superseded_.contains(key)) return true;
    saved = save_({&job.state, 1});
  }
  if (saved) return true;
  failed_(saved.error());
  if (job.last_try) return true;
  job.last_try = ending;
  return false;
}

bool Saver::has_time(control::StateKind kind) const {
  return shared_.contains(kind) &&
         (kind == control::StateKind::kPin || kind == control::StateKind::kPeer);
}

/// All of one kind, kMostTogether at once; returns those to be tried again.
Saver::Jobs Saver::write_shared(Jobs& batch, control::StateKind kind, bool ending,
                                std::size_t& given_up) {
  Jobs again;
  for (;;) {
    Jobs some;
    std::vector<control::SaveState> states;
    for (auto it = batch.lower_bound(Key{kind, 0});
         it != batch.end() && it->first.first == kind && states.size() < kMostTogether;) {
      const auto at = it++;
      states.push_back(at->second.state);
      some.insert(batch.extract(at));
    }
    if (some.empty()) return again;
    if (kind == control::StateKind::kPeer && ending && std::chrono::steady_clock::now() >= end_) {
      given_up += some.size();
      continue;
    }
    Result<void> saved;
    {
      const std::lock_guard disk(disk_);
      std::erase_if(states, [&](const control::SaveState& state) {
        return superseded_.contains(Key{state.kind, state.id});
      });
      if (!states.empty()) saved = save_(states);
    }
    if (saved) continue;
    failed_(saved.error());
    std::erase_if(some, [](const auto& entry) { return entry.second.last_try; });
    for (auto& [key, job] : some) job.last_try = ending;
    again.merge(some);
  }
}

/// Writes the batch, peers last; returns what is to be tried again.
Saver::Jobs Saver::carry_out(Jobs batch, bool ending) {
  Jobs again;
  std::size_t given_up = 0;
  for (const control::StateKind kind : shared_) {
    if (kind != control::StateKind::kPeer) again.merge(write_shared(batch, kind, ending, given_up));
  }
  for (const bool peers : {false, true}) {
    for (auto& [key, job] : batch) {
      if (shared_.contains(key.first) || (key.first == control::StateKind::kPeer) != peers)
        continue;
      if (peers && !ending) {
        // The end may begin in the middle of a long batch; the rest then waits for the last one.
        const std::lock_guard lock(mutex_);
        if (stop_) {
          again.emplace(key, std::move(job));
          continue;
        }
      }
      if (peers && ending && std::chrono::steady_clock::now() >= end_) {
        ++given_up;
      } else if (!write_one(key, job, ending)) {
        again.emplace(key, std::move(job));
      }
    }
  }
  if (shared_.contains(control::StateKind::kPeer))
    again.merge(write_shared(batch, control::StateKind::kPeer, ending, given_up));
  if (given_up != 0) {
    failed_({Errc::kIo, std::to_string(given_up) +
                            " records of peers were not written: the disk is too slow for the time "
                            "of a clean exit"});
  }
  return again;
}

bool Saver::due() const {
  if (stop_) return true;
  const bool all_have_time = std::all_of(
      queue_.begin(), queue_.end(), [&](const auto& entry) { return has_time(entry.first.first); });
  return !queue_.empty() && (!all_have_time || std::chrono::steady_clock::now() >= next_pins_);
}

void Saver::run() {
  reset_affinity();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    wake_.wait_until(lock, next_pins_, [this] { return due(); });
    if (queue_.empty()) {
      if (stop_) return;
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    Jobs batch = std::exchange(queue_, {});
    if (!stop_ && now < next_pins_) {
      for (auto it = batch.begin(); it != batch.end();) {
        const auto at = it++;
        if (has_time(at->first.first)) queue_.insert(batch.extract(at));
      }
    } else {
      next_pins_ = now + pin_interval_;
    }
    const bool ending = stop_;
    {
      const std::lock_guard disk(disk_);
      superseded_.clear();
    }
    lock.unlock();
    Jobs again = carry_out(std::move(batch), ending);
    lock.lock();
    if (again.empty()) continue;
    {
      const std::lock_guard disk(disk_);
      for (auto& [key, job] : again) {
        if (!superseded_.contains(key))
          queue_.try_emplace(key, std::move(job));  // a newer one wins
      }
    }
    // A full disk does not mend in a millisecond.
    wake_.wait_for(lock, std::chrono::seconds(2), [this] { return stop_; });
  }
}

}  // namespace orrery::service
