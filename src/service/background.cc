#include "service/background.h"

#include <sched.h>
#include <sys/resource.h>

#include <chrono>

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

Saver::Saver(Home& home, Failed failed)
    : home_(home), failed_(std::move(failed)), thread_([this] { run(); }) {}

Saver::~Saver() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Saver::submit(const control::SaveState& state) {
  {
    const std::lock_guard lock(mutex_);
    queue_[{state.kind, state.id}] = state;
  }
  wake_.notify_one();
}

void Saver::run() {
  reset_affinity();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto batch = std::move(queue_);
    queue_.clear();
    lock.unlock();
    std::map<Key, control::SaveState> again;
    for (auto& [key, state] : batch) {
      const auto saved = home_.save(state);
      if (saved) continue;
      failed_(saved.error());
      again.emplace(key, std::move(state));
    }
    lock.lock();
    if (stop_) return;
    if (again.empty()) continue;
    for (auto& [key, state] : again)
      queue_.try_emplace(key, std::move(state));  // a newer write wins
    // A full disk does not mend in a millisecond.
    wake_.wait_for(lock, std::chrono::seconds(2), [this] { return stop_; });
  }
}

}  // namespace orrery::service
