// Inside of control::Networks: the joined networks and the steps that the network_*.cc files define
// one concept each.
//
//   network.cc             join, leave, settings, timers, what the API shows
//   network_config.cc      configuration: asking, chunks, errors, applying, the host port
//   network_members.cc     members: credentials in and out, the gate, records for the workers
//   network_frames.cc      unicast frames both ways, bridges, copies
//   network_loops.cc       probes of bridges
//   network_multicast.cc   groups announced and asked for, multicast frames both ways
#pragma once

#include <deque>
#include <list>
#include <set>

#include "control/bridge_table.h"
#include "control/config_assembly.h"
#include "control/gather_times.h"
#include "control/member.h"
#include "control/multicast.h"
#include "control/network.h"
#include "control/port_plan.h"
#include "control/token_bucket.h"
#include "fib/forward.h"
#include "wire/verbs/multicast.h"

namespace orrery::control {

inline constexpr Millis kGroupIdle = 60'000;           // without a frame workers need no record
inline constexpr std::size_t kMostServedGroups = 256;  // of one network; the others are control's
inline constexpr Millis kHousekeeping = 5'000;
inline constexpr Millis kRefresh = 60'000;     // age of a configuration that is asked for anew
inline constexpr Millis kAnnounce = 60'000;    // between announcements of all groups
inline constexpr Millis kPushAgain = 500'000;  // credentials are pushed again after this
/// Least time between pushes of credentials to a peer, in all networks: a receiver takes one packet
/// of them a second, and two datagrams may drift apart on their way.
inline constexpr Millis kPushApart = 1'250;
inline constexpr Millis kErrorInterval = 1'000;  // between "need certificate" to one member
inline constexpr Millis kBridgedGroupAge = 1'200'000;
inline constexpr Millis kFlappingInterval = 60'000;  // between alarms of stations that flap
inline constexpr std::size_t kMaxBridgedGroups = 4'096;
inline constexpr std::size_t kMaxMembers = 65'536;  // records of one network
inline constexpr std::size_t kMaxQueuedMulticasts = 1'024;
inline constexpr std::size_t kQueuedPerGroup = 32;
inline constexpr std::size_t kMaxPeers = 65'536;

/// What the records of one member need beside its credentials.
struct MemberEntry {
  Membership membership;
  bool allowed = false;                 // as of the last refresh_member()
  std::uint64_t pushed_generation = 0;  // configuration whose credentials it got
  Millis last_push = 0;                 // mono, 0 never
  Millis last_announce = 0;             // of our groups to it
  std::optional<fib::Member> published;
  RateBucket rate_in, rate_out;  // of frames that control carries
  FrameCounts carried;
  std::list<wire::Address>::iterator place;  // in Joined::by_use
};

/// A multicast frame and what is the same for all its recipients.
struct MulticastJob {
  wire::MulticastGroup group;
  wire::Mac source;  // zero: our own, not written
  std::uint16_t ethertype = 0;
  ByteVector payload;
  std::uint32_t gather_limit = 0;
};

struct QueuedMulticast {
  MulticastJob job;
  std::set<wire::Address> served;
  std::size_t sent = 0;
  Millis until = 0;  // mono
};

/// A group whose members workers serve.
struct ServedGroup {
  fib::Group record;
  Millis used = 0;  // mono; a worker said so, or we sent to it
};

struct Joined {
  Joined(SipKey key, const BridgeTable::Limits& stations) : bridges(stations), last_gather(key) {}

