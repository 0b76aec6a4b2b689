#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void sender(WorkerContext& w, PacketVector& v) noexcept {
  std::array<PeerKey, kVectorMax> keys;
  std::array<const PeerKey*, kVectorMax> wanted;
  for (unsigned i = 0; i < v.n; ++i) {
    keys[i] = {load_address(v.data(i) + wire::kSourceOffset).value};
    wanted[i] = &keys[i];
  }
  if (v.n == 0) return;
  w.tables.peers.find_bulk(wanted.data(), v.n, v.peer.data());
  for (unsigned i = 0; i < v.n; ++i) {
    const Bytes packet = v.bytes(i);
    if (v.peer[i] == nullptr || !opens(packet) || !v.peer[i]->can_use(suite_of(packet))) {
      v.next[i] = Next::kPunt;  // as what, stands in its PacketMeta
    } else {
      meta_of(v.mbuf[i]).wire_size = static_cast<std::uint16_t>(packet.size());
    }
  }
}

}  // namespace orrery::dataplane
