// The frame path, decided on records alone: what both the workers' stages and control do with an
// Ethernet frame from the host or with a frame verb from a member.
//
// Nothing here sends, allocates or remembers. The caller looks records up, asks, and acts:
//
//   outbound   read_ethernet, resolve; then per recipient filter_out (fib/rules.h) and send
//   inbound    gate, then accept_inbound, which runs filter_in and the checks of MACs
//
// Weak spot: both ends judge a frame with their own copy of the configuration; a bridge list that
// has not arrived yet makes frames of bridged stations vanish.
// Source: docs/protocol/06-networks-and-mac.md sections 8 to 10; docs/protocol/10-multicast-arp-
// ndp.md sections 8, 9.2; tests/fib/forward_test.cc.
#pragma once

#include "fib/neighbour.h"
#include "fib/rules.h"
#include "wire/vlan.h"

namespace orrery::fib {

/// Largest Ethernet payload that any network carries, bytes. Source: section 7.
inline constexpr std::size_t kLargestPayload = 10'000;
/// Bridges that get a frame for a station nobody has learned.
inline constexpr std::size_t kBridgeFanOut = 32;

// X(enumerator, label, text): why a frame goes no further.
#define ORRERY_FOR_EACH_REFUSAL(X)                                                          \
  X(kNone, "none", "not refused")                                                           \
  X(kLength, "length", "shorter than an Ethernet header, empty multicast, or too large")    \
  X(kSourceMac, "source_mac", "source MAC not allowed for this sender")                     \
  X(kDestinationMac, "destination_mac", "destination MAC is not ours and we do not bridge") \
  X(kLoop, "loop", "our own source MAC came back from the network")                         \
  X(kBroadcastOff, "broadcast_off", "broadcast is off in this network")                     \
  X(kMulticastOff, "multicast_off", "multicast is off in this network")                     \
  X(kNoMember, "no_member", "destination MAC names no possible member")                     \
  X(kNoBridge, "no_bridge", "foreign destination and no active bridge")                     \
  X(kNested, "nested", "a datagram of this node itself: an overlay inside the overlay")     \
  X(kRules, "rules", "refused by the network's rules")

enum class Refusal : std::uint8_t {
#define ORRERY_REFUSAL_ENUM(name, label, text) name,
  ORRERY_FOR_EACH_REFUSAL(ORRERY_REFUSAL_ENUM)
#undef ORRERY_REFUSAL_ENUM
};

[[nodiscard]] const char* refusal_label(Refusal refusal);

/// [6] destination, [6] source, [2] ethertype, payload. The payload is a view into the frame.
struct EthernetFrame {
  static constexpr std::size_t kHead = 14;  // bytes before the payload

