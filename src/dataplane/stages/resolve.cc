#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Who gets this frame; zero: control decides.
wire::Address recipient(const WorkerContext& w, const fib::Network& network,
                        const fib::EthernetFrame& frame, fib::Carrier& verb) {
  const bool bridged = frame.source != network.mac;
  verb = bridged ? fib::Carrier::kExtFrame : fib::Carrier::kFrame;
  if (frame.destination.is_multicast() || frame.destination == network.mac ||
      (bridged && !network.active_bridge)) {
    return {};
  }
  if (!fib::is_member_mac(network, frame.destination)) verb = fib::Carrier::kExtFrame;
  return holder_of(w.tables, network, frame.destination);
}

}  // namespace

void resolve(WorkerContext& w, PacketVector& v) noexcept {
  std::array<MemberKey, kVectorMax> member_keys;
  std::array<PeerKey, kVectorMax> peer_keys;
  std::array<const MemberKey*, kVectorMax> members_wanted;
  std::array<const PeerKey*, kVectorMax> peers_wanted;
  for (unsigned i = 0; i < v.n; ++i) {
    const fib::Network& network = v.network[i]->network;
    const wire::Address to = recipient(w, network, v.frame[i], v.verb[i]);
    member_keys[i] = {network.id.value, to.value};  // nobody has the address zero
    peer_keys[i] = {to.value};
    members_wanted[i] = &member_keys[i];
    peers_wanted[i] = &peer_keys[i];
  }
  if (v.n == 0) return;
  w.tables.members.find_bulk(members_wanted.data(), v.n, v.member.data());
  w.tables.peers.find_bulk(peers_wanted.data(), v.n, v.peer.data());
  for (unsigned i = 0; i < v.n; ++i) {
    if (v.member[i] == nullptr || v.peer[i] == nullptr ||
        !v.peer[i]->can_use(v.peer[i]->peer.suite)) {
      v.punt_lane(i, Message::kFrame);
    }
  }
}

}  // namespace orrery::dataplane
