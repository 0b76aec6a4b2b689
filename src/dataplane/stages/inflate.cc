#include "dataplane/stages/stages.h"
#include "wire/compression.h"

namespace orrery::dataplane {

void inflate(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    if ((v.data(i)[wire::kVerbOffset] & wire::kVerbCompressed) == 0) continue;
    rte_mbuf* whole = rte_pktmbuf_alloc(w.pools.frame);
    if (whole == nullptr) {
      v.drop_lane(i, Drop::kNoMbuf);
      continue;
    }
    meta_of(whole) = meta_of(v.mbuf[i]);
    auto* room = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(whole, wire::kMaxPacket));
    std::memcpy(room, v.data(i), wire::kHeaderSize);
    room[wire::kVerbOffset] &= static_cast<std::uint8_t>(~wire::kVerbCompressed);
    const Bytes packed = v.bytes(i).subspan(wire::kHeaderSize);
    const std::size_t size = packed.empty()
                                 ? 0
                                 : wire::inflate(packed, {room + wire::kHeaderSize,
                                                          wire::kMaxPacket - wire::kHeaderSize});
    if (size == 0 && !packed.empty()) {
      rte_pktmbuf_free(whole);
      v.drop_lane(i, Drop::kMalformed);
      continue;
    }
    rte_pktmbuf_trim(whole,
                     static_cast<std::uint16_t>(wire::kMaxPacket - wire::kHeaderSize - size));
    rte_pktmbuf_free(v.mbuf[i]);
    v.mbuf[i] = whole;
  }
}

}  // namespace orrery::dataplane
