// Who is in which multicast group: what members announced, and what gathers brought. One table
// serves the joined networks, a root and a controller.
//
// A peer may stand in 1,024 groups and a network may hold 65,536 memberships; beyond that an
// announcement is ignored until older ones expire. A membership lives for ten minutes after it was
// last heard of. Source: docs/protocol/10-multicast-arp-ndp.md sections 2, 4, 5; security 2.22 as
// summarised in docs/architecture.md.
#pragma once

#include <map>
#include <vector>

#include "base/time.h"
#include "wire/mac.h"

namespace orrery::control {

class MulticastTable {
 public:
  static constexpr Millis kLifetime = 600'000;
  static constexpr std::size_t kPerPeer = 1'024;      // groups of one peer, all networks
  static constexpr std::size_t kPerNetwork = 65'536;  // memberships of one network
  static constexpr std::size_t kTotal = 1'048'576;

  /// True if the member is new in the group.
  bool add(Millis now, wire::NetworkId network, wire::MulticastGroup group, wire::Address member);
  void remove(wire::NetworkId network, wire::MulticastGroup group, wire::Address member);
  void remove_network(wire::NetworkId network);
  /// Ascending by address; only those alive.
  [[nodiscard]] std::vector<wire::Address> members(Millis now, wire::NetworkId network,
                                                   wire::MulticastGroup group) const;
  void expire(Millis now);

  [[nodiscard]] std::size_t size() const { return total_; }

 private:
  struct Key {
    wire::NetworkId network;
    wire::MulticastGroup group;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  using Members = std::map<wire::Address, Millis>;  // to when it was last heard of, mono

  void forget(const Key& key, wire::Address member);

  std::map<Key, Members> groups_;
  std::map<wire::Address, std::size_t> per_peer_;
  std::map<wire::NetworkId, std::size_t> per_network_;
  std::size_t total_ = 0;
};

}  // namespace orrery::control
