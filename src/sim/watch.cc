#include "sim/watch.h"

#include "wire/header.h"

namespace orrery::sim {

namespace {

std::int32_t ip_bytes(const wire::Endpoint& remote, std::size_t payload) {
  return static_cast<std::int32_t>(payload) + (remote.family == 6 ? 48 : 28);
}

/// Of a head or a fragment; nothing for what is neither.
struct Shape {
  bool packet = false;
  std::size_t hops_at = 0;
  unsigned hops = 0;
  wire::Address source;  // of heads
};

Shape shape_of(Bytes datagram) {
  Shape shape;
  switch (wire::kind_of(datagram)) {
    case wire::DatagramKind::kPacket: {
      const auto header = wire::decode_packet_header(datagram);
      shape = {true, wire::kFlagsOffset, header->hops(), header->source};
      break;
    }
    case wire::DatagramKind::kFragment:
      shape = {true,
               wire::kFragmentHopsOffset,
               datagram[wire::kFragmentHopsOffset] & unsigned{wire::kHopsMask},
               {}};
      break;
    default:
      break;
  }
  return shape;
}

bool equal_but_hops(Bytes a, Bytes b, std::size_t hops_at) {
  if (a.size() != b.size()) return false;
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(hops_at), b.begin()) &&
         ((a[hops_at] ^ b[hops_at]) & ~unsigned{wire::kHopsMask}) == 0 &&
         std::equal(a.begin() + static_cast<std::ptrdiff_t>(hops_at) + 1, a.end(),
                    b.begin() + static_cast<std::ptrdiff_t>(hops_at) + 1);
}

}  // namespace

void Watch::heard(HostId host, const Flight& flight) {
  relayed_ = 0;
  const std::uint64_t name = key_of(host, flight.from);
  if (strangers_.size() >= most_strangers_ && strangers_.find(name) == nullptr) return;
  Stranger& who = strangers_[name];
  who.settled |= who.answered && !who.lies;
  if (who.settled) return;
  // What is more than anybody ever sends back need not be counted.
  constexpr std::int32_t kMost = 1 << 30;
  who.credit = std::min(who.credit + 3 * ip_bytes(flight.from, flight.payload.size()), kMost);
}

void Watch::lies(HostId host, const wire::Endpoint& from) {
  Stranger& who = strangers_[key_of(host, from)];
  who.lies = true;
  who.settled = false;
}

void Watch::spoke(HostId host, wire::Address self, const Cause& cause, const wire::Endpoint& to,
                  Bytes datagram, const Frames& frames) {
  if (frames.shows(datagram)) throw Breach("plaintext of a frame is on the wire");
  const Shape shape = shape_of(datagram);
  if (shape.packet) {
    const bool relay = cause.datagram != nullptr && (shape.source != self || shape.hops != 0) &&
                       equal_but_hops(cause.datagram->payload, datagram, shape.hops_at);
    if (relay) {
      const unsigned before = shape_of(cause.datagram->payload).hops;
      if (shape.hops != before + 1) throw Breach("a packet is sent on without one hop more");
      if (shape.hops > wire::kRelayMaxHops) throw Breach("a packet is sent on too often");
      if (++relayed_ > 1) throw Breach("a packet is sent on twice");
      if (to == cause.datagram->from) throw Breach("a packet is sent back to where it came from");
    } else {
      if (shape.source.value != 0 && shape.source != self)
        throw Breach("a packet of another source is made up");
      if (shape.hops != 0) throw Breach("a packet of its own has hops");
    }
  }
  const std::uint64_t name = key_of(host, to);
  Stranger* const known = strangers_.find(name);
  if (known == nullptr) {
    // We speak first: what comes from there may be an answer. Those that find no room in a scene of
    // very many are not looked at.
    if (strangers_.size() < most_strangers_) strangers_[name].settled = true;
    return;
  }
  Stranger& who = *known;
  if (who.settled && !who.lies) return;
  who.answered = true;
  who.credit -= ip_bytes(to, datagram.size());
  if (who.credit + (who.lies ? 0 : kOnWord) < 0)
    throw Breach("more than three times its bytes go to " + wire::to_string(to) +
                 ", who has proven nothing");
}

void Watch::tables(const control::TableSizes& sizes, const control::Limits& limits,
                   std::size_t given_pins) const {
  const auto within = [](std::size_t size, std::size_t limit, const char* what) {
    if (size > limit)
      throw Breach(std::string("the table of ") + what + " holds " + std::to_string(size) +
                   ", its limit is " + std::to_string(limit));
  };
  within(sizes.peers, limits.peers, "peers");
  within(sizes.paths, limits.paths, "paths");
  within(sizes.waiting, limits.waiting, "waiting packets");
  within(sizes.outgoing, limits.outgoing, "outgoing packets");
  within(sizes.lookups, limits.waiting, "lookups");
  within(sizes.requests, limits.requests, "requests");
  within(sizes.pins, limits.peers + given_pins, "pins");
}

void Watch::ticked(HostId host, Millis now, Millis next) {
  if (clocks_.size() <= host) clocks_.resize(host + 1);
  Clock& clock = clocks_[host];
  clock.at_once = clock.at == now ? clock.at_once + 1 : 1;
  clock.at = now;
  if (next <= now && clock.at_once > kMostAtOnce)
    throw Breach("the next deadline does not advance");
  if (now - clock.second >= 1'000) {
    clock.second = now;
    clock.ticks = 0;
  }
  if (++clock.ticks > kMostTicks) throw Breach("the node wants to be woken without end");
}

void Watch::pinned(wire::Address address, Bytes before, Bytes after) const {
  if (!before.empty() && !std::equal(before.begin(), before.end(), after.begin(), after.end()))
    throw Breach("the key on record for " + wire::to_string(address) + " changes");
}

}  // namespace orrery::sim
