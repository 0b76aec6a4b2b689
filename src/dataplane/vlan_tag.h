// A VLAN tag put on an mbuf or taken off, in place.
#pragma once

#include <rte_mbuf.h>

#include <cstring>

#include "wire/vlan.h"

namespace orrery::dataplane {

inline constexpr std::size_t kMacs = 12;  // bytes before a tag

/// False: no headroom.
[[nodiscard]] inline bool put_tag(rte_mbuf* m, std::uint16_t tag_control) noexcept {
  auto* d = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(m, wire::kVlanTag));
  if (d == nullptr) return false;
  std::memmove(d, d + wire::kVlanTag, kMacs);
  store_be16(d + kMacs, wire::kVlanEthertype);
  store_be16(d + kMacs + 2, tag_control);
  return true;
}

/// REQUIRES: the frame has a tag.
inline void take_tag(rte_mbuf* m) noexcept {
  auto* d = rte_pktmbuf_mtod(m, std::uint8_t*);
  std::memmove(d + wire::kVlanTag, d, kMacs);
  rte_pktmbuf_adj(m, wire::kVlanTag);
}

}  // namespace orrery::dataplane
