// Cutting an armored packet into datagrams, and what a datagram says of the packet it is a piece
// of. Source: docs/protocol/02-packet.md section 10; tests/vectors/fragments.json.
#pragma once

#include "wire/header.h"

namespace orrery::wire {

/// How a packet of n bytes is cut. `pieces` 1: it goes as it is.
struct FragmentPlan {
  std::uint16_t pieces = 1;  // datagrams, head included; may exceed kMaxFragments: then do not send
  std::uint16_t head_size = 0;  // bytes of the first datagram
  std::uint16_t data_size =
      0;  // payload bytes of each further datagram but the last, which may be shorter
};

/// Bytes of the largest packet that kMaxFragments datagrams of `mtu` bytes carry.
[[nodiscard]] constexpr std::size_t largest_packet(std::size_t mtu) {
  return mtu + (kMaxFragments - 1) * (mtu - kFragmentHeaderSize);
}

/// The reference cut: head of `mtu` bytes, then pieces of mtu - 16.
[[nodiscard]] FragmentPlan plan_fragments(std::size_t packet_size, std::size_t mtu);
/// As many pieces as above, all datagrams of one size (the last up to pieces-1 bytes shorter), so
/// that the kernel or NIC can segment them in one call.
[[nodiscard]] FragmentPlan plan_equal_fragments(std::size_t packet_size, std::size_t mtu);
/// Writes datagram `number` (>= 1) of the plan into `out`; returns its size. REQUIRES: out holds 16
/// + data_size.
std::size_t write_fragment(MutableBytes out, Bytes packet, const FragmentPlan& plan,
                           std::uint8_t number);

/// One piece of a packet as it arrives. Views are valid as long as the datagram.
struct FragmentView {
  std::uint64_t id = 0;
  std::uint8_t number = 0;  // 0: the head
  std::uint8_t total = 0;   // pieces of the packet, 2..kMaxFragments; 0: a head does not tell
  Bytes data;               // what it adds: all of a head, of others what follows their header
};

/// Of a datagram that is a packet; that its fragmented flag is set is the caller's to know. Nothing
/// when it is shorter than a header or longer than a packet.
[[nodiscard]] std::optional<FragmentView> read_head(Bytes datagram);
/// Of a datagram that is a fragment. Nothing when its counts are out of range, it has no data, or
/// more than a packet.
[[nodiscard]] std::optional<FragmentView> read_fragment(Bytes datagram);

}  // namespace orrery::wire
