// What happens when: a heap of small records, four below each, since a world of many has a heap
// that no cache holds. Of events at the same moment the one that was put in first comes first, so
// the order is a matter of the seed alone.
//
// Nothing is ever taken out of the middle: whoever no longer wants an event ignores it when it
// comes (a timer that was moved compares the time, a host that was restarted its generation).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace orrery::sim {

/// Virtual time, microseconds since the scene began.
using Micros = std::int64_t;

constexpr Micros micros(Millis ms) {
  return ms * 1'000;
}

struct Event {
  enum class Kind : std::uint8_t {
    kArrival,  // a datagram is at an attachment; subject: flight
    kTimer,    // a node's deadline; subject: host
    kProof,    // a proof of work is done; subject: its job
    kAction,   // something that the scene arranged; subject: its place
  };

  Micros at = 0;
  std::uint64_t order = 0;
  std::uint32_t subject = 0;
  Kind kind = Kind::kAction;
};

class EventQueue {
 public:
  void push(Micros at, Event::Kind kind, std::uint32_t subject) {
    put_back({at, next_++, subject, kind});
  }

  /// An event that was popped; it keeps its turn.
  void put_back(const Event& fresh) {
    std::size_t place = heap_.size();
    heap_.push_back(fresh);
    while (place != 0) {
      const std::size_t above = (place - 1) / kBelow;
      if (!sooner(fresh, heap_[above])) break;
      heap_[place] = heap_[above];
      place = above;
    }
    heap_[place] = fresh;
  }

  /// REQUIRES: not empty().
  Event pop() {
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return first;
    std::size_t place = 0;
    for (;;) {
      const std::size_t begin = kBelow * place + 1;
      if (begin >= heap_.size()) break;
      std::size_t least = begin;
      for (std::size_t i = begin + 1; i < std::min(begin + kBelow, heap_.size()); ++i) {
        if (sooner(heap_[i], heap_[least])) least = i;
      }
      if (!sooner(heap_[least], last)) break;
      heap_[place] = heap_[least];
      place = least;
    }
    heap_[place] = last;
    return first;
  }

  /// REQUIRES: not empty().
  [[nodiscard]] Micros next_at() const { return heap_.front().at; }

  /// REQUIRES: not empty().
  [[nodiscard]] const Event& next() const { return heap_.front(); }

  /// Whether `a` comes before `b`.
  static bool sooner(const Event& a, const Event& b) {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }

  [[nodiscard]] bool empty() const { return heap_.empty(); }

  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  static constexpr std::size_t kBelow = 4;

  std::vector<Event> heap_;
  std::uint64_t next_ = 0;
};

/// Records by number, whose places are used again: what an event's subject is.
template <typename T>
class Pool {
 public:
  std::uint32_t put(T value) {
    if (free_.empty()) {
      all_.push_back(std::move(value));
      return static_cast<std::uint32_t>(all_.size() - 1);
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    all_[place] = std::move(value);
    return place;
  }

  T take(std::uint32_t place) {
    free_.push_back(place);
    return std::move(all_[place]);
  }

  [[nodiscard]] const T& at(std::uint32_t place) const { return all_[place]; }

  [[nodiscard]] std::size_t in_use() const { return all_.size() - free_.size(); }

 private:
  std::vector<T> all_;
  std::vector<std::uint32_t> free_;
};

}  // namespace orrery::sim