  wire::NetworkId id;
  wire::Mac mac;
  NetworkSettings settings;
  std::optional<wire::NetworkConfig> config;
  fib::Network record;                       // derived from config; meaningful only with it
  NetworkState failure = NetworkState::kOk;  // the controller's last refusal, if any
  int port_error = 0;
  std::uint64_t generation = 0;  // counts configurations applied
  Millis last_config = 0;        // last accepted answer or push, mono; 0: never (or from disk)
  Millis last_announce = 0;
  ConfigAssembly assembly;
  FrameCounts carried;  // by control, of all members
  std::map<wire::Address, MemberEntry> members;
  std::list<wire::Address> by_use;  // the members, longest unused first: they give way
  BridgeTable bridges;
  std::optional<LoopGuard> guard;                   // with LAN ports
  Millis last_flapping = 0;                         // alarm of a station that is in several places
  std::vector<wire::MulticastGroup> subscriptions;  // ascending
  std::map<wire::MulticastGroup, Millis> bridged_groups;  // to when seen
  GatherTimes last_gather;
  std::deque<QueuedMulticast> queue;
  std::map<wire::MulticastGroup, ServedGroup> served_groups;  // as published
  std::optional<ConfigurePort> port;
};

/// Rates that concern a peer whatever the network.
struct PeerRates {
  Millis last_credentials = 0;       // NETWORK_CREDENTIALS processed
  Millis last_error = 0;             // "need certificate" sent to it
  TokenBucket verifications{10, 5};  // spent on failures and inline certificates
  Millis blocked_until = 0;          // no signature is checked for it before
  Millis last_push = 0;              // credentials pushed to it, member or not
  Millis used = 0;
  std::list<wire::Address>::iterator place;  // in State::peers_by_use

  [[nodiscard]] bool may_verify(Millis now) const { return now >= blocked_until; }

  void verification_failed(Millis now) {
    if (!verifications.take(now)) blocked_until = now + 1'000;
  }
};

struct Networks::State {
  State(Transport& transport_, ControllerRole* controller_)
      : transport(transport_), controller(controller_), groups(fresh_key()) {}

  // --- network.cc
  [[nodiscard]] Joined* find(wire::NetworkId id);

  /// Counts and says how the packet ended: `return refuse(...)`.
  Handled refuse(NetworkCount reason, Handled handled = Handled::kDone) {
    counters.add(reason);
    return handled;
  }

  /// The network of a packet that needs its configuration; null is counted.
  [[nodiscard]] Joined* find_configured(wire::NetworkId id);

  [[nodiscard]] wire::Address self() const { return transport.self().address(); }

  PeerRates& rates(Now now, wire::Address peer);

  [[nodiscard]] SipKey fresh_key() { return {transport.random_u64(), transport.random_u64()}; }

  void tick(Now now, Effects& out);

  // --- network_config.cc
  void request_config(Now now, Joined& net, Effects& out);
  Handled on_config(Now now, const Incoming& in, Bytes body, bool answer, std::uint64_t asked_for,
                    Effects& out);
  /// True if the configuration is in force now. `fresh`: may go back in time.
  bool accept_config(Now now, Joined& net, Bytes dictionary, bool fresh, Effects& out);
  void apply_config(Now now, Joined& net, wire::NetworkConfig config, Effects& out);
  void configure_port(Joined& net, Effects& out);
  Handled on_config_error(const Incoming& in, const Answered* answered, Bytes rest,
                          wire::ErrorCode code);

  // --- network_members.cc
  [[nodiscard]] fib::IdentityLookup lookup() const;
  static void touch(Joined& net, MemberEntry& entry);
  /// Creates the record when it is missing; the one that was not used for longest makes room.
  MemberEntry& member(Now now, Joined& net, wire::Address address, Effects& out);
  /// Recomputes what depends on credentials and configuration; publishes a changed record.
  void refresh_member(Now now, Joined& net, wire::Address address, MemberEntry& entry,
                      Effects& out);
  [[nodiscard]] bool passes(Now now, Joined& net, wire::Address address, Effects& out);
  /// The gate of frames: on failure the sender is told, at most once a second.
  bool gate(Now now, Joined& net, const Incoming& in, Effects& out);
  /// No certificate has been asked for just now; what is true counts as a demand.
  [[nodiscard]] bool may_demand(Now now, wire::Address from);
  [[nodiscard]] bool push_due(Now now, const Joined& net, const MemberEntry& entry) const;
  /// When it is time. Who is put out gets none unless he asks; he is asked for his, now and then.
  void push_credentials(Now now, Joined& net, wire::Address to, bool on_error, Effects& out);
  /// Nothing has been pushed to this peer just now; what is true counts as a push.
  [[nodiscard]] bool may_push(Now now, wire::Address to);
  /// To somebody who asks and of whom nothing else is known: leaves no record.
  void push_to_stranger(Now now, Joined& net, wire::Address to, Effects& out);
  void send_credentials(Now now, const Joined& net, wire::Address to, Effects& out);
  void count(AddResult result);
  void accept_inline(Now now, Joined& net, const Incoming& in,
                     const wire::CertificateOfMembership& com, Effects& out);
  Handled on_credentials(Now now, const Incoming& in, Effects& out);
  template <typename Credential>
  AddResult add_credential(Now now, Joined& net, wire::Address subject,
                           const Credential& credential, Effects& out);
  /// The controller has put us out.
  AddResult on_own_revocation(Joined& net, const wire::Revocation& revocation);

