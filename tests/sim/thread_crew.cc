#include "sim/thread_crew.h"

namespace orrery::test {

namespace {

// A quarter of a millisecond, longer than one thread needs for what follows from a turn. Less, and
// every turn waits for the kernel to wake a thread; more, and an idle one takes the processor of
// somebody who has work. Where there are fewer processors than threads nobody spins.
constexpr unsigned kSpins = 6'000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadCrew::ThreadCrew(unsigned members)
    : spins_(members <= std::thread::hardware_concurrency() ? kSpins : 0) {
  for (unsigned member = 1; member < members; ++member)
    threads_.emplace_back([this, member] { serve(member); });
}

ThreadCrew::~ThreadCrew() {
  work_ = nullptr;
  turn_.fetch_add(1, std::memory_order_release);
  turn_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadCrew::run(const std::function<void(unsigned)>& work) {
  work_ = &work;
  busy_.store(static_cast<unsigned>(threads_.size()), std::memory_order_relaxed);
  turn_.fetch_add(1, std::memory_order_release);
  turn_.notify_all();
  work(0);
  for (unsigned spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < spins_) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadCrew::serve(unsigned member) {
  std::uint32_t seen = 0;
  for (;;) {
    for (unsigned spins = 0; turn_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < spins_) {
        pause();
      } else {
        turn_.wait(seen, std::memory_order_acquire);
      }
    }
    ++seen;
    if (work_ == nullptr) return;
    (*work_)(member);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace orrery::test
