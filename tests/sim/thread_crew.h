// Threads that compute for a scene: the same thing at the same time, again and again, for some
// microseconds each time. So they wait for their turn without sleep, and sleep only when there is
// none for a while. One thread calls run().
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "sim/crew.h"

namespace orrery::test {

class ThreadCrew final : public sim::Crew {
 public:
  /// `members`: with the one who calls run(). REQUIRES: at least one.
  explicit ThreadCrew(unsigned members);
  ~ThreadCrew() override;
  ThreadCrew(const ThreadCrew&) = delete;
  ThreadCrew& operator=(const ThreadCrew&) = delete;

  [[nodiscard]] unsigned members() const override {
    return static_cast<unsigned>(threads_.size()) + 1;
  }

  void run(const std::function<void(unsigned)>& work) override;

 private:
  void serve(unsigned member);

  unsigned spins_;                                       // looks before a thread sleeps
  const std::function<void(unsigned)>* work_ = nullptr;  // null: it is over
  alignas(64) std::atomic<std::uint32_t> turn_{0};       // counts calls of run()
  alignas(64) std::atomic<unsigned> busy_{0};            // members that are not through
  std::vector<std::thread> threads_;
};

}  // namespace orrery::test
