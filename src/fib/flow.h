// One pass over the layers of an Ethernet payload: where they begin, and a hash that is the same
// for all frames of one inner flow.
//
// Total and bounded: at most two VLAN tags and eight IPv6 extension headers are walked. Ports count
// for TCP, UDP, UDP-Lite, SCTP and DCCP; fragments of one datagram hash alike because ports are
// then left out for all of them. Whatever is not IP hashes by its MACs and ethertype. The hash is
// keyed by a seed, so that a stranger cannot aim all flows at one worker; it is not a cryptographic
// hash.
#pragma once

#include "wire/mac.h"

namespace orrery::fib {

struct Flow {
  std::uint32_t hash = 0;
  std::uint16_t ethertype = 0;  // behind VLAN tags
  std::uint16_t vlan = 0;       // of the outermost tag, 0 without one
  std::uint16_t l3 = 0;         // offset in the payload of the network header
  std::uint16_t l4 = 0;         // offset of the upper header; 0: none found
  std::uint8_t ip_version = 0;  // 4, 6; 0: not IP
  std::uint8_t protocol = 0;    // upper protocol of IP
  bool fragment = false;        // part of a fragmented datagram
  bool has_ports = false;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

/// `payload` is what follows the Ethernet header. Payloads beyond 65,535 bytes are read to there.
[[nodiscard]] Flow parse_flow(wire::Mac destination, wire::Mac source, std::uint16_t ethertype,
                              Bytes payload, std::uint64_t seed);

}  // namespace orrery::fib