  // --- network_frames.cc
  Handled on_frame_packet(Now now, const Incoming& in, Effects& out);
  Handled on_ext_frame(Now now, const Incoming& in, Effects& out);
  /// The sender is told what the network carries, at most a hundred times a second.
  void answer_too_big(Now now, const Joined& net, const fib::EthernetFrame& frame, Effects& out);
  void on_host_frame(Now now, Joined& net, Bytes ethernet, Effects& out);
  /// A frame from or to a member has been carried, or was refused.
  static void account(Joined& net, wire::Address member, Way way, std::size_t payload);
  static void account_refused(Joined& net, wire::Address member, Way way);
  /// Whether the limit of a member lets a frame from or to it pass; else it is counted. Who has no
  /// record has no limit.
  [[nodiscard]] bool within_limit(Now now, Joined& net, wire::Address member, Way way,
                                  std::size_t payload);
  /// The same of a frame to a member, which nobody gets who was put out.
  [[nodiscard]] bool may_send(Now now, Joined& net, wire::Address to, std::size_t payload);
  void send_ext_frame(Now now, Joined& net, wire::Address to, std::uint8_t flags,
                      const fib::EthernetFrame& frame, Bytes payload, Effects& out);
  /// Sends the copies and redirections a filter asked for.
  void emit(Now now, Joined& net, const fib::FilterVerdict& verdict,
            const fib::EthernetFrame& frame, Effects& out);
  /// What the frame path knows of a member; null when nothing.
  [[nodiscard]] const fib::Member* record_of(const Joined& net, wire::Address address) const;
  /// By the controller, and not in again as far as we know.
  [[nodiscard]] bool put_out(const Joined& net, wire::Address address) const;
  /// True if the rules let the frame go there (zero: not decided yet). Redirections are sent in
  /// every pass, copies only if asked for.
  [[nodiscard]] bool filter_out(Now now, Joined& net, const fib::EthernetFrame& frame,
                                wire::Address to, bool copies, Effects& out);
  /// Judges a frame that passed the gate and does what follows: copies, learning, delivery.
  fib::InboundDecision accept(Now now, Joined& net, const Incoming& in,
                              const fib::InboundFrame& frame, Effects& out);
  void deliver(const Joined& net, const fib::EthernetFrame& frame, Effects& out);
  void learn(Now now, Joined& net, wire::Mac mac, wire::Address behind, Effects& out);

  // --- network_loops.cc
  void guard_loops(Joined& net);
  void watch_loops(Now now, Effects& out);
  void on_bridge_probe(Now now, Joined& net, unsigned side, Bytes payload, Effects& out);
  template <typename Step>
  void with_guard(Now now, Joined& net, Effects& out, Step step);

