// Packet and fragment headers as bytes, and the constants of the protocol.
//
// packet:   [8] id/IV, [5] destination, [5] source, [1] FFCCCHHH, [8] MAC, [1] verb, payload
// fragment: [8] id, [5] destination, [1] 0xff, [1] total<<4 | number, [1] hops, data
// Source: docs/protocol/02-packet.md sections 1, 3; docs/protocol/00-overview.md section 6.
#pragma once

#include <optional>

#include "base/cursor.h"
#include "wire/address.h"
#include "wire/verb.h"

namespace orrery::wire {

inline constexpr std::size_t kHeaderSize = 28;           // bytes, verb included
inline constexpr std::size_t kFragmentHeaderSize = 16;   // bytes
inline constexpr std::size_t kMaxPacket = 10024;         // bytes of an assembled packet
inline constexpr std::size_t kMaxFragments = 7;          // head included
inline constexpr std::size_t kDefaultUdpPayload = 1432;  // bytes of a datagram before fragmenting
inline constexpr std::size_t kMinUdpPayload = 1400;
inline constexpr std::size_t kMaxUdpPayload = 10324;

inline constexpr std::size_t kIdOffset = 0;
inline constexpr std::size_t kDestinationOffset = 8;
inline constexpr std::size_t kSourceOffset = 13;
inline constexpr std::size_t kFlagsOffset = 18;
inline constexpr std::size_t kMacOffset = 19;
inline constexpr std::size_t kVerbOffset = 27;

inline constexpr std::uint8_t kFragmentMark = 0xff;  // in place of the source
inline constexpr std::size_t kFragmentHopsOffset = 15;
inline constexpr unsigned kRelayMaxHops = 3;  // what came over so many relays goes no further

inline constexpr std::uint8_t kFlagEncrypted = 0x80;  // accompanies cipher 1 only
inline constexpr std::uint8_t kFlagFragmented = 0x40;
inline constexpr std::uint8_t kHopsMask = 0x07;
inline constexpr std::uint8_t kVerbCompressed = 0x80;
inline constexpr std::uint8_t kVerbMask = 0x1f;

inline constexpr std::uint8_t kProtocolVersion = 12;
inline constexpr std::uint8_t kProtocolVersionMin = 4;
inline constexpr std::uint8_t kProtocolAesMin = 12;
inline constexpr std::uint8_t kSoftwareMajor = 1;  // announced; docs say 1.14.1
inline constexpr std::uint8_t kSoftwareMinor = 14;
inline constexpr std::uint16_t kSoftwareRevision = 1;

/// Cipher suites by their number on the wire.
enum class Suite : std::uint8_t {
  kMacOnly = 0,      // Poly1305, clear payload
  kSalsaPoly = 1,    // Salsa20/12, Poly1305
  kTrustedPath = 2,  // nothing; 64-bit path id in the MAC field
  kAesGmacSiv = 3,
};

/// A packet header by value.
struct PacketHeader {
  std::uint64_t id = 0;
  Address destination;
  Address source;
  std::uint8_t flags = 0;  // FFCCCHHH
  std::uint64_t mac = 0;
  std::uint8_t verb = 0;  // as on the wire; ciphertext until dearmored

  [[nodiscard]] std::uint8_t cipher() const { return (flags >> 3) & 7; }

  [[nodiscard]] std::uint8_t hops() const { return flags & kHopsMask; }

  [[nodiscard]] bool fragmented() const { return (flags & kFlagFragmented) != 0; }
};

struct FragmentHeader {
  std::uint64_t id = 0;
  Address destination;
  std::uint8_t total = 0;   // fragments including the head, high nibble
  std::uint8_t number = 0;  // 1..total-1, low nibble
  std::uint8_t hops = 0;
};

/// What a datagram is, by its length and byte 13 alone.
enum class DatagramKind : std::uint8_t { kTooShort, kBeacon, kFragment, kPacket };

[[nodiscard]] constexpr DatagramKind kind_of(Bytes datagram) {
  if (datagram.size() == 13) return DatagramKind::kBeacon;
  if (datagram.size() <= kFragmentHeaderSize) return DatagramKind::kTooShort;
  if (datagram[kSourceOffset] == kFragmentMark) return DatagramKind::kFragment;
  return datagram.size() >= kHeaderSize ? DatagramKind::kPacket : DatagramKind::kTooShort;
}

/// Nothing when shorter than 28 bytes.
[[nodiscard]] std::optional<PacketHeader> decode_packet_header(Bytes packet);

/// Writes 28 bytes. REQUIRES: packet.size() >= 28.
inline void encode_packet_header(MutableBytes packet, const PacketHeader& header) {
  std::uint8_t* p = packet.data();
  store_be64(p + kIdOffset, header.id);
  p[kDestinationOffset] = static_cast<std::uint8_t>(header.destination.value >> 32);
  store_be32(p + kDestinationOffset + 1, static_cast<std::uint32_t>(header.destination.value));
  p[kSourceOffset] = static_cast<std::uint8_t>(header.source.value >> 32);
  store_be32(p + kSourceOffset + 1, static_cast<std::uint32_t>(header.source.value));
  p[kFlagsOffset] = header.flags;
  store_be64(p + kMacOffset, header.mac);
  p[kVerbOffset] = header.verb;
}

/// Nothing unless longer than 16 bytes and marked with 0xff. Counts are not judged here.
[[nodiscard]] std::optional<FragmentHeader> decode_fragment_header(Bytes datagram);
void encode_fragment_header(MutableBytes datagram, const FragmentHeader& header);

}  // namespace orrery::wire
