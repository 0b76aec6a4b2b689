// What a root does for others: introductions, and limits of relaying and of answering WHOIS.
//
// Relaying changes nothing but the hop count and checks no MAC, so who a packet is from and for may
// be a lie. Whatever pairs are named, remembering one costs the same and no honest pair is refused:
// the table of introductions has a fixed size under a keyed hash, and a pair that is pushed out of
// it is merely introduced again sooner.
// Source: docs/protocol/04-paths-and-roots.md sections 6.1, 8; docs/protocol/03-verbs.md 0x04.
#pragma once

#include <optional>
#include <vector>

#include "control/peer.h"

namespace orrery::control {

class Introductions {
 public:
  static constexpr Millis kInterval = 30'000;  // per unordered pair
  static constexpr Millis kFresh = 600'000;    // longer ago: they may be somewhere else by now

  Introductions(std::size_t pairs, SipKey key)
      : key_(key), pairs_((pairs + kWays - 1) / kWays * kWays) {}

  /// Whether the two may be introduced now, and remembers it: how often they were before without
  /// a pause of kFresh, since whoever is still relayed may do better over other paths.
  [[nodiscard]] std::optional<unsigned> due(Millis now, wire::Address a, wire::Address b);

 private:
  static constexpr std::size_t kWays = 4;

  struct Pair {
    std::uint64_t tag = 0;  // keyed hash of both addresses; 0: free
    Millis at = 0;          // mono
    unsigned before = 0;
  };

  SipKey key_;
  std::vector<Pair> pairs_;  // sets of kWays; the oldest of its set gives way
};

/// Paths over which two peers may meet; always of the same family and scope.
struct MeetingPoint {
  const Path* first = nullptr;
  const Path* second = nullptr;
};

/// The pair of their paths over which it is likeliest, or, after `before` attempts, the next ones
/// in turn. Paths that were heard from lately come before others; then, in this order: both in one
/// private network, which is that of the root, too; public addresses, IPv6 first, which has no NAT;
/// private addresses that are not alike; one public address for both, whose NAT would have to turn
/// packets back. The rest is a matter of quality.
[[nodiscard]] std::optional<MeetingPoint> meeting_point(const Peer& first, const Peer& second,
                                                        Millis now, unsigned before);

/// Adds one to the hop count of a head or fragment in place; false at the limit.
[[nodiscard]] bool bump_hops(MutableBytes datagram);

}  // namespace orrery::control
