// Threads that do the same thing at the same time, again and again, for some microseconds each
// time: they wait for their turn without sleep, and sleep only when there is none for a while.
//
// run() is a barrier at both ends: what was written before it is seen by all, and what they write
// is seen after it. One thread calls run(); `work` must not throw.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace orrery::sim {

class Crew {
 public:
  /// `members`: with the one who calls run(). REQUIRES: at least one.
  explicit Crew(unsigned members);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] unsigned members() const { return static_cast<unsigned>(threads_.size()) + 1; }

  /// Calls work(member) for every member, 0 in this thread; returns when all are through.
  void run(const std::function<void(unsigned)>& work);

 private:
  void serve(unsigned member);

  const std::function<void(unsigned)>* work_ = nullptr;  // null: it is over
  alignas(64) std::atomic<std::uint32_t> turn_{0};       // counts calls of run()
  alignas(64) std::atomic<unsigned> busy_{0};            // members that are not through
  std::vector<std::thread> threads_;
};

}  // namespace orrery::sim
