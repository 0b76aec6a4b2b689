#include "dataplane/lan_switch.h"

#include "fib/guard.h"
#include "wire/bridge_probe.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr std::uint64_t bit(unsigned port) {
  return std::uint64_t{1} << port;
}

}  // namespace

LanSwitch::LanSwitch(wire::NetworkId network, wire::Address self, SipKey key,
                     const LanTable::Limits& limits)
    : network_(network),
      key_(key),
      own_mac_(wire::mac_of(self, network)),
      member_octet_(wire::mac_first_octet(network)),
      table_(key, limits) {}

bool LanSwitch::add_lan_port(unsigned port, const LanPortOptions& options) noexcept {
  lan_ports_ |= bit(port);
  sides_[port].broadcast.set(options.broadcast);
  sides_[port].multicast.set(options.multicast);
  sides_[port].unknown.set(options.unknown);
  if (options.dhcp_guard) dhcp_guarded_ |= bit(port);
  if (options.ra_guard) ra_guarded_ |= bit(port);
  if (options.arp_nd_suppression) {
    suppressing_ |= bit(port) | bit(kTap);
    if (!neighbours_) neighbours_ = std::make_unique<NeighbourTable>(key_);
  }
  bool all = true;
  for (const wire::Mac mac : options.fixed) all &= table_.fix(mac, port);
  return all;
}

void LanSwitch::block(unsigned port, bool blocked) noexcept {
  if (blocked) {
    blocked_.fetch_or(bit(port), kRelaxed);
    table_.forget_all(port);  // they are found through the bridge that goes on
  } else {
    blocked_.fetch_and(~bit(port), kRelaxed);
  }
}

LanSwitch::Counts LanSwitch::counts(unsigned side) const noexcept {
  const Side& s = sides_[side];
  return {s.moved.load(kRelaxed), s.held.load(kRelaxed), s.refused.load(kRelaxed),
          s.fixed.load(kRelaxed), s.contested.load(kRelaxed)};
}

std::uint64_t LanSwitch::guarded(Bytes frame) const noexcept {
  if ((dhcp_guarded_ | ra_guarded_) == 0) return 0;
  switch (fib::server_word(load_be16(frame.data() + 12), frame.subspan(kEthernet))) {
    case fib::ServerWord::kNone:
      return 0;
    case fib::ServerWord::kDhcp:
      return dhcp_guarded_;
    case fib::ServerWord::kRouter:
      return ra_guarded_;
  }
  return 0;
}

bool LanSwitch::learn(wire::Mac source, unsigned side, Millis now) noexcept {
  Side& s = sides_[side];
  switch (table_.learn(source, side, now, side == kOverlay)) {
    case LanTable::Learned::kKnown:
    case LanTable::Learned::kNew:
      return true;
    case LanTable::Learned::kMoved:
      s.moved.fetch_add(1, kRelaxed);
      return true;
    case LanTable::Learned::kHeld:
      s.held.fetch_add(1, kRelaxed);
      return true;
    case LanTable::Learned::kFull:
      s.refused.fetch_add(1, kRelaxed);
      return true;
    case LanTable::Learned::kFixed:
      // Behind a blocked port it is heard through the bridge that goes on.
      if (blocked(table_.find(source, now))) return true;
      s.fixed.fetch_add(1, kRelaxed);
      return false;
  }
  return true;
}

std::optional<fib::Neighbour> LanSwitch::heed(Bytes frame, unsigned side, Millis now) noexcept {
  if (!neighbours_) return {};
  const wire::BehindTag in =
      wire::behind_tag(load_be16(frame.data() + 12), frame.subspan(kEthernet));
  const auto message = fib::read_neighbour(
      wire::Mac::load(frame.data()), wire::Mac::load(frame.data() + 6), in.ethertype, in.payload);
  if (!message) return {};
  const std::uint16_t vlan = wire::vlan_of(in.tag_control);
  if (message->claim != fib::Claim::kNone &&
      neighbours_->claim(*message, vlan, now) == NeighbourTable::Claimed::kContested) {
    sides_[side].contested.fetch_add(1, kRelaxed);
  }
  return message->target ? neighbours_->find(message->target, vlan, now) : std::nullopt;
}

unsigned LanSwitch::whereabouts(wire::Mac mac, Millis now) const noexcept {
  unsigned at = kOverlay;
  if (mac == own_mac_) {
    at = kTap;
  } else if (!is_member_mac(mac)) {
    at = table_.find(mac, now);
  }
  return at == kOverlay || (at < kMaxPorts && (open_ports() & bit(at)) != 0) ? at
                                                                             : LanTable::kUnknown;
}

