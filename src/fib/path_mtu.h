// Frames and the path: how large a TCP segment should be, and what to tell a sender whose packet
// cannot pass. Pure functions over frame bytes; they check no checksum (a wrong one stays wrong).
//
// A bridge stands in the middle of hosts that know nothing of it, so it speaks where a router
// would: the MSS of SYNs is lowered, and a packet that is too large is answered in the name of its
// destination. All look behind one VLAN tag, which does not count for an MTU. Source: RFC 879,
// 1191, 1624, 4443 section 3.2, 8200, 9293 section 3.2.
#pragma once

#include <optional>

#include "fib/forward.h"
#include "wire/vlan.h"

namespace orrery::fib {

/// Bytes of a ZeroTier packet from which on it matters what its path carries: nearly every path
/// carries less. Source: RFC 8899 section 5.1.2, BASE_PLPMTU.
inline constexpr std::size_t kFullSize = 1'200;

/// Bytes of a frame's payload that are worth sending over a path: the most of which datagrams of
/// `udp_payload` bytes carry whole pieces.
///
/// `most` is what the network carries; where the last datagram of a packet of that size would be
/// mostly empty (1,500 bytes over an Internet path: 1,432 and 127), the size that fits one datagram
/// less. `head`: bytes of the verb before the payload.
[[nodiscard]] std::size_t worthwhile_payload(std::size_t most, std::size_t head,
                                             std::size_t udp_payload);

/// Whether this may be a TCP SYN; cheap, for all frames.
[[nodiscard]] inline bool may_be_syn(std::uint16_t ethertype, Bytes payload) {
  if (payload.size() < 40) return false;
  if (ethertype == wire::kVlanEthertype) [[unlikely]] {
    const wire::BehindTag in = wire::behind_tag(ethertype, payload);
    return in.ethertype != wire::kVlanEthertype && may_be_syn(in.ethertype, in.payload);
  }
  if (ethertype == 0x0800) {
    const std::size_t tcp = 4u * (payload[0] & 15u);
    return payload[9] == 6 && tcp + 13 < payload.size() && (payload[tcp + 13] & 2) != 0;
  }
  return ethertype == 0x86dd && payload[6] == 6 && payload.size() >= 60 && (payload[53] & 2) != 0;
}

/// What a frame travels over.
struct Way {
  std::size_t mtu = 0;          // of the network, bytes of Ethernet payload
  std::size_t head = 0;         // bytes of the verb before the payload
  std::size_t udp_payload = 0;  // of the path, bytes
};

/// Lowers the MSS that a SYN announces to what is worth sending the way back, which is taken to be
/// like the way there; its checksum follows. False when nothing was changed: not such a packet, no
/// MSS option, or a smaller MSS.
bool clamp_mss(std::uint16_t ethertype, MutableBytes payload, const Way& way);

/// Room for the largest answer, bytes.
inline constexpr std::size_t kTooBigAnswer = EthernetFrame::kHead + wire::kVlanTag + 1'280;

/// Whether a frame of an IP packet that may not be fragmented is beyond what its network carries.
[[nodiscard]] bool exceeds(const EthernetFrame& frame, std::size_t mtu);

/// The Ethernet frame that tells the sender of `frame` that its packets to there may have `mtu`
/// bytes at most (ICMP "fragmentation needed", ICMPv6 "packet too big"). Returns its size; 0 when
/// nobody is to be told: no IP, may be fragmented on the way, a later fragment, itself an ICMP
/// error, or from or to more than one. REQUIRES: out holds kTooBigAnswer bytes.
std::size_t write_too_big(MutableBytes out, const EthernetFrame& frame, std::uint16_t mtu);

}  // namespace orrery::fib
