// Every reason for which a worker drops a packet, once: enumerator, metric label, text.
#pragma once

#include <cstdint>

// X(enumerator, label, text)
#define ORRERY_FOR_EACH_DROP(X)                                                                   \
  X(kNone, "none", "not dropped")                                                                 \
  X(kNoMbuf, "no_mbuf", "no packet buffer was free")                                              \
  X(kPuntFull, "punt_full", "the ring to control was full")                                       \
  X(kPassFull, "pass_full", "the ring to the first worker was full")                              \
  X(kPuntStranger, "punt_stranger", "for control: more from strangers than its rate")             \
  X(kPuntKnown, "punt_known", "for control: more in peers' names than its rate")                  \
  X(kPuntAuthenticated, "punt_authenticated", "for control: more of peers than its rate")         \
  X(kPuntFrame, "punt_frame", "for control: more frames of the host than its rate")               \
  X(kPuntEvent, "punt_event", "for control: more events than their rate")                         \
  X(kPuntSource, "punt_source", "for control: more from one network or peer than its rate")       \
  X(kShort, "short", "shorter than any packet")                                                   \
  X(kBeacon, "beacon", "announcement of old nodes on their LAN")                                  \
  X(kNoPort, "no_port", "no port for this datagram or frame")                                     \
  X(kAddress, "address", "source is reserved or our own")                                         \
  X(kHops, "hops", "relayed by as many as may")                                                   \
  X(kRelayLoop, "relay_loop", "would go back to where it came from")                              \
  X(kRelayRate, "relay_rate", "more to relay from one source than its share")                     \
  X(kTooBig, "too_big", "frame larger than seven fragments carry, or than the network's MTU")     \
  X(kMac, "mac", "authentication failed")                                                         \
  X(kReplay, "replay", "received before")                                                         \
  X(kFragment, "fragment", "fragment counts out of range or packet too large")                    \
  X(kFragmentDuplicate, "fragment_duplicate", "fragment received before")                         \
  X(kFragmentTimeout, "fragment_timeout", "packet whose other fragments never came")              \
  X(kLocal, "local", "stays on the LAN that it came from")                                        \
  X(kMalformed, "malformed", "payload does not parse")                                            \
  X(kRules, "rules", "refused by the network's rules")                                            \
  X(kRedirected, "redirected", "sent elsewhere instead, as a rule of the network says")           \
  X(kRevoked, "revoked", "to a member that the controller has put out")                           \
  X(kMemberRate, "member_rate", "more from or to a member than its limit")                        \
  X(kSourceMac, "source_mac", "source MAC not allowed for this member")                           \
  X(kMemberMac, "member_mac", "LAN station whose MAC begins as those of members do")              \
  X(kDestinationMac, "destination_mac", "destination MAC is not ours and we do not bridge")       \
  X(kFixedMac, "fixed_mac", "source MAC is that of a station fixed to another port")              \
  X(kBroadcastStorm, "broadcast_storm", "more broadcasts than the LAN port may send")             \
  X(kMulticastStorm, "multicast_storm", "more multicasts than the LAN port may send")             \
  X(kUnknownStorm, "unknown_storm", "more frames to unknown stations than the LAN port may send") \
  X(kBlocked, "blocked", "LAN port is blocked: another bridges the same LAN")                     \
  X(kGuard, "guard", "a DHCP server's or router's word that a LAN port keeps on its side")        \
  X(kProbes, "probes", "more bridge probes than bridges send")                                    \
  X(kNested, "nested", "a datagram of this node itself: an overlay inside the overlay")           \
  X(kSuppressed, "suppressed", "ARP or neighbour solicitation answered in its owner's name")

namespace orrery::dataplane {

enum class Drop : std::uint8_t {
#define ORRERY_DROP_ENUM(name, label, text) name,
  ORRERY_FOR_EACH_DROP(ORRERY_DROP_ENUM)
#undef ORRERY_DROP_ENUM
      kCount,
};

[[nodiscard]] constexpr const char* drop_label(Drop drop) {
  switch (drop) {
#define ORRERY_DROP_CASE(name, label, text) \
  case Drop::name:                          \
    return label;
    ORRERY_FOR_EACH_DROP(ORRERY_DROP_CASE)
#undef ORRERY_DROP_CASE
    case Drop::kCount:
      break;
  }
  return "unknown";
}

}  // namespace orrery::dataplane
