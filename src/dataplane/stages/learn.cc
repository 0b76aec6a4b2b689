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
    const fib::BridgeRoute* known = w.tables.bridge_routes.find({network.id.value, station.value});
    if (known == nullptr || known->behind != sender) raise_learned(w, v, i);
  }
}

}  // namespace orrery::dataplane
