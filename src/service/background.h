// Threads for what must never hold up control: proof-of-work validation and durable writes.
//
// Both have bounded queues, run at low priority on any CPU, and hand results back through a
// callback that is called on their own thread (the daemon's posts to the control thread).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <thread>

#include "base/result.h"
#include "control/effects.h"

namespace orrery::service {

/// Lets a thread run on every CPU again: it inherits the control thread's pinning otherwise.
void reset_affinity();

/// Checks that identities belong to their addresses, one after another: 2 ms each with AVX-512, 4
/// with AVX2, 30 with neither. Several at once would be no faster (crypto/identity_work.h), and the
/// first answer would come later.
class Validator {
 public:
  using Done = std::function<void(const wire::Identity&, bool valid)>;
  static constexpr std::size_t kQueueMax =
      256;  // 0.5 to 8 s of work; what does not fit goes back to control, which asks again

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
/// Failures are reported and tried again until they succeed or are superseded. States of some kinds
/// share a file: they are handed over together, in the order of their ids. Those of pins and peers
/// wait for kPinInterval, so that the file is written no more often: what a crash loses is learned
/// again.
class Saver {
 public:
  using Failed = std::function<void(const Error&)>;
  /// Writes one file. Several states come only of one kind that shares a file.
  using Save = std::function<Result<void>(std::span<const control::SaveState>)>;
  using Kinds = std::set<control::StateKind>;

  /// A clean exit has 1.5 s. Records of peers are only a cache; those that have not been written
  /// this long after the end began are given up, and reported as one failure.
  static constexpr std::chrono::milliseconds kPatienceAtEnd{1'000};

  static constexpr std::chrono::milliseconds kPinInterval{1'000};

  /// Most states that are handed over together: what one failure may undo, and what the end may
  /// have to wait for.
  static constexpr std::size_t kMostTogether = 4'096;

  Saver(Save save, Failed failed, Kinds shared = {control::StateKind::kPin},
        std::chrono::milliseconds pin_interval = kPinInterval);
  /// Writes everything that was submitted; what fails is tried once more and then given up.
  ~Saver();
  void submit(const control::SaveState& state);
  /// Writes one file here and now, in place of whatever of the same states is waiting; returns when
  /// it is on disk. Several states come only of one kind that shares a file. After a failure it is
  /// tried again in the background. Called by the thread that submits.
  Result<void> save_now(std::span<const control::SaveState> states);

  Result<void> save_now(const control::SaveState& state) { return save_now({&state, 1}); }

  [[nodiscard]] bool shares(control::StateKind kind) const { return shared_.contains(kind); }

 private:
  struct Job {
    control::SaveState state;
    bool last_try = false;
  };

  using Key = std::pair<control::StateKind, std::uint64_t>;
  using Jobs = std::map<Key, Job>;

  void run();
  [[nodiscard]] bool due() const;  // REQUIRES: mutex_
  /// Whether the kind waits for the interval.
  [[nodiscard]] bool has_time(control::StateKind kind) const;
  Jobs carry_out(Jobs batch, bool ending);
  bool write_one(const Key& key, Job& job, bool ending);
  Jobs write_shared(Jobs& batch, control::StateKind kind, bool ending, std::size_t& given_up);

  Save save_;
  Failed failed_;
  const Kinds shared_;
  const std::chrono::milliseconds pin_interval_;
  std::mutex mutex_;  // taken before disk_
  std::condition_variable wake_;
  Jobs queue_;
  std::chrono::steady_clock::time_point next_pins_{};  // not before
  std::mutex disk_;                                    // held while a file is written
  std::set<Key> superseded_;  // by save_now() during the batch that is running; under disk_
  std::chrono::steady_clock::time_point end_;  // of patience; set before stop_
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace orrery::service
