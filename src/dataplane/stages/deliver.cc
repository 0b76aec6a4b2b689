#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void deliver(WorkerContext& w, PacketVector& v) noexcept {
  account_in(w, v);
  for (unsigned i = 0; i < v.n; ++i) {
    // The ethertype stands right before the payload in both verbs: the MACs go in front of it.
    const fib::EthernetFrame& frame = v.frame[i];
    const auto head = static_cast<std::uint16_t>(frame.payload.data() - v.data(i));
    auto* ethernet = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_adj(v.mbuf[i], static_cast<std::uint16_t>(head - fib::EthernetFrame::kHead)));
    frame.destination.store(ethernet);
    frame.source.store(ethernet + 6);
    meta_of(v.mbuf[i]).network = v.network[i]->network.id.value;
    meta_of(v.mbuf[i]).side = 0;
    v.next[i] = Next::kDeliver;
  }
}

}  // namespace orrery::dataplane
