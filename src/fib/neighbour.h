// Neighbour discovery answered locally for the two IPv6 formats that embed their owner's address,
// and the test that recognises an ARP request. Source: docs/protocol/10-multicast-arp-ndp.md
// sections 8, 9.2.
#pragma once

#include <array>
#include <optional>

#include "fib/records.h"

namespace orrery::fib {

/// An Ethernet frame to hand back to the host: IPv6, 72 bytes of payload.
struct NeighbourAdvertisement {
  wire::Mac destination;
  wire::Mac source;
  std::array<std::uint8_t, 72> payload{};
};

/// The answer to a solicitation for a derived address of another member; nothing when it must go
/// out instead. `payload` is what follows the Ethernet header of a multicast IPv6 frame from
/// `source`.
[[nodiscard]] std::optional<NeighbourAdvertisement> answer_solicitation(const Network& network,
                                                                        wire::Mac source,
                                                                        Bytes payload);
/// The queried address of an ARP request for IPv4 over Ethernet (payload behind the Ethernet
/// header).
[[nodiscard]] std::optional<std::uint32_t> arp_request_target(std::uint16_t ethertype,
                                                              Bytes payload);

}  // namespace orrery::fib
