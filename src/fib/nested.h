// An overlay inside the overlay: a datagram of this node that the host's routes, or a bridge
// between a LAN and the TAP, hand back as a frame. Carried on it would come out as a larger
// datagram of this node, and so forth.
//
// Known by its content: a UDP datagram that names this node as the sender of a packet. So no path
// through one of its own networks ever answers, whatever the host's routes say. Datagrams of other
// nodes are none of our business: a member behind a gateway may reach his own networks through it.
#pragma once

#include "wire/header.h"
#include "wire/vlan.h"

namespace orrery::fib {

/// Cheap, for all frames. The later fragments of a packet name nobody and pass; without their first
/// they are nothing.
[[nodiscard]] inline bool is_own_datagram(std::uint16_t ethertype, Bytes payload,
                                          wire::Address self) {
  if (ethertype == wire::kVlanEthertype) [[unlikely]] {
    const wire::BehindTag in = wire::behind_tag(ethertype, payload);
    return in.ethertype != wire::kVlanEthertype && is_own_datagram(in.ethertype, in.payload, self);
  }
  constexpr std::uint8_t kUdp = 17;
  constexpr std::size_t kUdpHead = 8;
  std::size_t udp = 0;  // offset
  if (ethertype == 0x0800) {
    if (payload.size() < 20 || payload[9] != kUdp || (load_be16(&payload[6]) & 0x1fff) != 0)
      return false;
    udp = 4u * (payload[0] & 15u);
  } else if (ethertype == 0x86dd) {
    if (payload.size() < 40 || payload[6] != kUdp) return false;
    udp = 40;
  } else {
    return false;
  }
  const std::size_t source = udp + kUdpHead + wire::kSourceOffset;
  if (payload.size() < source + wire::Address::kSize) return false;
  return (std::uint64_t{payload[source]} << 32 | load_be32(&payload[source + 1])) == self.value;
}

}  // namespace orrery::fib