  wire::Mac destination;
  wire::Mac source;
  std::uint16_t ethertype = 0;
  Bytes payload;
};

/// Nothing for what is shorter than a header or longer than any network's MTU.
[[nodiscard]] inline std::optional<EthernetFrame> read_ethernet(Bytes frame) {
  if (frame.size() < EthernetFrame::kHead ||
      frame.size() > EthernetFrame::kHead + kLargestPayload) {
    return std::nullopt;
  }
  return EthernetFrame{wire::Mac::load(frame.data()), wire::Mac::load(frame.data() + 6),
                       load_be16(frame.data() + 12), frame.subspan(EthernetFrame::kHead)};
}

[[nodiscard]] bool is_active_bridge(const Network& network, wire::Address address);

/// Whether a unicast MAC is that of a member rather than of a bridged station: first octet only.
[[nodiscard]] inline bool is_member_mac(const Network& network, wire::Mac mac) {
  return mac.first_octet() == wire::mac_first_octet(network.id);
}

// --- outbound

/// Where a frame of the host goes, before rules have their say.
enum class Outbound : std::uint8_t {
  kDrop,
  kReinject,   // to our own MAC: back into our own port
  kAdvertise,  // a solicitation answered locally: `advertisement` goes into our own port
  kMulticast,  // to `group`
  kMember,     // to `member`: FRAME, or EXT_FRAME when `bridged`
  kBridge,     // station behind some other bridge: EXT_FRAME to bridge_targets()
};

struct Resolution {
  Outbound to = Outbound::kDrop;
  Refusal refusal = Refusal::kNone;  // for kDrop
  bool bridged = false;              // source MAC is a station behind us
  wire::MulticastGroup group;        // kMulticast; learned as "behind us" when bridged
  wire::Address member;              // kMember
  NeighbourAdvertisement advertisement;
};

[[nodiscard]] Resolution resolve(const Network& network, const EthernetFrame& frame);

/// Writes a frame as rules see it between these two.
inline void set_rule_frame(RuleFrame& f, const Network& network, const EthernetFrame& frame,
                           wire::Address source, wire::Address destination) {
  f.source = source;
  f.destination = destination;
  f.mac_source = frame.source;
  f.mac_destination = frame.destination;
  f.ethertype = frame.ethertype;
  f.tag_control = 0;
  f.payload = frame.payload;
  f.tag = 0;
  if (network.match_tags) {
    const wire::BehindTag in = wire::behind_tag(frame.ethertype, frame.payload);
    f.ethertype = in.ethertype;
    f.payload = in.payload;
    f.tag = in.tag;
    f.tag_control = in.tag_control;
  }
}

[[nodiscard]] inline RuleFrame rule_frame(const Network& network, const EthernetFrame& frame,
                                          wire::Address source, wire::Address destination) {
  RuleFrame f;
  set_rule_frame(f, network, frame, source, destination);
  return f;
}

/// On the way out. `destination` zero: first pass over a multicast or bridged frame.
[[nodiscard]] inline RuleFrame rule_frame_out(const Network& network, const EthernetFrame& frame,
                                              wire::Address destination) {
  return rule_frame(network, frame, network.self, destination);
}

/// On the way in.
[[nodiscard]] inline RuleFrame rule_frame_in(const Network& network, const EthernetFrame& frame,
                                             wire::Address sender) {
  return rule_frame(network, frame, sender, network.self);
}

struct BridgeTargets {
  std::uint8_t count = 0;
  std::array<wire::Address, kBridgeFanOut> address{};  // each once, never ourselves
};

/// Bridges for a foreign destination: the learned one while it is still an active bridge, else all
/// of them, else kBridgeFanOut consecutive ones from a random place. `learned` may be zero.
[[nodiscard]] BridgeTargets bridge_targets(const Network& network, wire::Address learned,
                                           std::uint32_t random);

// --- inbound

/// What admission says of a sender.
enum class Gate : std::uint8_t {
  kPass,
  kNeedsCredentials,  // answer ERROR(NEED_MEMBERSHIP_CERTIFICATE), keep the packet for a retry
  kUnknown,           // no record: control makes one and judges
};

/// `sender`: its record in the network of the frame, null when there is none.
[[nodiscard]] Gate gate(const Member* sender);

/// The verb that carried a frame; each has its own checks.
enum class Carrier : std::uint8_t { kFrame, kExtFrame, kMulticastFrame };

struct InboundFrame {
  Carrier carrier = Carrier::kFrame;
  /// For kFrame MACs are not read (they are implied); for kMulticastFrame the source is that of the
  /// sender when the packet named none.
  EthernetFrame frame;
};

struct InboundDecision {
  bool deliver = false;
  Refusal refusal = Refusal::kNone;  // when not delivered
  bool learn = false;                // frame.source is a station behind the sender
  /// EXT_FRAME flag 0x10 is honoured; false on the paths where the reference stops early.
  bool acknowledge = false;
  EthernetFrame frame;    // what to deliver, MACs complete
  FilterVerdict verdict;  // copies and redirects go out even when the frame is refused afterwards
};

/// What is looked at before the rules, in a frame whose MACs are completed. kNone: rules decide.
/// REQUIRES: gate(&sender) == Gate::kPass. `learn` as in InboundDecision.
[[nodiscard]] Refusal before_rules(const Network& network, const Member& sender, Carrier carrier,
                                   EthernetFrame& frame, bool& learn);
/// What is looked at afterwards. kNone: deliver.
[[nodiscard]] Refusal after_rules(const Network& network, const Member& sender, Carrier carrier,
                                  const EthernetFrame& frame, Filter filter, bool& learn);

/// Both, and the rules in between. REQUIRES: gate(&sender) == Gate::kPass. Replication for others
/// is the caller's.
[[nodiscard]] InboundDecision accept_inbound(const Network& network, const Member& sender,
                                             const InboundFrame& in, std::uint32_t random);

}  // namespace orrery::fib
