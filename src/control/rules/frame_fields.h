// An Ethernet frame described by its fields, for those who want to know what rules say of it.
#pragma once

#include <optional>

#include "wire/endpoint.h"
#include "wire/mac.h"

namespace orrery::control {

/// What is not given is zero, or follows from the rest: the ethertype from the IPs, the protocol
/// (TCP) from ports or flags.
struct FrameFields {
  std::optional<std::uint16_t> ethertype;
  wire::Endpoint from, to;  // IP addresses, of one family; ports are ports
  std::optional<std::uint8_t> protocol;
  std::uint8_t tos = 0;
  std::uint8_t tcp_flags = 0;  // the lower byte: 2 SYN, 16 ACK
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::uint16_t tag_control = 0;  // of a VLAN tag; 0: no tag
  std::size_t size = 0;           // bytes of payload at least; the rest is zero
};

/// The ethertype (0x8100 with a tag) and payload of such a frame.
struct BuiltFrame {
  std::uint16_t ethertype = 0;
  ByteVector payload;
};

/// Nothing when the two IPs are of different families. Checksums are left zero: no rule reads them.
[[nodiscard]] std::optional<BuiltFrame> build_frame(const FrameFields& fields);

}  // namespace orrery::control