LanSwitch::Verdict LanSwitch::from_local(unsigned port, Bytes frame, Millis now) noexcept {
  if (frame.size() < kEthernet) return {.drop = Drop::kShort};
  Side& side = sides_[port];
  if (wire::is_bridge_probe(frame)) [[unlikely]] {
    if (!side.probes.take(now)) return {.drop = Drop::kProbes};
    return {.probe = true};
  }
  if (blocked(port)) return {.drop = Drop::kBlocked};
  const wire::Mac destination = wire::Mac::load(frame.data());
  const wire::Mac source = wire::Mac::load(frame.data() + 6);
  const bool lan = (lan_ports_ >> port & 1) != 0;
  const bool unicast = source && !source.is_multicast();
  const bool station = unicast && !is_member_mac(source);
  // Members would send its answers to the node that the rest of the MAC names.
  if (lan && !station) return {.drop = unicast ? Drop::kMemberMac : Drop::kSourceMac};
  if (station && !learn(source, port, now)) return {.drop = Drop::kFixedMac};

  const std::uint64_t keep = guarded(frame);
  if ((keep & bit(port)) != 0) return {.drop = Drop::kGuard};
  const std::uint64_t others = open_ports() & ~bit(port) & ~keep;
  const std::optional<fib::Neighbour> asked_for = heed(frame, port, now);
  if (destination.is_multicast()) {
    if (destination.is_broadcast() ? !side.broadcast.take(now) : !side.multicast.take(now)) {
      return {.drop = destination.is_broadcast() ? Drop::kBroadcastStorm : Drop::kMulticastStorm};
    }
    if (asked_for && (suppressing_ & bit(port)) != 0) {
      const unsigned at = whereabouts(asked_for->mac, now);
      if (at == port) return {.drop = Drop::kLocal};
      if (at == kOverlay) return {.ports = others, .overlay = true, .neighbour = *asked_for};
      if (at != LanTable::kUnknown) return {.ports = bit(at)};
    }
    return {.ports = others, .overlay = true};
  }
  if (is_member_mac(destination)) {
    // Ours is the TAP's; others tell where they are.
    if (destination == own_mac_ && (others & bit(kTap)) != 0) return {.ports = bit(kTap)};
    return {.overlay = true};
  }
  const unsigned at = table_.find(destination, now);
  if (at == port) return {.drop = Drop::kLocal};
  if (at == kOverlay) return {.overlay = true};
  if (at < kMaxPorts && (keep & bit(at)) != 0) return {.drop = Drop::kGuard};
  if (at < kMaxPorts && (others & bit(at)) != 0) return {.ports = bit(at)};
  // A station nobody has heard may be behind any other port, local or remote.
  if (!side.unknown.take(now)) return {.drop = Drop::kUnknownStorm};
  return {.ports = others, .overlay = true};
}

LanSwitch::Verdict LanSwitch::from_overlay(Bytes frame, Millis now) noexcept {
  if (frame.size() < kEthernet) return {.drop = Drop::kShort};
  if (wire::is_bridge_probe(frame)) [[unlikely]] {
    if (!sides_[kOverlay].probes.take(now)) return {.drop = Drop::kProbes};
    return {.probe = true};
  }
  const wire::Mac destination = wire::Mac::load(frame.data());
  const wire::Mac source = wire::Mac::load(frame.data() + 6);
  if (!is_member_mac(source) && !learn(source, kOverlay, now)) return {.drop = Drop::kFixedMac};
  const std::optional<fib::Neighbour> asked_for = heed(frame, kOverlay, now);
  std::uint64_t ports = open_ports();
  if (asked_for) {
    const unsigned at = whereabouts(asked_for->mac, now);
    if (at == kTap && (suppressing_ & bit(at)) != 0) return {.ports = bit(at)};
    if (at < kMaxPorts && (suppressing_ & bit(at)) != 0)
      return {.ports = ports, .neighbour = *asked_for};
  }
  if (destination == own_mac_) {
    ports &= bit(kTap);
  } else if (!destination.is_multicast()) {
    const unsigned at = table_.find(destination, now);
    if (at < kMaxPorts && (ports & bit(at)) != 0) ports = bit(at);
  }
  if (ports == 0) return {.drop = Drop::kNoPort};
  ports &= ~guarded(frame);
  if (ports == 0) return {.drop = Drop::kGuard};
  return {.ports = ports};
}

}  // namespace orrery::dataplane
