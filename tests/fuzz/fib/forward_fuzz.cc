// Arbitrary frames from the host and from members through the frame path.
//
// Invariants: a refusal is given exactly when nothing is done; only bridges teach and use foreign
// MACs; multicast stays off when it is off; an advertisement has a sound checksum.
// Input: [1] network switches, [1] carrier, [1] which MACs, Ethernet frame.
#include <cstdlib>

#include "base/cursor.h"
#include "fib/forward.h"

namespace {

using namespace orrery;
using namespace orrery::fib;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_advertisement(const Network& network, const NeighbourAdvertisement& a) {
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 8; i < a.payload.size(); i += 2) sum += load_be16(a.payload.data() + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  require(sum == 0xffff);
  require(is_member_mac(network, a.source) && a.source != network.mac);
}

void check_outbound(const Network& network, const EthernetFrame& frame) {
  const Resolution r = resolve(network, frame);
  require((r.to == Outbound::kDrop) == (r.refusal != Refusal::kNone));
  if (r.to == Outbound::kDrop) return;
  require(!r.bridged || network.active_bridge);
  switch (r.to) {
    case Outbound::kAdvertise:
      require(network.ndp_emulation);
      check_advertisement(network, r.advertisement);
      break;
    case Outbound::kMulticast:
      require(network.multicast_limit != 0 && r.group.mac == frame.destination);
      break;
    case Outbound::kMember:
      require(!r.member.is_reserved() && r.member != network.self);
      require(wire::mac_of(r.member, network.id) == frame.destination);
      break;
    case Outbound::kBridge:
      require(!network.active_bridges.empty() && !is_member_mac(network, frame.destination));
      break;
    case Outbound::kReinject:
    case Outbound::kDrop:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader r(Bytes(data, size));
  const std::uint8_t switches = r.u8();
  const std::uint8_t carrier = r.u8();
  const std::uint8_t macs = r.u8();
  if (!r.ok()) return 0;

  Network network;
  network.id = wire::NetworkId{0x8056c2e21c000001ULL};
  network.self = wire::Address{0x1111111111ULL};
  network.mac = wire::mac_of(network.self, network.id);
  network.broadcast = (switches & 1) != 0;
  network.multicast_limit = (switches & 2) != 0 ? 32 : 0;
  network.ndp_emulation = (switches & 4) != 0;
  network.active_bridge = (switches & 8) != 0;
  network.match_tags = (switches & 64) != 0;
  const wire::Address bridge{0x3333333333ULL};
  if ((switches & 8) != 0) network.active_bridges.push_back(network.self);
  if ((switches & 16) != 0) network.active_bridges.push_back(bridge);
  wire::Rule accept;
  accept.type = static_cast<std::uint8_t>(wire::RuleType::kActionAccept);
  network.rules = {accept};
  network.static_ips = {wire::rfc4193_address(network.self, network.id),
                        wire::sixplane_address(network.self, network.id)};
  Member sender;
  sender.network = network.id;
  sender.address = (switches & 32) != 0 ? bridge : wire::Address{0x2222222222ULL};
  sender.allowed = true;

  const auto read = read_ethernet(r.rest());
  if (!read) return 0;
  EthernetFrame frame = *read;
  const wire::Mac sender_mac = wire::mac_of(sender.address, network.id);
  if ((macs & 1) != 0) frame.source = sender_mac;
  if ((macs & 2) != 0) frame.source = network.mac;
  if ((macs & 4) != 0) frame.destination = network.mac;
  if ((macs & 8) != 0) frame.destination = wire::kBroadcastMac;
  check_outbound(network, frame);

  const InboundFrame in{static_cast<Carrier>(carrier % 3), frame};
  const InboundDecision d = accept_inbound(network, sender, in, 0);
  require(d.deliver == (d.refusal == Refusal::kNone));
  if (d.deliver) {
    require(d.frame.source == sender_mac || is_active_bridge(network, sender.address));
    require(d.frame.source != network.mac);
    require(in.carrier != Carrier::kMulticastFrame || network.multicast_limit != 0);
  }
  require(!d.learn || (is_active_bridge(network, sender.address) &&
                       !is_member_mac(network, d.frame.source) && !d.frame.source.is_multicast()));
  const BridgeTargets targets = bridge_targets(network, sender.address, switches);
  for (std::size_t i = 0; i < targets.count; ++i) {
    require(targets.address[i] != network.self && is_active_bridge(network, targets.address[i]));
  }
  return 0;
}
