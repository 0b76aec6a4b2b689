#include "dataplane/stages/stages.h"

namespace orrery::dataplane {

void learn(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    // Only a bridge may use a MAC that is not its own, and FRAME can carry none.
    if (v.verb[i] == fib::Carrier::kFrame || !v.member[i]->active_bridge) continue;
    const fib::Network& network = v.network[i]->network;
    const wire::Mac station = v.frame[i].source;
    const wire::Address sender = v.peer[i]->peer.address;
    if (station == wire::mac_of(sender, network.id)) continue;
    // A replicator passes on frames of members: their own MACs are no stations behind it.
    if (v.verb[i] == fib::Carrier::kMulticastFrame && fib::is_member_mac(network, station))
      continue;
    const BridgeRecord* known = w.tables.bridge_routes.find({network.id.value, station.value});
    if (known == nullptr || known->route.behind != sender) {
      raise_learned(w, v, i);
    } else if (known->due(w.now_ms) && raise_still_there(w, v, i)) {
      known->told(w.now_ms);
    }
  }
}

}  // namespace orrery::dataplane
