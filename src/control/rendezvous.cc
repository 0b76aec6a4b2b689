#include "control/rendezvous.h"

#include "wire/verbs/push_direct_paths.h"

namespace orrery::control {

bool ProbeGate::allow_target(Millis now, const wire::Endpoint& target) {
  const auto it = targets_.find(target);
  if (it != targets_.end()) {
    if (now - it->second < kPerTarget) return false;
    it->second = now;
    return true;
  }
  if (targets_.size() >= kTargets) {
    std::erase_if(targets_, [&](const auto& entry) { return now - entry.second >= kPerTarget; });
    if (targets_.size() >= kTargets) return false;
  }
  targets_.emplace(target, now);
  return true;
}

bool ProbeGate::allow(Millis now, Peer& peer, const wire::Endpoint& target) {
  if (peer.probe_window == 0 || now - peer.probe_window >= kPeerWindow) {
    peer.probe_window = now;
    peer.probes = 0;
  }
  if (peer.probes >= kPerPeer || !allow_target(now, target)) return false;
  ++peer.probes;
  return true;
}

bool accept_push(Millis now, Peer& peer) {
  constexpr Millis kWindow = 30'000;
  constexpr unsigned kLimit = 8;
  const bool in_row = peer.last_push_received != 0 && now - peer.last_push_received <= kWindow;
  peer.pushes = in_row ? peer.pushes + 1 : 0;
  peer.last_push_received = now;
  return peer.pushes < kLimit;
}

std::vector<ByteVector> make_pushes(const std::vector<wire::Endpoint>& addresses) {
  constexpr std::size_t kPacketLimit = 1'200;
  constexpr std::size_t kLargestRecord = 24;
  std::vector<ByteVector> packets;
  std::size_t i = 0;
  while (i < addresses.size()) {
    ByteVector payload(kPacketLimit);
    Writer writer(payload);
    writer.u16(0);
    std::uint16_t count = 0;
    while (i < addresses.size() &&
           wire::kHeaderSize + writer.size() + kLargestRecord < kPacketLimit) {
      wire::write_direct_path(writer, {0, addresses[i++]});
      ++count;
    }
    writer.patch_u16(0, count);
    payload.resize(writer.size());
    packets.push_back(std::move(payload));
  }
  return packets;
}

}  // namespace orrery::control
