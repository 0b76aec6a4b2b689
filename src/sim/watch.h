// What must hold in every scene at every step, whatever the scene is about.
//
//   1  Nobody but members sees plaintext: no datagram shows a frame's mark, frames come out only at
//      hosts that are members; no frame comes twice, altered, or to the wrong host (frames.h).
//   2  A host sends its own packets with hop count 0. What else it sends is what it just received,
//      once, with one hop more, at most three, and not back to where it came from.
//   3  Who spoke first and cannot yet have answered gets at most three times its bytes, IP and UDP
//      headers counted, and kOnWord more, since peers and roots may have us probe the same address;
//      who is known to lie about its address gets not even that.
//   4  Tables stay within their limits.
//   5  Time goes on: after a tick the next deadline is ahead, and no node wants to be woken more
//      than kMostTicks times a second with nothing else happening.
//   6  A key that is on record for an address stays that.
//
// Every check costs the same however many hosts there are. A breach throws.
#pragma once

#include <stdexcept>

#include "control/node.h"
#include "sim/flat_map.h"
#include "sim/frames.h"

namespace orrery::sim {

/// Something that must hold did not.
struct Breach : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Watch {
 public:
  static constexpr std::int64_t kOnWord = 2'000;  // bytes
  static constexpr unsigned kMostTicks = 500;     // of one node in a second
  static constexpr unsigned kMostAtOnce = 16;     // in one millisecond, each after the other

  /// `strangers`: remote endpoints of hosts that are remembered, for 3.
  explicit Watch(std::size_t strangers) : most_strangers_(strangers) {}

  /// What a step of a host answers to; nothing for timers and commands.
  struct Cause {
    const Flight* datagram = nullptr;
  };

  /// A datagram comes in at a host.
  void heard(HostId host, const Flight& flight);
  /// The host sends this in answer to `cause`. `self`: its address.
  void spoke(HostId host, wire::Address self, const Cause& cause, const wire::Endpoint& to,
             Bytes datagram, const Frames& frames);
  /// Datagrams from this endpoint to this host are not sent from there.
  void lies(HostId host, const wire::Endpoint& from);
  void tables(const control::TableSizes& sizes, const control::Limits& limits,
              std::size_t given_pins) const;
  /// Node's tick is through; `next` is its deadline then.
  void ticked(HostId host, Millis now, Millis next);
  void pinned(wire::Address address, Bytes before, Bytes after) const;

  /// Whether there was room for all strangers until now.
  [[nodiscard]] bool sees_all() const { return strangers_.size() < most_strangers_; }

 private:
  /// A remote endpoint that spoke to a host first.
  struct Stranger {
    std::int32_t credit = 0;  // bytes that may still be sent there
    bool answered = false;    // we sent something there
    bool settled = false;     // it spoke again after that: it may be who it says
    bool lies = false;
  };

  struct Clock {
    Millis at = 0;  // of the last tick
    unsigned at_once = 0;
    Millis second = 0;
    unsigned ticks = 0;
  };

  std::size_t most_strangers_;
  FlatMap<Stranger> strangers_;  // by host and endpoint
  std::vector<Clock> clocks_;
  unsigned relayed_ = 0;  // how often the datagram that was heard last was sent on
};

}  // namespace orrery::sim
