// NAT traversal: junk that opens our own NAT, probes on the word of roots and peers, and the lists
// of own addresses that we push.
//
// Whoever names an address makes us send there, so targets have limits: one probe a second to one
// address from the whole node, sixteen addresses a minute on one peer's word. Source:
// docs/protocol/04-paths-and-roots.md sections 6, 11, 15; docs/protocol/03-verbs.md 0x05, 0x10.
#pragma once

#include <unordered_map>

#include "control/peer.h"

namespace orrery::control {

class ProbeGate {
 public:
  static constexpr Millis kPerTarget = 1'000;
  static constexpr Millis kPeerWindow = 60'000;
  static constexpr unsigned kPerPeer = 16;
  static constexpr std::size_t kTargets =
      4'096;  // remembered; when all are recent, further probes are refused

  explicit ProbeGate(SipKey key) : targets_(16, KeyedHash{key}) {}

  /// Whether a probe of `target` on the word of `peer` may go now, and counts it.
  [[nodiscard]] bool allow(Millis now, Peer& peer, const wire::Endpoint& target);
  /// As allow(), without the limit per peer: for roots and what we began ourselves.
  [[nodiscard]] bool allow_target(Millis now, const wire::Endpoint& target);

 private:
  std::unordered_map<wire::Endpoint, Millis, KeyedHash> targets_;
};

/// Receive limit of PUSH_DIRECT_PATHS: eight in a row, then none until 30 s of silence.
[[nodiscard]] bool accept_push(Millis now, Peer& peer);

/// Payloads of as many PUSH_DIRECT_PATHS as `addresses` need; each stays below 1200 bytes of
/// packet.
[[nodiscard]] std::vector<ByteVector> make_pushes(const std::vector<wire::Endpoint>& addresses);

}  // namespace orrery::control
