// The packet's journey, one stage a file of this folder. Every stage is a function over a vector:
// it reads tables, writes the facts of its lanes, and decides what becomes of them; partition()
// moves them. fast_path.cc puts the stages in a row.
//
//   inbound    classify, relay, reassemble | sender, dearmor, replay, inflate, dispatch, gate,
//              filter, learn, deliver
//   outbound   flow, multicast | flow, resolve, filter_out, credentials, steer, encap, armor,
//              fragment
//   and then   replicate, credentials, steer, encap, armor, fragment, until all copies are sent;
//              copies, steer, encap, armor, fragment, for what rules send elsewhere
//
// Before and behind them stand rx, underlay, outer and tx, which are a Port's (port.h), and
// ingress, a FramePort's. What a stage cannot finish is punted: the datagram or the frame
// unchanged, or the packet as authenticated plaintext. An empty table thus makes a correct, slow
// worker. Source: docs/architecture.md; docs/protocol/02-packet.md;
// docs/protocol/06-networks-and-mac.md.
#pragma once

#include "crypto/siphash_batch.h"
#include "dataplane/context.h"
#include "wire/verbs/multicast.h"

namespace orrery::dataplane {

// --- shared by stages

[[nodiscard]] inline wire::Address load_address(const std::uint8_t* p) noexcept {
  return wire::Address{(std::uint64_t{p[0]} << 32) | load_be32(p + 1)};
}

[[nodiscard]] inline wire::Suite suite_of(Bytes packet) noexcept {
  return static_cast<wire::Suite>((packet[wire::kFlagsOffset] >> 3) & 7u);
}

/// Whether workers open packets of this cipher. Others are control's: HELLO, trusted paths, and
/// what it counts as refused.
[[nodiscard]] inline bool opens(Bytes packet) noexcept {
  const wire::Suite suite = suite_of(packet);
  return suite == wire::Suite::kSalsaPoly || suite == wire::Suite::kAesGmacSiv;
}

/// The network of a source as one block of a hash: /24 of IPv4, /48 of IPv6.
[[nodiscard]] inline std::uint64_t prefix_word(const wire::Endpoint& from) noexcept {
  const bool v4 = from.family == 4;
  std::uint64_t word = 0;
  std::memcpy(&word, from.ip.data(), 8);
  word &= v4 ? 0xffffff : 0xffffffffffff;
  return crypto::SipBatch::last(v4 ? 4 : 7, from.family | word << 8);
}

/// The member that has the MAC or bridges its station; zero: control decides.
[[nodiscard]] inline wire::Address holder_of(const Tables& tables, const fib::Network& network,
                                             wire::Mac mac) noexcept {
  if (fib::is_member_mac(network, mac)) return wire::address_of(mac, network.id);
  const BridgeRecord* record = tables.bridge_routes.find({network.id.value, mac.value});
  const bool usable = record != nullptr && fib::is_active_bridge(network, record->route.behind);
  return usable ? record->route.behind : wire::Address{};
}

/// Bytes of the frame in lane `i`, with its Ethernet header.
[[nodiscard]] inline std::uint32_t frame_bytes(const PacketVector& v, unsigned i) noexcept {
  return static_cast<std::uint32_t>(fib::EthernetFrame::kHead + v.frame[i].payload.size());
}

/// Bytes of the verb before the payload.
[[nodiscard]] inline std::size_t verb_head(const PacketVector& v, unsigned i) noexcept {
  switch (v.verb[i]) {
    case fib::Carrier::kFrame:
      return wire::kFrameHead;
    case fib::Carrier::kExtFrame:
      return wire::kExtFrameHead;
    case fib::Carrier::kMulticastFrame:
      break;
  }
  const bool bridged = v.frame[i].source != v.network[i]->network.mac;
  return wire::kMulticastFrameHead + (bridged ? wire::kMulticastFrameSource : 0);
}

// --- inbound

/// Head, fragment, or neither; ours or not.
/// Reads: headers. Writes: piece, foreign, PacketMeta::message.
/// Exits: drop kShort, kBeacon (neither).
/// Cost: a cache line of each packet.
void classify(WorkerContext& w, PacketVector& v) noexcept;

/// Heads and fragments for others, as they are but for their hop count, where we are a root;
/// elsewhere they are control's. Never back to where they came from.
/// Reads: lanes marked `foreign`, headers, peers (one bulk lookup). Writes: hops,
/// PacketMeta::remote, socket. Exits: all marked lanes: transmit; punt kDatagram (no root, unknown
/// destination, or one that is reached over another root); drop kAddress, kHops, kRelayRate (of
/// their source), kRelayLoop. Of pairs control hears now and then.
/// Cost: a cache line of each packet, its peer, two buckets; one hash lookup.
void relay(WorkerContext& w, PacketVector& v) noexcept;

/// Pieces back into whole packets. Up to here a burst is its port's owner's, in order of arrival,
/// and no record goes with it: from here on any worker may go on.
/// Reads: lanes marked `piece`. Writes: mbuf, PacketMeta::message. Exits: parked; drop kFragment,
/// kFragmentDuplicate, and kFragmentTimeout for what waited in vain. Cost: one copy of every
/// fragment.
void reassemble(WorkerContext& w, PacketVector& v) noexcept;

/// Whose key.
/// Reads: headers, PacketMeta::message, peers (one bulk lookup). Writes: peer,
/// PacketMeta::wire_size.
/// Exits: punt kDatagram, or kReassembled what was made from fragments (HELLO and other ciphers,
/// unknown sender or one without schedules; `peer` tells which).
/// Cost: one hash lookup a packet.
void sender(WorkerContext& w, PacketVector& v) noexcept;

/// Verifies and decrypts in place, all suites and senders as one batch.
/// Reads: peer. Writes: payloads, sent_id. Exits: drop kMac. Cost: the armor.
void dearmor(WorkerContext& w, PacketVector& v) noexcept;

/// Each packet once: the set of seen ids, and of one of ours its window; not of verbs that control
/// answers once each by itself.
/// Reads: peer, sent_id. Exits: drop kReplay. Cost: a cache line of the set.
void replay(WorkerContext& w, PacketVector& v) noexcept;

/// LZ4, where the verb says so.
/// Writes: mbuf (a frame mbuf takes the place of the packet). Exits: drop kMalformed, kNoMbuf.
void inflate(WorkerContext& w, PacketVector& v) noexcept;

/// By verb: plain FRAME and EXT_FRAME go on, and MULTICAST_FRAME that is for us alone.
/// Writes: verb, frame (of FRAME without MACs: they are implied). Exits: punt kAuthenticated.
void dispatch(WorkerContext& w, PacketVector& v) noexcept;

/// Whether the network is joined and its sender admitted; of who is, control hears now and then.
/// Reads: networks, members. Writes: network, member. Exits: punt kAuthenticated (control judges,
/// and asks for credentials); drop kMemberRate.
void gate(WorkerContext& w, PacketVector& v) noexcept;

/// Rules, and which MACs this sender may use.
/// Reads: network, member. Writes: frame. Exits: drop by the reason of the refusal, kRedirected;
/// punt kAuthenticated (a rule asks for a copy or a redirect to somebody whom only control can
/// serve). Cost: the rules, nothing where they begin with an unconditional accept.
void filter(WorkerContext& w, PacketVector& v) noexcept;

/// Stations behind remote bridges: a miss or a move is an event for control; a hit writes nothing,
/// but an event once a minute.
/// Reads: frame.source, bridge routes. Exits: none.
void learn(WorkerContext& w, PacketVector& v) noexcept;

/// Puts the Ethernet header in front of the payload.
/// Writes: mbuf, PacketMeta::network. Exits: deliver, all lanes.
void deliver(WorkerContext& w, PacketVector& v) noexcept;

// --- outbound; v.network is that of the frame port, or null

/// The Ethernet header.
/// Writes: frame. Exits: punt kFrame (network without a record; not a frame).
void flow(WorkerContext& w, PacketVector& v) noexcept;

/// Frames to a group whose members control has published: each of them gets one, see replicate().
/// Those that suppress() answers go no further. Reads: groups. Exits: kept; drop kSuppressed,
/// kRules, kRedirected (of the sender's side, without a recipient in mind).
void multicast(WorkerContext& w, PacketVector& v) noexcept;

/// Fills the vector with copies of the frames that multicast() has kept, one for each recipient: up
/// to the limit, bridges first, past the rules for each. Recipients without a record, schedules or
/// a path are control's, which gets the frame with their addresses behind it. Reads: members,
/// peers. Writes: all facts of outbound lanes, adi. Exits: punt kMulticastRest; drop kNoMbuf,
/// kPuntFrame, kTooBig. Cost: a copy of the frame for each recipient.
void replicate(WorkerContext& w, PacketVector& v) noexcept;

/// MAC to member: derived from its address, or the bridge behind which the station was seen.
/// Reads: bridge routes, members, peers. Writes: verb, member, peer. Exits: punt kFrame (multicast
/// to a group without a record, our own MAC, unknown station, member or peer, or a peer without
/// schedules).
void resolve(WorkerContext& w, PacketVector& v) noexcept;

/// Rules of the sender's side.
/// Exits: drop kRules, kRedirected; punt kFrame (a rule asks for a copy or a redirect to somebody
/// whom only control can serve).
void filter_out(WorkerContext& w, PacketVector& v) noexcept;

/// Fills the vector with copies that rules asked for in this turn (copy_out()). Writes: all facts
/// of outbound lanes, ext_flags. Exits: none.
void copies(WorkerContext& w, PacketVector& v) noexcept;

/// Whether the recipient holds our credentials of today: if not, an event; the frame goes on, but
/// for the recipient's limit. Who was put out gets none, and control hears of it. Exits: drop
/// kRevoked, kMemberRate.
void credentials(WorkerContext& w, PacketVector& v) noexcept;

/// The path and its MTU, and how the packet will be cut; SYNs get the MSS that is worth sending
/// there. Reads: peer, network. Writes: PacketMeta::remote, socket; plan; the MSS of a SYN. Exits:
/// punt kFrame (no path), drop kTooBig (beyond seven fragments, or an IP packet beyond the
/// network's MTU that may not be fragmented), with an answer to its sender.
void steer(WorkerContext& w, PacketVector& v) noexcept;

/// ZeroTier header and verb head into the headroom.
/// Writes: mbuf. Exits: drop kTooBig (no headroom).
void encap(WorkerContext& w, PacketVector& v) noexcept;

/// Encrypts in place, as one batch. Behind steer, since the fragmented flag is authenticated.
void armor(WorkerContext& w, PacketVector& v) noexcept;

/// Cuts packets to their path's MTU and sends them off.
/// Exits: transmit, whole packets and all their pieces. Cost: a copy of what does not fit the first
/// datagram. Exits: drop kNoMbuf (no buffer for a fragment: the rest of the packet is useless).
void fragment(WorkerContext& w, PacketVector& v) noexcept;

// --- side: what rules send elsewhere

/// Keeps the copies and redirects that `verdict` asks for of the frame in lane `i`, for copies().
/// False, and nothing is kept: there is no room, or somebody lacks a record, schedules or a path;
/// then the frame is control's. Cost: a copy of so much of the frame.
[[nodiscard]] bool copy_out(WorkerContext& w, const PacketVector& v, unsigned i,
                            const fib::FilterVerdict& verdict) noexcept;

// --- side: what control is given

/// Of the lanes that are punted, those beyond the rate of their class, of their source's network
/// and of their sender are dropped instead; partition() asks it. Exits: drop kPuntStranger and its
/// neighbours, kPuntSource. Cost: while a class has nothing left, a look at its bucket.
void limit_punts(WorkerContext& w, PacketVector& v) noexcept;

// --- counts by peer, network and member (stages/account.cc)

/// Of packets that become frames, by deliver.
/// Reads: peer, network, member, frame, PacketMeta::wire_size. Cost: an addition per run of one
/// peer.
void account_in(WorkerContext& w, const PacketVector& v) noexcept;
/// Of frames that became sealed packets, by fragment.
void account_out(WorkerContext& w, const PacketVector& v) noexcept;
/// The frame of lane `i` is dropped as its network or member asks for. Reads: network, member.
void count_refused(WorkerContext& w, const PacketVector& v, unsigned i, bool inbound) noexcept;

// --- side: what a stage tells control without giving its packet away (stages/event.cc)

/// The frame of lane `i` passed the gate: control does its received step, whatever the rules say of
/// the frame. At most once a second per peer, ten times that when it came over another path than
/// the one in use.
void raise_received(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// The frame's source is a station behind its sender. Shares one rate with the next.
void raise_learned(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// The same for one that control knows there: has a rate of its own, so that a flood of newcomers
/// does not make the others age. False: not this time.
bool raise_still_there(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// The sender of the frame in lane `i` is told that packets to there may have `mtu` bytes at most;
/// at most a hundred times a second.
void answer_too_big(WorkerContext& w, const PacketVector& v, unsigned i, std::size_t mtu) noexcept;
/// The local switch knows who has the IP address that the frame of lane `i` asks for
/// (PacketMeta::neighbour): the answer goes to the port that it came from. False: it has to be
/// asked, since we would not let its answer or the question pass, or do not know its member.
/// Reads: bridge routes, members.
[[nodiscard]] bool suppress(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// A frame by which `owner` answers the question in `frame`; null: no buffer, or no question.
[[nodiscard]] rte_mbuf* answer_in_name_of(fib::Neighbour owner, Bytes frame,
                                          const Pools& pools) noexcept;
/// Whether control may hear of another pair in this period.
[[nodiscard]] bool may_tell_of_pairs(WorkerContext& w) noexcept;
/// A frame goes to the members of a group.
void raise_group_used(WorkerContext& w, const PacketVector& v, unsigned i, const GroupRecord& group,
                      bool bridged) noexcept;
/// The multicast frame of lane `i` may ask for members of its group: control gets it without its
/// payload, once a second from each peer.
void raise_gather(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// The packet of lane `i` is relayed for `source`, so it says. False: not now.
[[nodiscard]] bool raise_relayed(WorkerContext& w, const PacketVector& v, unsigned i,
                                 const PeerRecord& source) noexcept;
/// A packet of full size goes to the recipient of lane `i`; asked once in ten seconds.
void raise_full_size(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// A frame goes to the recipient of lane `i` alone; asked once a second.
void raise_sent(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;
/// The recipient of lane `i` lacks our credentials.
void raise_stale(WorkerContext& w, const PacketVector& v, unsigned i) noexcept;

}  // namespace orrery::dataplane
