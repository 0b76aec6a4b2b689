#include "service/committer.h"

#include <utility>

#include "service/background.h"

namespace orrery::service {

Committer::Committer(RecordStore& store, std::function<void()> done)
    : store_(store), done_(std::move(done)), thread_([this] { run(); }) {}

Committer::~Committer() {
  close();
  thread_.join();
}

void Committer::submit(Writes writes, std::uint64_t mark) {
  idle_ = false;
  {
    const std::lock_guard lock(mutex_);
    batch_ = Outcome{mark, {}, std::move(writes)};
  }
  changed_.notify_all();
}

std::optional<Committer::Outcome> Committer::take() {
  const std::lock_guard lock(mutex_);
  idle_ = idle_ || outcome_;
  return std::exchange(outcome_, std::nullopt);
}

void Committer::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !batch_; });
}

Committer::Ticket Committer::ticket(std::uint64_t mark) {
  const std::lock_guard lock(mutex_);
  return {mark, refusals_};
}

bool Committer::wait(const Ticket& ticket) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return durable_ >= ticket.mark || refusals_ != ticket.refusals || (closed_ && !batch_);
  });
  return durable_ >= ticket.mark;
}

bool Committer::confirmed_within(Clock::duration time) {
  const std::lock_guard lock(mutex_);
  return !gone_ && Clock::now() - confirmed_ <= time;
}

void Committer::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

void Committer::run() {
  reset_affinity();
  std::unique_lock lock(mutex_);
  Clock::time_point next_look = Clock::now() + kQuiet;
  for (;;) {
    changed_.wait_until(lock, next_look, [this] { return batch_ || closed_; });
    const Clock::time_point begin = Clock::now();
    if (batch_) {
      // `batch_` stays until it is done, so that nobody gives up waiting for it.
      Outcome outcome = std::move(*batch_);
      lock.unlock();
      outcome.result = store_.commit(outcome.writes);
      lock.lock();
      batch_.reset();
      if (outcome.result) {
        outcome.writes.clear();
        durable_ = outcome.mark;
        confirmed_ = begin;
      } else {
        ++refusals_;
      }
      // A store that has refused is looked at soon.
      next_look = Clock::now() + (outcome.result ? kQuiet : std::chrono::milliseconds(0));
      outcome_ = std::move(outcome);
      changed_.notify_all();
      lock.unlock();
      done_();
      lock.lock();
    } else if (closed_) {
      return;
    } else if (begin >= next_look) {
      lock.unlock();
      const bool there = store_.on_quiet().has_value();
      lock.lock();
      if (there) confirmed_ = begin;
      next_look = Clock::now() + kLook;
      if (std::exchange(gone_, !there) || there) continue;
      lock.unlock();
      done_();
      lock.lock();
    }
  }
}

}  // namespace orrery::service
