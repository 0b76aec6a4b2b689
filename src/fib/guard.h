// Which frames only a DHCP server or a router may send: what the guards of a LAN port keep on their
// side. Total and bounded; one VLAN tag is looked behind.
// Source: RFC 2131, 8415, 4861, 6105 (RA guard), 7113 (its evasion: an RA behind extension headers
// or in fragments is caught, and so is a first fragment that hides what it carries).
#pragma once

#include "fib/forward.h"

namespace orrery::fib {

enum class ServerWord : std::uint8_t {
  kNone,
  kDhcp,    // DHCP or DHCPv6 from a server: UDP from port 67 or 547
  kRouter,  // IPv6 router advertisement or redirect
};

/// `payload`: behind the Ethernet header.
[[nodiscard]] ServerWord server_word(std::uint16_t ethertype, Bytes payload);

}  // namespace orrery::fib
