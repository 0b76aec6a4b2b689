// Threads that sign a controller's configurations, so that its own thread only decides and sends.
//
// What comes out is in the order in which it went in, however many threads there are. They run at
// low priority on any CPU: a storm of requests takes what workers and control leave. Nothing is
// bounded here; the controller does not ask for more than Controller::kJobsMost at a time.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "control/controller/signing.h"

namespace orrery::service {

class SignerPool {
 public:
  /// `controller` must outlive this. `done` is called on the threads here whenever take() has
  /// something new to give.
  SignerPool(const crypto::SecretIdentity& controller, unsigned threads,
             std::function<void()> done);
  /// What is not signed by then is given up: members ask again.
  ~SignerPool();
  SignerPool(const SignerPool&) = delete;
  SignerPool& operator=(const SignerPool&) = delete;

  void submit(std::vector<control::ConfigJob> jobs);
  /// Up to `most` that are signed, in order.
  [[nodiscard]] std::vector<control::SignedConfig> take(std::size_t most);

 private:
  struct Item {
    control::ConfigJob job;
    std::optional<control::SignedConfig> result;
  };

  void run();

  const crypto::SecretIdentity& controller_;
  const std::function<void()> done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Item>> items_;  // in order; results are taken from the front
  std::size_t begun_ = 0;                    // of items_
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace orrery::service
