// What a root does for others: introductions, and limits of relaying and of answering WHOIS.
//
// Relaying changes nothing but the hop count and checks no MAC. The table of introductions has a
// fixed size; a full one means that pairs are introduced again later, never that anything grows.
// Source: docs/protocol/04-paths-and-roots.md sections 6.1, 8; docs/protocol/03-verbs.md 0x04.
#pragma once

#include <optional>
#include <unordered_map>

#include "control/peer.h"

namespace orrery::control {

inline constexpr unsigned kRelayMaxHops = 3;

class Introductions {
 public:
  static constexpr Millis kInterval = 30'000;  // per unordered pair
  static constexpr Millis kRemembered = 240'000;
  static constexpr std::size_t kPairs = 65'536;

  explicit Introductions(SipKey key) : pairs_(16, KeyedHash{key}) {}

  /// Whether the two may be introduced now, and remembers it.
  [[nodiscard]] bool due(Millis now, wire::Address a, wire::Address b);
  void expire(Millis now);

 private:
  std::unordered_map<std::uint64_t, Millis, KeyedHash> pairs_;
};

/// The paths over which two peers should meet: the same family and scope for both, best scope
/// first.
struct MeetingPoint {
  const Path* first = nullptr;
  const Path* second = nullptr;
};

[[nodiscard]] std::optional<MeetingPoint> meeting_point(const Peer& first, const Peer& second,
                                                        Millis now);

/// Adds one to the hop count of a head or fragment in place; false at the limit.
[[nodiscard]] bool bump_hops(MutableBytes datagram);

}  // namespace orrery::control
