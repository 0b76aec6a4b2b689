// A thread that commits the controller's records, so that control never waits for the disk.
//
// It has one batch at a time; what comes up meanwhile is the next one, so a slow disk gets larger
// batches and not a longer queue. Marks are counts of writes (control::Controller::written()): a
// batch makes everything up to its mark durable. While there is nothing to commit the store gets
// its turn (RecordStore::on_quiet): soon after a commit, and once a second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "service/controller_store.h"

namespace orrery::service {

class Committer {
 public:
  using Clock = std::chrono::steady_clock;
  using Writes = std::vector<control::StoreWrite>;

  /// Neither is anybody's answer held up by what the store does in its own time, nor is that put
  /// off until the log is long.
  static constexpr std::chrono::milliseconds kQuiet{100};
  static constexpr std::chrono::milliseconds kLook{1'000};

  /// What became of a batch.
  struct Outcome {
    std::uint64_t mark = 0;
    Result<void> result;
    Writes writes;  // of one that failed
  };

  /// What a caller waits for.
  struct Ticket {
    std::uint64_t mark = 0;
    std::uint64_t refusals = 0;  // so many there have been
  };

  /// `store` must outlive this. `done` is called on the thread here when take() has something.
  Committer(RecordStore& store, std::function<void()> done);
  /// The batch under way is finished.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // By one thread, which submits and takes in turns.

  /// The last batch has been taken back.
  [[nodiscard]] bool idle() const { return idle_; }

  /// REQUIRES: idle().
  void submit(Writes writes, std::uint64_t mark);
  std::optional<Outcome> take();
  /// Returns when the batch under way is done.
  void finish();

  // By any thread.

  [[nodiscard]] Ticket ticket(std::uint64_t mark);
  /// Returns when everything up to the mark is durable. False: a batch was refused since the ticket
  /// was made, or nothing is committed any more.
  bool wait(const Ticket& ticket);

  /// The store was asked within this time whether it is there, and has said nothing else since.
  [[nodiscard]] bool confirmed_within(Clock::duration time);

  /// The last batch has been submitted: who still waits when it is done is refused.
  void close();

 private:
  void run();

  RecordStore& store_;
  const std::function<void()> done_;
  bool idle_ = true;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Outcome> batch_;  // to be committed
  std::optional<Outcome> outcome_;
  std::uint64_t durable_ = 0;
  std::uint64_t refusals_ = 0;
  Clock::time_point confirmed_ = Clock::now();  // when it was asked
  bool gone_ = false;                           // what it said then
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace orrery::service
