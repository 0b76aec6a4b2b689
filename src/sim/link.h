// One direction of an access line: how long a datagram takes, and whether it comes at all.
//
// Everything is decided when the datagram is handed over, in the order of handing over; so a queue
// of a line that is behind another one is filled in the order of sending, not of arrival. That is
// near enough for what nodes can see, and costs one event a datagram.
#pragma once

#include "sim/event_queue.h"
#include "sim/random.h"

namespace orrery::sim {

/// What a line does. All chances are parts of a million.
struct LinkProfile {
  Micros delay = 5'000;
  Micros jitter = 0;  // 0 to this much more, evenly; more than the gap of datagrams reorders them
  std::uint32_t loss = 0;
  std::uint32_t duplicate = 0;
  std::uint32_t reorder = 0;          // overtaken by what comes within `reorder_by`
  Micros reorder_by = 20'000;         //
  std::uint64_t bits_per_second = 0;  // 0: no limit
  Micros queue = 100'000;             // what would wait longer is dropped; with a limit only
  std::uint16_t mtu = 1500;           // bytes of IP packet
};

class Link {
 public:
  Link() = default;

  Link(const LinkProfile& profile, Random random) : profile_(profile), random_(random) {}

  /// How it is from now on; what is under way stays as it was.
  void set(const LinkProfile& profile) { profile_ = profile; }

  [[nodiscard]] const LinkProfile& profile() const { return profile_; }

  struct Passage {
    bool lost = false;
    bool queue_full = false;
    Micros delay = 0;
    bool twice = false;
    Micros second_delay = 0;
  };

  /// A datagram of `bytes` of IP packet enters at `now`.
  Passage pass(Micros now, std::size_t bytes) {
    Passage p;
    if (random_.chance(profile_.loss)) {
      p.lost = true;
      return p;
    }
    Micros wait = 0;
    if (profile_.bits_per_second != 0) {
      const auto takes = static_cast<Micros>(bytes * 8 * 1'000'000 / profile_.bits_per_second);
      const Micros begins = std::max(now, free_at_);
      if (begins - now > profile_.queue) {
        p.queue_full = true;
        return p;
      }
      free_at_ = begins + takes;
      wait = free_at_ - now;
    }
    p.delay = wait + travel();
    p.twice = random_.chance(profile_.duplicate);
    if (p.twice) p.second_delay = wait + travel();
    return p;
  }

 private:
  Micros travel() {
    Micros time = profile_.delay;
    if (profile_.jitter != 0) time += random_.between(0, profile_.jitter);
    if (random_.chance(profile_.reorder)) time += random_.between(1, profile_.reorder_by);
    return time;
  }

  LinkProfile profile_;
  Random random_;
  Micros free_at_ = 0;  // when the line has sent what it was given
};

}  // namespace orrery::sim
