// What one of ours may still send: its packet ids are times, strictly increasing in each of its
// sixteen lanes (crypto/nonce.h), and cipher 3 authenticates and returns them. An id that lies so
// far back that the set of seen ids may have forgotten it is refused; what is younger, the set
// knows. Both together leave no replay, as long as the set remembers all ids of kSpan.
//
// A window begins lenient: it becomes strict when eight ids in a row lie within two minutes of our
// clock, which ids of another making do once in 10^60. Strict it stays; from then on ids are only
// compared with each other, so neither clock matters.
//
// Any number of threads; workers and control share one for each peer. Weak spot: a window does not
// outlive the process, so replays of what came before its start are refused only from the first
// genuine packets on.
// Source: security 2.9 (c) as summarised in docs/architecture.md.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>

#include "base/time.h"

namespace orrery::fib {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << 60) - 1;  // units of 8 ns
  static constexpr Millis kSpanMs = 3'000;  // packets overtaken by others, fragments that wait
  static constexpr std::uint64_t kSpan = std::uint64_t{kSpanMs} * 125'000;
  static constexpr std::uint64_t kPlausible = std::uint64_t{120'000} * 125'000;
  static constexpr unsigned kInARow = 8;

  /// Whether an authenticated id may be new. `mono`, `wall_ns`: now.
  [[nodiscard]] bool admits(std::uint64_t id, Millis mono, std::uint64_t wall_ns) noexcept {
    const Lane& lane = lanes_[id >> 60];
    const std::uint64_t time = id & kTimeMask;
    if (plausible_.load(std::memory_order_relaxed) < kInARow) {
      const std::uint64_t clock = wall_ns >> 3;
      const std::uint64_t apart = time > clock ? time - clock : clock - time;
      // Threads that race here count one too few.
      plausible_.store(apart < kPlausible ? plausible_.load(std::memory_order_relaxed) + 1 : 0,
                       std::memory_order_relaxed);
      return true;
    }
    const std::uint64_t highest = lane.highest.load(std::memory_order_relaxed);
    if (time > highest) return highest != 0 || time + kPlausible > newest();
    return highest - time <= kSpan && mono - lane.at.load(std::memory_order_relaxed) <= kSpanMs;
  }

  /// Ids of the lane of `id` up to it were admitted and handled: once for a run of them.
  void advance(std::uint64_t id, Millis mono) noexcept {
    Lane& lane = lanes_[id >> 60];
    const std::uint64_t time = id & kTimeMask;
    std::uint64_t highest = lane.highest.load(std::memory_order_relaxed);
    while (time > highest) {
      if (lane.highest.compare_exchange_weak(highest, time, std::memory_order_relaxed)) {
        lane.at.store(mono, std::memory_order_relaxed);
        return;
      }
    }
  }

  [[nodiscard]] bool strict() const noexcept {
    return plausible_.load(std::memory_order_relaxed) >= kInARow;
  }

 private:
  struct Lane {
    std::atomic<std::uint64_t> highest{0};  // time; 0: nothing came yet
    std::atomic<Millis> at{0};              // when it came
  };

  /// Of all lanes: they follow one clock.
  [[nodiscard]] std::uint64_t newest() const noexcept {
    std::uint64_t most = 0;
    for (const Lane& lane : lanes_)
      most = std::max(most, lane.highest.load(std::memory_order_relaxed));
    return most;
  }

  std::array<Lane, 16> lanes_;
  std::atomic<unsigned> plausible_{0};  // in a row
};

}  // namespace orrery::fib
