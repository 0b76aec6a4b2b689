#include "control/root.h"

#include <algorithm>

#include "wire/header.h"

namespace orrery::control {

bool Introductions::due(Millis now, wire::Address a, wire::Address b) {
  const auto [low, high] = std::minmax(a.value, b.value);
  std::uint8_t bytes[16];
  store_be64(bytes, low);
  store_be64(bytes + 8, high);
  const std::uint64_t tag = siphash(key_, bytes) | 1;
  Pair* const set = &pairs_[tag / 2 % (pairs_.size() / kWays) * kWays];
  Pair* oldest = set;
  for (Pair* pair = set; pair != set + kWays; ++pair) {
    if (pair->tag == tag) {
      if (now - pair->at < kInterval) return false;
      pair->at = now;
      return true;
    }
    if (pair->at < oldest->at) oldest = pair;
  }
  *oldest = {tag, now};
  return true;
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
  std::uint8_t& field = datagram[fragment ? wire::kFragmentHopsOffset : wire::kFlagsOffset];
  const unsigned hops = field & wire::kHopsMask;
  if (hops >= wire::kRelayMaxHops) return false;
  field = static_cast<std::uint8_t>((field & ~wire::kHopsMask) | (hops + 1));
  return true;
}

}  // namespace orrery::control
