// Control to tables. Keyed by natural keys; an update of a key replaces the record, a removal of an
// unknown key is nothing. Order within one Effects matters and is kept.
#pragma once

#include <variant>

#include "fib/records.h"

namespace orrery::fib {

struct RemovePeer {
  wire::Address address;
};

/// Control carried a frame from or to this peer by itself. A worker should; perhaps it has no key
/// schedules for it.
struct PeerInUse {
  wire::Address address;
};

/// Whether this node sends on what strangers have for others: roots do.
struct Relaying {
  bool for_strangers = false;
};

struct RemoveNetwork {
  wire::NetworkId id;  // its members, groups and bridge routes go with it
};

struct RemoveMember {
  wire::NetworkId network;
  wire::Address address;
};

struct RemoveBridgeRoute {
  wire::NetworkId network;
  wire::Mac mac;
};

struct RemoveGroup {
  wire::NetworkId network;
  wire::MulticastGroup group;
};

using Update =
    std::variant<Peer, PeerSpread, RemovePeer, PeerInUse, Relaying, Network, RemoveNetwork, Member,
                 RemoveMember, BridgeRoute, RemoveBridgeRoute, Group, RemoveGroup>;

/// Whether workers can send under more keys after this update than before.
[[nodiscard]] inline bool gives_keys(const Update& update) {
  return std::holds_alternative<Peer>(update) || std::holds_alternative<PeerInUse>(update);
}

}  // namespace orrery::fib
