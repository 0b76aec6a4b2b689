#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Fragment `number` of the packet in lane `i`, or null when no buffer is free.
rte_mbuf* cut(WorkerContext& w, const PacketVector& v, unsigned i, std::uint8_t number) {
  const wire::FragmentPlan& plan = v.plan[i];
  const std::size_t most = wire::kFragmentHeaderSize + plan.data_size;
  // A path of jumbo datagrams: pieces beyond a `wire` object.
  const bool large = most + RTE_PKTMBUF_HEADROOM > kWireRoom;
  rte_mbuf* piece = rte_pktmbuf_alloc(large ? w.pools.frame : w.pools.wire);
  if (piece == nullptr) return nullptr;
  auto* room =
      reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(piece, static_cast<std::uint16_t>(most)));
  const std::size_t size = wire::write_fragment({room, most}, v.bytes(i), plan, number);
  rte_pktmbuf_trim(piece, static_cast<std::uint16_t>(most - size));
  meta_of(piece) = meta_of(v.mbuf[i]);
  return piece;
}

}  // namespace

void fragment(WorkerContext& w, PacketVector& v) noexcept {
  account_out(w, v);
  Outcome& out = *w.out;
  for (unsigned i = 0; i < v.n; ++i) {
    // Also those of one piece, which must not fall behind those of several.
    v.next[i] = Next::kTaken;
    const wire::FragmentPlan& plan = v.plan[i];
    if (plan.pieces == 1) {
      out.transmit[out.transmits++] = v.mbuf[i];
      continue;
    }
    std::array<rte_mbuf*, wire::kMaxFragments> rest;
    unsigned count = 0;
    for (std::uint8_t number = 1; number < plan.pieces; ++number) {
      rest[count] = cut(w, v, i, number);
      if (rest[count] == nullptr) break;
      ++count;
    }
    if (count + 1 != plan.pieces) {
      rte_pktmbuf_free_bulk(rest.data(), count);
      v.drop_lane(i, Drop::kNoMbuf);
      continue;
    }
    rte_pktmbuf_trim(v.mbuf[i],
                     static_cast<std::uint16_t>(rte_pktmbuf_data_len(v.mbuf[i]) - plan.head_size));
    // Right behind their head, so that a port can send all of them as one segmented datagram.
    out.transmit[out.transmits++] = v.mbuf[i];
    std::copy_n(rest.data(), count, out.transmit + out.transmits);
    out.transmits += count;
    out.copies += count;
  }
}

}  // namespace orrery::dataplane
