// ARP packets and messages of neighbour discovery as Ethernet frames.
#pragma once

#include <array>

#include "wire/mac.h"

namespace orrery::test {

using Ip6 = std::array<std::uint8_t, 16>;

inline ByteVector ethernet_head(wire::Mac to, wire::Mac from, std::uint16_t ethertype) {
  ByteVector frame(14);
  to.store(frame.data());
  from.store(frame.data() + 6);
  store_be16(frame.data() + 12, ethertype);
  return frame;
}

inline constexpr std::uint16_t kArpRequest = 1, kArpReply = 2;

inline ByteVector arp(std::uint16_t operation, wire::Mac to, wire::Mac from, wire::Mac sender_mac,
                      std::uint32_t sender, std::uint32_t target) {
  ByteVector frame = ethernet_head(to, from, 0x0806);
  frame.resize(14 + 28);
  std::uint8_t* p = frame.data() + 14;
  store_be32(p, 0x00010800);
  store_be16(p + 4, 0x0604);
  store_be16(p + 6, operation);
  sender_mac.store(p + 8);
  store_be32(p + 14, sender);
  if (operation == kArpReply) to.store(p + 18);
  store_be32(p + 24, target);
  return frame;
}

inline ByteVector arp_request(wire::Mac from, std::uint32_t sender, std::uint32_t target) {
  return arp(kArpRequest, wire::kBroadcastMac, from, from, sender, target);
}

inline constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
inline constexpr std::uint32_t kRouterFlag = 0x80000000, kSolicitedFlag = 0x40000000,
                               kOverrideFlag = 0x20000000;

/// RFC 4443 section 2.3: the checksum of an ICMPv6 message without extension headers.
inline void seal_icmpv6(ByteVector& frame) {
  std::uint8_t* p = frame.data() + 14;
  const std::size_t size = frame.size() - 14;
  store_be16(p + 42, 0);
  std::uint32_t sum = static_cast<std::uint32_t>(size - 40) + 58;
  for (std::size_t i = 8; i < size; i += 2) sum += load_be16(p + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  store_be16(p + 42, static_cast<std::uint16_t>(~sum));
}

/// With the link-layer address of `from`, or without one.
inline ByteVector discovery(std::uint8_t type, wire::Mac to, wire::Mac from, const Ip6& source,
                            const Ip6& destination, std::uint32_t flags, const Ip6& target,
                            bool link_address = true) {
  ByteVector frame = ethernet_head(to, from, 0x86dd);
  const std::size_t size = link_address ? 32 : 24;
  frame.resize(14 + 40 + size);
  std::uint8_t* p = frame.data() + 14;
  p[0] = 0x60;
  store_be16(p + 4, static_cast<std::uint16_t>(size));
  p[6] = 58;
  p[7] = 255;
  std::copy(source.begin(), source.end(), p + 8);
  std::copy(destination.begin(), destination.end(), p + 24);
  p[40] = type;
  store_be32(p + 44, flags);
  std::copy(target.begin(), target.end(), p + 48);
  if (link_address) {
    p[64] = type == kSolicitation ? 1 : 2;
    p[65] = 1;
    from.store(p + 66);
  }
  seal_icmpv6(frame);
  return frame;
}

inline Ip6 ip6(std::uint32_t host) {
  Ip6 ip{0x20, 0x01, 0x0d, 0xb8};
  store_be32(ip.data() + 12, host);
  return ip;
}

/// The frame by which `from`, at `source`, asks all for `target`.
inline ByteVector solicitation(wire::Mac from, const Ip6& source, const Ip6& target) {
  Ip6 group{0xff, 0x02};
  group[11] = 1;
  group[12] = 0xff;
  std::copy(target.begin() + 13, target.end(), group.begin() + 13);
  const wire::Mac to{0x3333ff000000ULL | (load_be32(target.data() + 12) & 0xffffff)};
  return discovery(kSolicitation, to, from, source, group, 0, target);
}

}  // namespace orrery::test
