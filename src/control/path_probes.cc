// Probes of what a path carries: which sizes, over which path, by whom answered, and what follows.
//
// A probe is a HELLO that is padded to the size in question and leaves in one datagram that nobody
// may fragment. Every node answers HELLO, with a small OK whatever the size of the question, so the
// way back has no part in the result; who answers has proven to have got all of it, since the MAC
// covers the padding. Source: RFC 8899; docs/protocol/03-verbs.md 0x01.
#include <algorithm>

#include "control/node_state.h"

namespace orrery::control {

namespace {

// What links carry of which nothing is known, bytes of IP packet.
constexpr std::size_t kUsualLink = 1500;
constexpr std::size_t kLeastLink = 576;
constexpr Millis kStarved = 100;  // until the next look when the rate of probes is used up

/// What a probe's expectation remembers.
std::uint64_t context_of(std::uint16_t size, std::uint32_t round) {
  return std::uint64_t{round} << 16 | size;
}

}  // namespace

SizeLimits Node::State::size_limits(const fib::PathKey& key) const {
  const auto clamped = [](std::size_t size) {
    return static_cast<std::uint16_t>(std::min(size, wire::kMaxPacket));
  };
  const std::size_t outer = outer_size(key.remote);
  const PhysicalNetwork* network = physical(key.remote);
  if (network != nullptr && network->mtu != 0) {
    const std::uint16_t most = clamped(std::max<std::size_t>(network->mtu, wire::kMinUdpPayload));
    return {static_cast<std::uint16_t>(outer), most, most};
  }
  const auto local = std::find_if(locals.begin(), locals.end(), [&](const LocalEndpoint& endpoint) {
    return endpoint.socket == key.socket;
  });
  const std::size_t link = local == locals.end() || local->mtu == 0 ? kUsualLink : local->mtu;
  const std::uint16_t most = clamped(std::max(link, kLeastLink) - outer);
  return {static_cast<std::uint16_t>(outer),
          std::min(static_cast<std::uint16_t>(wire::kDefaultUdpPayload), most), most};
}

std::uint16_t Node::State::datagram_size(const Route& route) const {
  const SizeLimits limits = size_limits(route.key);
  const PathSizes::Entry* known = sizes.find(route.key);
  const std::uint16_t size = known == nullptr ? limits.start : known->size.size(limits);
  if (route.direct) return size;
  // Whoever relays passes datagrams on as they are, over paths that we know nothing of.
  return std::min(size, static_cast<std::uint16_t>(wire::kDefaultUdpPayload));
}

void Node::State::full_size(Now now, Peer& peer, bool frame) {
  if (options.low_bandwidth) return;
  const std::optional<Route> route = route_to(now, peer);
  if (!route) return;
  if (const PathSizes::Entry* known = sizes.find(route->key);
      !frame && known != nullptr && known->size.known()) {
    return;
  }
  const Peer* answering = route->direct ? &peer : topology.relay_to(now.mono, peer);
  if (answering == nullptr || !answering->established()) return;
  if (!sizes.use(now.mono, route->key, answering->address())) count(Count::kTableFull);
}

void Node::State::probe_sizes(Now now, Effects& out) {
  while (sizes.next() <= now.mono) {
    if (!size_budget.any(now.mono)) {
      sizes_wait = now.mono + kStarved;
      return;
    }
    const fib::PathKey key = sizes.first();
    Peer* peer = topology.find(sizes.find(key)->peer);
    const PeerPath* entry = peer == nullptr ? nullptr : peer->entry_of(key);
    if (entry == nullptr || !entry->unexpired(now.mono)) {
      sizes.erase(key);
      continue;
    }
    const int latency = entry->path->measured.latency_ms();
    const PathSize::Turn turn =
        sizes.turn(now.mono, key, size_limits(key), latency == kLatencyUnknown ? 0 : latency);
    counters.add(Count::kSizeLost, turn.lost);
    const std::uint32_t round = sizes.find(key)->size.round();
    for (const std::uint16_t size : turn.ask)
      hello(now, *peer, key, out, {size, context_of(size, round)});
    counters.add(Count::kSizeProbes, turn.ask.size());
    size_budget.take_all(turn.ask.size());
    if (!turn.fell) continue;
    count(Count::kSizeFell);
    route_changed(now, *peer, out);
  }
}

void Node::State::size_answered(Now now, const Incoming& in, std::uint64_t context, Effects& out) {
  const PathSizes::Entry* known = sizes.find(in.via);
  if (known == nullptr) return;
  const SizeLimits limits = size_limits(in.via);
  const std::uint16_t before = known->size.size(limits);
  if (!sizes.answered(in.via, static_cast<std::uint16_t>(context),
                      static_cast<std::uint32_t>(context >> 16))) {
    return;
  }
  count(Count::kSizeAcked);
  if (known->size.size(limits) != before) route_changed(now, *in.peer, out);
}

}  // namespace orrery::control
