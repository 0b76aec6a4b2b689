// VLAN tags of frames inside a network. The protocol has no field for them: a tagged frame is one
// of ethertype 0x8100 whose payload begins with the rest of the tag, here as with stock nodes. What
// must look at a packet looks behind one tag; a second one is payload.
// Source: docs/protocol/06-networks-and-mac.md section 11; IEEE 802.1Q.
#pragma once

#include "base/bytes.h"

namespace orrery::wire {

inline constexpr std::uint16_t kVlanEthertype = 0x8100;
inline constexpr std::size_t kVlanTag = 4;  // bytes: [2] 0x8100, [2] tag control

/// VLAN of a tag control word: [3] priority, [1] drop eligible, [12] VLAN. 0: a priority alone.
[[nodiscard]] constexpr std::uint16_t vlan_of(std::uint16_t tag_control) {
  return tag_control & 0x0fff;
}

/// A frame behind its tag, or as it is without one.
struct BehindTag {
  std::uint16_t ethertype = 0;
  Bytes payload;
  std::size_t tag = 0;            // its bytes: kVlanTag or 0
  std::uint16_t tag_control = 0;  // 0 without a tag
};

[[nodiscard]] inline BehindTag behind_tag(std::uint16_t ethertype, Bytes payload) {
  if (ethertype != kVlanEthertype || payload.size() < kVlanTag) return {ethertype, payload};
  return {load_be16(payload.data() + 2), payload.subspan(kVlanTag), kVlanTag,
          load_be16(payload.data())};
}

}  // namespace orrery::wire
