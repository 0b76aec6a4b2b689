// Blocks of a pcapng file, appended to a vector of bytes: section header, interfaces, packets,
// statistics of interfaces.
//
// Little-endian, nanosecond timestamps. Every function appends one whole block, so a file that ends
// behind any of them is a whole file. Texts beyond 65,535 bytes are cut.
// Source: draft-ietf-opsawg-pcapng-02, sections 4.1 (section header), 4.2 (interface description),
// 4.3 (enhanced packet), 4.6 (interface statistics).
#pragma once

#include "base/bytes.h"

namespace orrery::pcapng {

// Link types. Source: draft-ietf-opsawg-pcaplinktype.
inline constexpr std::uint16_t kLinkEthernet = 1;
inline constexpr std::uint16_t kLinkUser0 =
    147;  // sixteen of them, for whatever both ends agree on

struct Interface {
  std::uint16_t link = kLinkEthernet;
  std::uint32_t snap = 0;  // bytes of a packet at most; 0: no limit
  std::string_view name, description;
};

enum class Direction : std::uint32_t { kUnknown, kInbound, kOutbound };  // as in epb_flags

struct Packet {
  std::uint32_t interface = 0;      // by order of their blocks
  std::uint64_t nanoseconds = 0;    // since 1970
  Bytes captured;                   // the first bytes of it
  std::uint32_t original_size = 0;  // bytes
  Direction direction = Direction::kUnknown;
  std::uint64_t id = 0;  // epb_packetid: the same packet on other interfaces has the same one
  std::string_view comment;
};

struct Statistics {
  std::uint32_t interface = 0;
  std::uint64_t nanoseconds = 0;
  std::uint64_t received = 0;  // packets since the capture began
  std::uint64_t dropped = 0;   // of those, for lack of room
};

/// `application` stands in shb_userappl.
void append_section(ByteVector& out, std::string_view application);
void append(ByteVector& out, const Interface& interface);
void append(ByteVector& out, const Packet& packet);
void append(ByteVector& out, const Statistics& statistics);

}  // namespace orrery::pcapng
