// Who has which address: neighbour discovery answered locally for the two IPv6 formats that embed
// their owner's address, the test that recognises an ARP request, and what a bridge reads in ARP
// and neighbour discovery of its stations to answer in their names. Source:
// docs/protocol/10-multicast- arp-ndp.md sections 8, 9.2; RFC 826, 5227 (probes and announcements),
// 4861, 4862.
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

// --- bridged stations

/// An IP address as two big-endian numbers; IPv4 is ::ffff:a.b.c.d. Zero: none.
struct NeighbourAddress {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static constexpr NeighbourAddress v4(std::uint32_t ip) { return {0, 0xffff'0000'0000ULL | ip}; }

  static NeighbourAddress v6(const std::uint8_t* ip) { return {load_be64(ip), load_be64(ip + 8)}; }

  [[nodiscard]] constexpr bool is_v4() const { return high == 0 && low >> 32 == 0xffff; }

  explicit constexpr operator bool() const { return (high | low) != 0; }

  friend constexpr bool operator==(NeighbourAddress, NeighbourAddress) = default;
};

/// How much a message says of its sender's address.
enum class Claim : std::uint8_t {
  kNone,
  kWeak,   // contradicts what others know, but nobody is to be believed for it alone
  kSound,  // whoever sent the frame has the address
};

/// One ARP packet, solicitation or advertisement.
struct NeighbourMessage {
  Claim claim = Claim::kNone;
  bool router = false;      // the claimant is one, so it says
  NeighbourAddress sender;  // claimed, or to answer to; zero: none
  wire::Mac mac;            // of the claimant
  NeighbourAddress target;  // asked for by all; zero: not a question that another may answer
};

/// Nothing for all but whole, unfragmented ARP for IPv4 over Ethernet and neighbour discovery with
/// a sound checksum.
///
/// A question is a broadcast or multicast of a host that names itself, for one unicast address that
/// is not its own: probes (of an address before its use, or whether a known neighbour is still
/// there) and announcements are none, nor are solicitations with options of SEND. A sound claim of
/// IPv6 is an advertisement with the override flag, since only that tells whether a router speaks.
[[nodiscard]] std::optional<NeighbourMessage> read_neighbour(wire::Mac destination,
                                                             wire::Mac source,
                                                             std::uint16_t ethertype,
                                                             Bytes payload);

/// Whoever has an address.
struct Neighbour {
  wire::Mac mac;
  bool router = false;  // of IPv6
  friend bool operator==(Neighbour, Neighbour) = default;
};

/// Room for an answer, bytes.
inline constexpr std::size_t kNeighbourAnswer = 14 + 72;

/// The Ethernet frame by which `owner` would answer; returns its size. REQUIRES: question.target;
/// out holds kNeighbourAnswer bytes.
std::size_t write_neighbour_answer(MutableBytes out, const NeighbourMessage& question,
                                   Neighbour owner);

}  // namespace orrery::fib
