#include "service/background.h"

#include <sched.h>
#include <sys/resource.h>

#include <string>
#include <utility>

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

Saver::Saver(Save save, Failed failed)
    : save_(std::move(save)), failed_(std::move(failed)), thread_([this] { run(); }) {}

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

/// Writes the batch, peers last; returns what is to be tried again.
Saver::Jobs Saver::carry_out(Jobs batch, bool ending) {
  Jobs again;
  std::size_t given_up = 0;
  for (const bool peers : {false, true}) {
    for (auto& [key, job] : batch) {
      if ((key.first == control::StateKind::kPeer) != peers) continue;
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
        continue;
      }
      const auto saved = save_(job.state);
      if (saved) continue;
      failed_(saved.error());
      if (job.last_try) continue;
      job.last_try = ending;
      again.emplace(key, std::move(job));
    }
  }
  if (given_up != 0) {
    failed_({Errc::kIo, std::to_string(given_up) +
                            " records of peers were not written: the disk is too slow for the time "
                            "of a clean exit"});
  }
  return again;
}

void Saver::run() {
  reset_affinity();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto batch = std::exchange(queue_, {});
    const bool ending = stop_;
    lock.unlock();
    Jobs again = carry_out(std::move(batch), ending);
    lock.lock();
    if (again.empty()) continue;
    for (auto& [key, job] : again) queue_.try_emplace(key, std::move(job));  // a newer write wins
    // A full disk does not mend in a millisecond.
    wake_.wait_for(lock, std::chrono::seconds(2), [this] { return stop_; });
  }
}

}  // namespace orrery::service
