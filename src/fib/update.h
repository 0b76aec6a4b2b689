// Control to tables. Keyed by natural keys; an update of a key replaces the record, a removal of an
// unknown key is nothing. Order within one Effects matters and is kept.
#pragma once

#include <variant>

#include "fib/records.h"

namespace orrery::fib {

struct RemovePeer {
  wire::Address address;
};

struct RemoveNetwork {
  wire::NetworkId id;  // its members and bridge routes go with it
};

struct RemoveMember {
  wire::NetworkId network;
  wire::Address address;
};

struct RemoveBridgeRoute {
  wire::NetworkId network;
  wire::Mac mac;
};

using Update = std::variant<Peer, RemovePeer, Network, RemoveNetwork, Member, RemoveMember,
                            BridgeRoute, RemoveBridgeRoute>;

}  // namespace orrery::fib
