// Units of work that one worker lays out and any worker takes up, released in the order they were
// laid out.
//
// A ring of kWindow units with three marks, all of which only grow:
//
//   released <= taken <= laid out <= released + kWindow
//
// The owner fills next() and lay_out()s it. Whoever has time, the owner included, take()s the
// oldest that nobody has begun, works on it and calls finish(). Units finish in any order; the
// owner releases them strictly from the oldest on. A worker that is slow, asleep or gone holds up
// nothing but what it has begun: what it has not begun is taken by another. That is why there is
// one mark to compete for instead of a ring per pair of workers: what lies on a ring to a sleeper
// could not be had back. The price is one compare-and-swap a unit, that is, for 64 packets.
//
//   Invariant 1: between lay_out() and take() nobody touches a unit, between take() and finish()
//                only its taker, and then only the owner.
//   Invariant 2: a slot is laid out again only after its release.
//
// Weak spot: a taker that the system suspends in the middle of a unit holds up the release of all
// later ones until it runs again; the owner goes on until the window is full.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/layout.h"

namespace orrery::dataplane {

/// `Unit`: any class.
template <typename Unit, unsigned kWindowSize = 32>
class FanOut {
 public:
  static constexpr unsigned kWindow = kWindowSize;
  static_assert((kWindow & (kWindow - 1)) == 0, "a power of two");

  // --- the owner

  /// Every unit is released.
  [[nodiscard]] bool idle() const noexcept { return released_ == filled_; }

  [[nodiscard]] bool has_room() const noexcept { return filled_ - released_ < kWindow; }

  /// The unit to fill; stays the same until lay_out(). REQUIRES: has_room().
  [[nodiscard]] Unit& next() noexcept { return slot(filled_); }

  void lay_out() noexcept { laid_out_.store(++filled_, std::memory_order_release); }  // Invariant 1

  /// Units that nobody has begun; it may be less by the time that it is read.
  [[nodiscard]] unsigned waiting() const noexcept {
    return static_cast<unsigned>(filled_ - taken_.load(std::memory_order_relaxed));
  }

  /// The oldest unit when it is finished, else null.
  [[nodiscard]] Unit* finished() noexcept {
    if (idle()) return nullptr;
    Slot& s = slot(released_);
    return s.done.load(std::memory_order_acquire) ? &s : nullptr;  // Invariant 1
  }

  /// Gives up what finished() returned.
  void release() noexcept {
    slot(released_).done.store(false, std::memory_order_relaxed);
    ++released_;  // Invariant 2
  }

  // --- any worker

  /// Whether take() may find something.
  [[nodiscard]] bool has_work() const noexcept {
    return taken_.load(std::memory_order_relaxed) < laid_out_.load(std::memory_order_relaxed);
  }

  /// The oldest unit that nobody has begun, or null.
  [[nodiscard]] Unit* take() noexcept {
    std::uint64_t at = taken_.load(std::memory_order_relaxed);
    do {
      // Acquire: the unit's contents. Not "equal": the mark read here may be older than the other.
      // An old `at` is caught by the exchange.
      if (at >= laid_out_.load(std::memory_order_acquire)) return nullptr;
    } while (!taken_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed));
    return &slot(at);
  }

  /// REQUIRES: what take() of this object returned, once.
  static void finish(Unit& unit) noexcept {
    static_cast<Slot&>(unit).done.store(true, std::memory_order_release);  // Invariant 1
  }

 private:
  struct alignas(kCacheLine) Slot : Unit {
    alignas(kCacheLine) std::atomic<bool> done{false};  // the owner looks at it while others write
  };

  [[nodiscard]] Slot& slot(std::uint64_t at) noexcept { return slots_[at % kWindow]; }

  // The owner's own.
  std::uint64_t released_ = 0;
  std::uint64_t filled_ = 0;
  // Shared, in one line: whoever looks for work needs both.
  alignas(kCacheLine) std::atomic<std::uint64_t> laid_out_{0};
  std::atomic<std::uint64_t> taken_{0};
  std::array<Slot, kWindow> slots_{};
};

}  // namespace orrery::dataplane
