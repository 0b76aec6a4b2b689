#include "control/root.h"

#include <algorithm>

#include "wire/header.h"

namespace orrery::control {

bool Introductions::due(Millis now, wire::Address a, wire::Address b) {
  const auto [low, high] = std::minmax(a.value, b.value);
  // 80 bits folded to 64: two pairs that fall together merely share their interval.
  const std::uint64_t pair = (low << 24) ^ high ^ (high << 40);
  const auto it = pairs_.find(pair);
  if (it != pairs_.end()) {
    if (now - it->second < kInterval) return false;
    it->second = now;
    return true;
  }
  if (pairs_.size() >= kPairs) {
    expire(now);
    if (pairs_.size() >= kPairs) return false;
  }
  pairs_.emplace(pair, now);
  return true;
}

void Introductions::expire(Millis now) {
  std::erase_if(pairs_, [&](const auto& entry) { return now - entry.second >= kRemembered; });
}

namespace {

/// Best path of one family and scope, the later one on ties.
const Path* best_of(const Peer& peer, std::uint8_t family, int scope, Millis now) {
  const Path* best = nullptr;
  for (const PeerPath& entry : peer.paths) {
    const wire::Endpoint& remote = entry.path->key.remote;
    if (remote.family != family || static_cast<int>(wire::scope_of(remote)) != scope) continue;
    if (best == nullptr || entry.path->quality(now) <= best->quality(now)) best = entry.path;
  }
  return best;
}

}  // namespace

std::optional<MeetingPoint> meeting_point(const Peer& first, const Peer& second, Millis now) {
  for (int scope = 7; scope >= 0; --scope) {
    for (const std::uint8_t family : {std::uint8_t{6}, std::uint8_t{4}}) {
      const MeetingPoint point{best_of(first, family, scope, now),
                               best_of(second, family, scope, now)};
      if (point.first != nullptr && point.second != nullptr) return point;
    }
  }
  return std::nullopt;
}

bool bump_hops(MutableBytes datagram) {
  const bool fragment = wire::kind_of(datagram) == wire::DatagramKind::kFragment;
  std::uint8_t& field = datagram[fragment ? 15 : wire::kFlagsOffset];
  const unsigned hops = field & wire::kHopsMask;
  if (hops >= kRelayMaxHops) return false;
  field = static_cast<std::uint8_t>((field & ~wire::kHopsMask) | (hops + 1));
  return true;
}

}  // namespace orrery::control
