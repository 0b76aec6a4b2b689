#include "sim/crew.h"

namespace orrery::sim {

namespace {

// Some 50 us, a few turns long. Less, and every turn waits for the kernel; more, and an idle thread
// takes the processor of somebody who has work.
constexpr unsigned kSpins = 2'000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Crew::Crew(unsigned members) {
  for (unsigned member = 1; member < members; ++member)
    threads_.emplace_back([this, member] { serve(member); });
}

Crew::~Crew() {
  work_ = nullptr;
  turn_.fetch_add(1, std::memory_order_release);
  turn_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::run(const std::function<void(unsigned)>& work) {
  work_ = &work;
  busy_.store(static_cast<unsigned>(threads_.size()), std::memory_order_relaxed);
  turn_.fetch_add(1, std::memory_order_release);
  turn_.notify_all();
  work(0);
  for (unsigned spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void Crew::serve(unsigned member) {
  std::uint32_t seen = 0;
  for (;;) {
    for (unsigned spins = 0; turn_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpins) {
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

}  // namespace orrery::sim
