#include "fib/forward.h"

#include <algorithm>

namespace orrery::fib {
namespace {

constexpr std::uint16_t kEtherIpv6 = 0x86dd;

Resolution drop(Resolution r, Refusal refusal) {
  r.to = Outbound::kDrop;
  r.refusal = refusal;
  return r;
}

/// What is wrong with the MACs of an EXT_FRAME that rules accepted; sets `learn`. Source:
/// section 9.2.
Refusal check_ext_macs(const Network& network, const Member& sender, const EthernetFrame& frame,
                       bool& learn) {
  if (frame.source != wire::mac_of(sender.address, network.id)) {
    // Stricter than the reference: a bridge may not speak in the name of another member.
    if (!is_active_bridge(network, sender.address) || is_member_mac(network, frame.source)) {
      return Refusal::kSourceMac;
    }
    learn = true;
    return Refusal::kNone;
  }
  if (frame.destination == network.mac) return Refusal::kNone;
  if (frame.destination.is_multicast()) {
    return network.multicast_limit == 0 ? Refusal::kMulticastOff : Refusal::kNone;
  }
  return network.active_bridge ? Refusal::kNone : Refusal::kDestinationMac;
}

/// The same for MULTICAST_FRAME, checked before the rules. Source: section 9.3.
Refusal check_multicast_macs(const Network& network, const Member& sender,
                             const EthernetFrame& frame, bool& learn) {
  if (frame.source == wire::mac_of(sender.address, network.id)) return Refusal::kNone;
  if (!is_active_bridge(network, sender.address)) return Refusal::kSourceMac;
  // A replicator passes on frames of members: their own MACs are no stations behind it.
  learn = !is_member_mac(network, frame.source);
  return Refusal::kNone;
}

/// What is wrong with a frame whatever its sender is.
Refusal check_frame(const Network& network, Carrier carrier, const EthernetFrame& f) {
  switch (carrier) {
    case Carrier::kFrame:
      return f.payload.empty() ? Refusal::kLength : Refusal::kNone;
    case Carrier::kExtFrame:
      if (f.source == network.mac) return Refusal::kLoop;
      return !f.source || f.source.is_multicast() ? Refusal::kSourceMac : Refusal::kNone;
    case Carrier::kMulticastFrame:
      if (network.multicast_limit == 0) return Refusal::kMulticastOff;
      if (f.payload.empty() || f.payload.size() > kLargestPayload) return Refusal::kLength;
      if (!f.destination.is_multicast()) return Refusal::kDestinationMac;
      if (f.source == network.mac) return Refusal::kLoop;
      return !f.source || f.source.is_multicast() ? Refusal::kSourceMac : Refusal::kNone;
  }
  return Refusal::kNone;
}

}  // namespace

const char* refusal_label(Refusal refusal) {
  switch (refusal) {
#define ORRERY_REFUSAL_CASE(name, label, text) \
  case Refusal::name:                          \
    return label;
    ORRERY_FOR_EACH_REFUSAL(ORRERY_REFUSAL_CASE)
#undef ORRERY_REFUSAL_CASE
  }
  return "unknown";
}

bool is_active_bridge(const Network& network, wire::Address address) {
  return std::binary_search(network.active_bridges.begin(), network.active_bridges.end(), address);
}

Resolution resolve(const Network& network, const EthernetFrame& frame) {
  Resolution r;
  r.bridged = frame.source != network.mac;
  if (r.bridged && (!network.active_bridge || !frame.source || frame.source.is_multicast())) {
    return drop(r, Refusal::kSourceMac);
  }
  const wire::Mac to = frame.destination;
  if (to.is_multicast()) {
    r.group = {to, 0};
    if (to.is_broadcast()) {
      if (const auto target = arp_request_target(frame.ethertype, frame.payload)) {
        r.group.adi = *target;
      } else if (!network.broadcast) {
        return drop(r, Refusal::kBroadcastOff);
      }
    } else if (frame.ethertype == kEtherIpv6) {
      if (const auto answer = answer_solicitation(network, frame.source, frame.payload)) {
        r.to = Outbound::kAdvertise;
        r.advertisement = *answer;
        return r;
      }
    }
    if (network.multicast_limit == 0) return drop(r, Refusal::kMulticastOff);
    if (frame.payload.empty()) return drop(r, Refusal::kLength);
    r.to = Outbound::kMulticast;
    return r;
  }
  if (to == network.mac) {
    r.to = Outbound::kReinject;
    return r;
  }
  if (is_member_mac(network, to)) {
    const wire::Address member = wire::address_of(to, network.id);
    if (member.is_reserved()) return drop(r, Refusal::kNoMember);
    r.member = member;
    r.to = Outbound::kMember;
    return r;
  }
  if (network.active_bridges.empty()) return drop(r, Refusal::kNoBridge);
  r.to = Outbound::kBridge;
  return r;
}

BridgeTargets bridge_targets(const Network& network, wire::Address learned, std::uint32_t random) {
  BridgeTargets targets;
  if (learned && learned != network.self && is_active_bridge(network, learned)) {
    targets.address[targets.count++] = learned;
    return targets;
  }
  const std::size_t n = network.active_bridges.size();
  const std::size_t start = n > kBridgeFanOut ? random % n : 0;
  for (std::size_t i = 0; i < n && targets.count < kBridgeFanOut; ++i) {
    const wire::Address bridge = network.active_bridges[(start + i) % n];
    if (bridge != network.self) targets.address[targets.count++] = bridge;
  }
  return targets;
}

Gate gate(const Member* sender) {
  if (sender == nullptr) return Gate::kUnknown;
  return sender->allowed ? Gate::kPass : Gate::kNeedsCredentials;
}

Refusal before_rules(const Network& network, const Member& sender, Carrier carrier,
                     EthernetFrame& frame, bool& learn) {
  if (carrier == Carrier::kFrame) {
    frame.source = wire::mac_of(sender.address, network.id);
    frame.destination = network.mac;
  }
  const Refusal refusal = check_frame(network, carrier, frame);
  if (refusal != Refusal::kNone || carrier != Carrier::kMulticastFrame) return refusal;
  return check_multicast_macs(network, sender, frame, learn);
}

Refusal after_rules(const Network& network, const Member& sender, Carrier carrier,
                    const EthernetFrame& frame, Filter filter, bool& learn) {
  if (filter == Filter::kDrop) return Refusal::kRules;
  if (carrier != Carrier::kExtFrame || filter != Filter::kAccept) return Refusal::kNone;
  return check_ext_macs(network, sender, frame, learn);
}

InboundDecision accept_inbound(const Network& network, const Member& sender, const InboundFrame& in,
                               std::uint32_t random) {
  InboundDecision d;
  d.frame = in.frame;
  d.refusal = before_rules(network, sender, in.carrier, d.frame, d.learn);
  if (d.refusal != Refusal::kNone) return d;
  d.verdict = filter_in(network, sender, rule_frame_in(network, d.frame, sender.address), random);
  d.refusal = after_rules(network, sender, in.carrier, d.frame, d.verdict.filter, d.learn);
  // Nothing is acknowledged on the paths where the reference stops early.
  d.acknowledge = in.carrier == Carrier::kExtFrame &&
                  (d.refusal == Refusal::kNone || d.refusal == Refusal::kRules);
  d.deliver = d.refusal == Refusal::kNone;
  return d;
}

}  // namespace orrery::fib
