// Workers to control: what the fast path noticed. Every kind has a rate limit at the worker, so
// none of them may be relied on for correctness, only for freshness.
#pragma once

#include <variant>

#include "fib/records.h"

namespace orrery::fib {

/// A frame passed the gate at a worker, which carries or drops it; control does its received step.
/// Raised for a path other than the peer's current one at once (rate-limited), else at most once a
/// second per peer.
struct Received {
  wire::Address peer;
  PathKey via;
  std::uint8_t hops = 0;
  std::uint8_t verb = 0;
  wire::NetworkId network;  // passed the gate of this network: trust is established
};

/// A frame went to a member that may not hold our credentials.
struct CredentialsStale {
  wire::NetworkId network;
  wire::Address peer;
};

/// A foreign source MAC arrived from an active bridge.
struct BridgeLearned {
  wire::NetworkId network;
  wire::Mac mac;
  wire::Address behind;
};

/// A worker relayed a packet from `source` to `destination`: so its header says, no MAC was
/// checked. At most once in a few seconds per pair. The two may be introduced.
struct Relayed {
  wire::Address source;
  wire::Address destination;
  PathKey via;  // over which it came
  std::uint8_t hops = 0;
};

/// A worker sent a frame to the members of a group. At most once in ten seconds for each group.
struct GroupUsed {
  wire::NetworkId network;
  wire::MulticastGroup group;
  bool bridged = false;  // by a station behind us
};

/// A worker sent a multicast frame to all recipients but these. Views are valid during the call.
struct MulticastRest {
  wire::NetworkId network;
  Bytes frame;       // Ethernet; rules have let it out, without a recipient in mind
  Bytes recipients;  // [5] each
};

/// A worker sends packets of full size (fib/path_mtu.h) to this peer. At most once in ten seconds
/// for each peer.
struct FullSizeSent {
  wire::Address peer;
};

/// A worker sends frames to this peer. At most once a second for each peer.
struct Sent {
  wire::Address peer;
};

using Event = std::variant<Received, CredentialsStale, BridgeLearned, Relayed, GroupUsed,
                           MulticastRest, FullSizeSent, Sent>;

}  // namespace orrery::fib