  // --- network_multicast.cc
  [[nodiscard]] std::vector<wire::MulticastGroup> all_groups(const Joined& net) const;
  [[nodiscard]] bool subscribed(const Joined& net, wire::MulticastGroup group) const;
  /// Anchors, replicators, controller, roots: each once, without ourselves.
  [[nodiscard]] std::vector<wire::Address> always_list(const Joined& net) const;
  void announce(Now now, const Joined& net, wire::Address to,
                const std::vector<wire::MulticastGroup>& groups, Effects& out);
  /// To the always-list and every member that passes the gate.
  void announce_new(Now now, Joined& net, const std::vector<wire::MulticastGroup>& groups,
                    Effects& out);
  void announce_periodically(Now now, Joined& net, Effects& out);
  void learn_bridged_group(Now now, Joined& net, wire::MulticastGroup group, Effects& out);
  Handled on_like(Now now, const Incoming& in, Effects& out);
  Handled on_gather(Now now, const Incoming& in, Effects& out);

  /// Body of a gather answer: total, count, addresses; nothing when nobody is known.
  struct Gathered {
    std::uint32_t total = 0;
    ByteVector addresses;
  };

  [[nodiscard]] Gathered gather(Now now, wire::NetworkId id, const Joined* net,
                                wire::MulticastGroup group, wire::Address requester,
                                std::uint32_t limit, bool ask_assignments);
  Handled on_gathered(Now now, const wire::GatherResult& result, const Answered& answered,
                      Effects& out);
  Handled on_multicast_frame(Now now, const Incoming& in, Effects& out);
  void add_group_member(Now now, wire::NetworkId id, wire::MulticastGroup group,
                        wire::Address address, Effects& out);
  void send_multicast(Now now, Joined& net, MulticastJob job, wire::Address origin, Effects& out);
  void replicate(Now now, Joined& net, MulticastJob job, wire::Address origin, Effects& out);
  /// Whom a frame to the group goes to, for workers; takes it back when that is control's business.
  void serve_group(Now now, Joined& net, wire::MulticastGroup group, Effects& out);
  void withdraw_group(Joined& net, wire::MulticastGroup group, Effects& out);
  /// Members come and go, and groups that nobody uses need no record.
  void refresh_groups(Now now, Joined& net, Effects& out);
  void on_group_used(Now now, Joined& net, const fib::GroupUsed& used, Effects& out);
  void on_multicast_rest(Now now, Joined& net, const fib::MulticastRest& rest, Effects& out);
  /// Whether our multicasts go to a replicator, or would if one were there.
  [[nodiscard]] bool leaves_replication(const Joined& net) const;
  void gather_explicitly(Now now, Joined& net, wire::MulticastGroup group, std::uint32_t want,
                         Effects& out);
  /// How many of them have not been put out, `most` at most.
  [[nodiscard]] std::size_t hearing(const Joined& net, const std::vector<wire::Address>& members,
                                    std::size_t most) const;
  /// True if it takes one of the places that the network's limit leaves: the rules let it go there,
  /// and the recipient has not been put out; its own limit may still have been in the way.
  bool send_multicast_to(Now now, Joined& net, const MulticastJob& job, wire::Address to,
                         bool ask_replication, Effects& out);
  [[nodiscard]] std::vector<wire::Address> specialists(const Joined& net, std::uint64_t role) const;
  void shuffle(std::vector<wire::Address>& addresses);

  Transport& transport;
  ControllerRole* controller;
  std::map<wire::NetworkId, Joined> joined;
  std::map<wire::Address, PeerRates> peers;
  std::list<wire::Address> peers_by_use;  // longest unused first
  MulticastTable groups;
  NetworkCounters counters;
  std::map<wire::NetworkId, std::vector<unsigned>> lan_ports;   // joined or not
  std::set<wire::NetworkId> match_tags;                         // the same
  std::map<wire::NetworkId, std::vector<RateRule>> rate_rules;  // the same
  TokenBucket too_big_answers{32, 100};
  bool refuse_nested = true;
  bool clamp_mss = true;
  BridgeTable::Limits station_limits;  // of networks joined from now on
  Millis next_tick = 0;                // mono; 0: nothing joined
  Millis last_expiry = 0;
};

}  // namespace orrery::control
