#include "dataplane/stages/stages.h"
#include "wire/header.h"

namespace orrery::dataplane {

void classify(WorkerContext& w, PacketVector& v) noexcept {
  std::array<PeerKey, kVectorMax> keys;
  std::array<const PeerKey*, kVectorMax> wanted;
  std::array<const PeerRecord*, kVectorMax> found;
  std::array<std::uint8_t, kVectorMax> lane;
  unsigned lookups = 0;
  for (unsigned i = 0; i < v.n; ++i) {
    const Bytes datagram = v.bytes(i);
    const wire::DatagramKind kind = wire::kind_of(datagram);
    const bool fragment = kind == wire::DatagramKind::kFragment;
    if ((kind != wire::DatagramKind::kPacket && !fragment) ||
        load_address(datagram.data() + wire::kDestinationOffset) != w.self) {
      v.punt_lane(i, Message::kDatagram);
      continue;
    }
    v.piece[i] = fragment || (datagram[wire::kFlagsOffset] & wire::kFlagFragmented) != 0;
    if (v.piece[i]) continue;
    if (!opens(datagram)) {
      v.punt_lane(i, Message::kDatagram);
      continue;
    }
    keys[lookups] = {load_address(datagram.data() + wire::kSourceOffset).value};
    wanted[lookups] = &keys[lookups];
    lane[lookups++] = static_cast<std::uint8_t>(i);
  }
  if (lookups == 0) return;
  w.tables.peers.find_bulk(wanted.data(), lookups, found.data());
  for (unsigned k = 0; k < lookups; ++k) {
    const unsigned i = lane[k];
    v.peer[i] = found[k];
    if (found[k] == nullptr || !found[k]->can_use(suite_of(v.bytes(i)))) {
      v.punt_lane(i, Message::kDatagram);
    } else {
      meta_of(v.mbuf[i]).wire_size = static_cast<std::uint16_t>(rte_pktmbuf_data_len(v.mbuf[i]));
    }
  }
}

}  // namespace orrery::dataplane
