#include "service/command_queue.h"

namespace orrery::service {

bool CommandQueue::invoke(const Command& command, const std::function<void()>& wake) {
  Waiting own{&command, {}};
  auto done = own.done.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    waiting_.push_back(&own);
  }
  wake();
  return done.get();
}

void CommandQueue::drain(const std::function<void(const Command&)>& run) {
  std::vector<Waiting*> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(waiting_);
  }
  for (Waiting* one : taken) {
    std::exception_ptr thrown;
    try {
      run(*one->command);
    } catch (...) {
      thrown = std::current_exception();
    }
    // `one` is gone as soon as its thread has been told.
    if (thrown) {
      one->done.set_exception(thrown);
    } else {
      one->done.set_value(true);
    }
  }
}

void CommandQueue::close() {
  std::vector<Waiting*> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(waiting_);
  }
  for (Waiting* one : left) one->done.set_value(false);
}

}  // namespace orrery::service
