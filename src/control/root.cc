#include "control/root.h"

#include <algorithm>
#include <span>
#include <tuple>

#include "wire/header.h"

namespace orrery::control {

std::optional<unsigned> Introductions::due(Millis now, wire::Address a, wire::Address b) {
  const auto [low, high] = std::minmax(a.value, b.value);
  std::uint8_t bytes[16];
  store_be64(bytes, low);
  store_be64(bytes + 8, high);
  const std::uint64_t tag = siphash(key_, bytes) | 1;
  Pair* const set = &pairs_[tag / 2 % (pairs_.size() / kWays) * kWays];
  Pair* oldest = set;
  for (Pair* pair = set; pair != set + kWays; ++pair) {
    if (pair->tag == tag) {
      if (now - pair->at < kInterval) return std::nullopt;
      pair->before = now - pair->at < kFresh ? pair->before + 1 : 0;
      pair->at = now;
      return pair->before;
    }
    if (pair->at < oldest->at) oldest = pair;
  }
  *oldest = {tag, now, 0};
  return 0;
}

namespace {

/// Whether two private addresses may well be in one network: /16 of IPv4, /48 of IPv6.
bool alike(const wire::Endpoint& a, const wire::Endpoint& b) {
  const std::size_t prefix = a.family == 4 ? 2 : 6;
  return std::equal(a.ip.begin(), a.ip.begin() + static_cast<std::ptrdiff_t>(prefix), b.ip.begin());
}

/// Lower is better. REQUIRES: one family and scope.
int unlikely(const wire::Endpoint& a, const wire::Endpoint& b) {
  if (wire::scope_of(a) == wire::IpScope::kPrivate) return alike(a, b) ? 0 : 3;
  if (a.same_ip(b)) return 4;
  return a.family == 6 ? 1 : 2;
}

}  // namespace

std::optional<MeetingPoint> meeting_point(const Peer& first, const Peer& second, Millis now,
                                          unsigned before) {
  struct Choice {
    std::tuple<bool, int, std::int64_t> rank;
    MeetingPoint point;
  };

  constexpr std::size_t kMost = 8;  // of a peer's paths; who has more has had its turn with these
  std::array<Choice, kMost * kMost> all;
  std::size_t n = 0;
  const auto one = std::span(first.paths).first(std::min(first.paths.size(), kMost));
  const auto other = std::span(second.paths).first(std::min(second.paths.size(), kMost));
  for (const PeerPath& a : one) {
    for (const PeerPath& b : other) {
      const wire::Endpoint& at = a.path->key.remote;
      const wire::Endpoint& to = b.path->key.remote;
      if (at.family != to.family || wire::scope_of(at) != wire::scope_of(to)) continue;
      const Choice candidate{{!a.unexpired(now) || !b.unexpired(now), unlikely(at, to),
                              a.quality(now) + b.quality(now)},
                             {a.path, b.path}};
      // Of several sockets of ours that know the same endpoints one is enough.
      const auto same = std::find_if(all.begin(), all.begin() + n, [&](const Choice& known) {
        return known.point.first->key.remote == at && known.point.second->key.remote == to;
      });
      if (same == all.begin() + n) {
        all[n++] = candidate;
      } else if (candidate.rank < same->rank) {
        *same = candidate;
      }
    }
  }
  if (n == 0) return std::nullopt;
  std::stable_sort(all.begin(), all.begin() + n,
                   [](const Choice& a, const Choice& b) { return a.rank < b.rank; });
  return all[before % n].point;
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
