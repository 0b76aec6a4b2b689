// What both planes agree on: peers, networks, members, bridge entries. Records are values, named by
// natural keys (address, network id, path key); they hold no pointer to one another. Control makes
// them, the publisher copies them into its tables, workers read them there under RCU; sim uses them
// as they are. A published record never changes: a new one replaces it.
#pragma once

#include <memory>
#include <vector>

#include "crypto/peer_keys.h"
#include "fib/path_key.h"
#include "fib/replay_window.h"
#include "fib/spread.h"
#include "wire/header.h"
#include "wire/mac.h"
#include "wire/rule.h"

namespace orrery::fib {

/// How to reach one remote identity.
struct Peer {
  wire::Address address;
  crypto::Secret secret;
  wire::Suite suite = wire::Suite::kSalsaPoly;   // for what we send: 3 once protocol >= 12 is known
  PathKey path;                                  // where to send; nil: punt to control
  std::uint16_t mtu = wire::kDefaultUdpPayload;  // largest datagram on that path, bytes
  bool shared = false;  // its frames are shared among several paths: there is a PeerSpread
  bool direct = false;  // path leads to the peer itself, not to a relay
  std::shared_ptr<ReplayWindow> window;  // of one of ours, shared by all records of it; or null
  friend bool operator==(const Peer&, const Peer&) = default;
};

/// The paths that share the frames of a peer with `shared`.
struct PeerSpread {
  wire::Address address;
  std::shared_ptr<const Spread> spread;  // null: there is none any more
};

/// A numeric attribute for rules.
struct Tag {
  std::uint32_t id = 0;
  std::uint32_t value = 0;
  friend bool operator==(const Tag&, const Tag&) = default;
};

/// Extra rules a holder may use. Rules are shared between records that hold the same list.
struct CapabilityRules {
  std::uint32_t id = 0;
  std::shared_ptr<const std::vector<wire::Rule>> rules;
  friend bool operator==(const CapabilityRules&, const CapabilityRules&) = default;
};

/// IPs and MACs that a certificate of ownership proves.
struct Ownership {
  std::vector<wire::Endpoint> ips;  // port field ignored
  std::vector<wire::Mac> macs;
  friend bool operator==(const Ownership&, const Ownership&) = default;
};

/// One joined network as the frame path needs it. Only present once a configuration is there.
struct Network {
  wire::NetworkId id;
  wire::Address self;
  wire::Mac mac;
  std::uint16_t mtu = 2800;  // bytes of Ethernet payload
  std::uint32_t multicast_limit = 0;
  bool broadcast = false;
  bool ndp_emulation = false;
  bool unknown_match_result = false;  // flag 0x08: result of an unknown match
  bool compress = true;
  bool is_public = false;
  bool active_bridge = false;                 // this node may use foreign MACs
  bool match_tags = false;                    // rules see frames behind their VLAN tag, and it
  std::vector<wire::Address> active_bridges;  // all of them, ascending
  std::vector<wire::Rule> rules;
  std::vector<CapabilityRules> capabilities;  // own, ascending id
  std::vector<Tag> tags;                      // own, ascending id
  Ownership ownership;                        // own
  std::vector<wire::Endpoint> static_ips;  // prefix length in the port field, configuration order
  std::uint64_t revision = 0;  // of a published copy, the publisher's: no two have the same
  friend bool operator==(const Network&, const Network&) = default;
};

/// What one peer may do in one network. Credentials listed are valid now; control removes stale
/// ones.
struct Member {
  wire::NetworkId network;
  wire::Address address;
  bool allowed = false;  // passes the gate (private network: certificate agrees; public: always)
  bool active_bridge = false;
  bool revoked = false;  // put out, and no newer certificate since: nothing is sent to it
  bool credentials_pushed =
      false;  // it has our current credentials; if not, sending raises an event
  // Rate limits on its frames by their way through us, kbit/s; 0: none. Workers keep to them.
  std::uint32_t rate_in = 0, rate_out = 0;
  std::vector<Tag> tags;  // ascending id
  std::vector<CapabilityRules> capabilities;
  Ownership ownership;
  std::uint64_t revision = 0;  // of a published copy, as of networks
  friend bool operator==(const Member&, const Member&) = default;
};

/// Recipients that workers serve with copies of one frame; larger groups are control's.
inline constexpr std::size_t kMostReplicas = 64;

/// Who gets frames to a multicast group. Present while the group is in use and its members are
/// known; control gathers more of them.
struct Group {
  wire::NetworkId network;
  wire::MulticastGroup group;
  std::uint32_t limit = 0;                // recipients of one frame at most
  std::uint32_t bridges = 0;              // so many of the recipients, the first, come first
  std::vector<wire::Address> recipients;  // at most kMostReplicas, each once, never ourselves
  friend bool operator==(const Group&, const Group&) = default;
};

/// Where a foreign MAC was last seen: behind a remote active bridge.
struct BridgeRoute {
  wire::NetworkId network;
  wire::Mac mac;
  wire::Address behind;
};

}  // namespace orrery::fib
