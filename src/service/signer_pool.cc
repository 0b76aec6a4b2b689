#include "service/signer_pool.h"

#include <sys/resource.h>

#include <utility>

#include "service/background.h"

namespace orrery::service {

SignerPool::SignerPool(const crypto::SecretIdentity& controller, unsigned threads,
                       std::function<void()> done)
    : controller_(controller), done_(std::move(done)) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

SignerPool::~SignerPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void SignerPool::submit(std::vector<control::ConfigJob> jobs) {
  if (jobs.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (control::ConfigJob& job : jobs)
      items_.push_back(std::make_unique<Item>(std::move(job), std::nullopt));
  }
  if (jobs.size() == 1) {
    wake_.notify_one();
  } else {
    wake_.notify_all();
  }
}

std::vector<control::SignedConfig> SignerPool::take(std::size_t most) {
  std::vector<control::SignedConfig> taken;
  const std::lock_guard lock(mutex_);
  while (taken.size() < most && !items_.empty() && items_.front()->result) {
    taken.push_back(std::move(*items_.front()->result));
    items_.pop_front();
    --begun_;
  }
  return taken;
}

void SignerPool::run() {
  reset_affinity();
  ::setpriority(PRIO_PROCESS, 0, 10);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || begun_ < items_.size(); });
    if (stop_) return;
    Item& item = *items_[begun_++];
    lock.unlock();
    control::SignedConfig result = control::sign(controller_, item.job);
    lock.lock();
    item.result = std::move(result);
    if (&item != items_.front().get()) continue;  // who has the first one tells
    lock.unlock();
    done_();
    lock.lock();
  }
}

}  // namespace orrery::service
