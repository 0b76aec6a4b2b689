// Threads for what must never hold up control: proof-of-work validation and durable writes.
//
// Both have bounded queues, run at low priority on any CPU, and hand results back through a
// callback that is called on their own thread (the daemon's posts to the control thread).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "control/effects.h"
#include "service/home.h"

namespace orrery::service {

/// Lets a thread run on every CPU again: it inherits the control thread's pinning otherwise.
void reset_affinity();

/// Checks that identities belong to their addresses, one after another (22 to 26 ms each).
class Validator {
 public:
  using Done = std::function<void(const wire::Identity&, bool valid)>;
  static constexpr std::size_t kQueueMax =
      256;  // about 6 s of work; what does not fit goes back to control, which asks again

  explicit Validator(Done done);
  ~Validator();
  /// False when the queue is full.
  bool submit(const wire::Identity& identity);

 private:
  void run();

  Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<wire::Identity> queue_;
  bool stop_ = false;
  std::thread thread_;
};

/// Writes state files in the background; of two writes to one file only the later one happens.
/// Failures are reported and tried again until they succeed or are superseded.
class Saver {
 public:
  using Failed = std::function<void(const Error&)>;

  Saver(Home& home, Failed failed);
  /// Writes what is left, once.
  ~Saver();
  void submit(const control::SaveState& state);

 private:
  using Key = std::pair<control::StateKind, std::uint64_t>;
  void run();

  Home& home_;
  Failed failed_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Key, control::SaveState> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace orrery::service
