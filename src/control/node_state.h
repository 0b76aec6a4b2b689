// Inside of control::Node: the tables, and the steps that the files of this folder define one
// concept each.
//
//   node.cc       facade, start, timers, status      receive.cc    datagram to verb, received step,
//   waiting packets hello.cc      HELLO, its OK, collisions, pins    send.cc       paths, armor,
//   queues, WHOIS, probes verbs.cc      WHOIS, ECHO, RENDEZVOUS, pushes    keepalive.cc  liveness,
//   peer cache path_probes.cc datagram sizes        trust.cc      pins, alarms      upstreams.cc
//   roots, worlds path_watching.cc which paths work, and which one is taken    node_view.cc what
//   operators see
#pragma once

#include <map>
#include <set>

#include "control/features.h"
#include "control/gates.h"
#include "control/key_pool.h"
#include "control/node.h"
#include "control/node_counters.h"
#include "control/nonces.h"
#include "control/path_size.h"
#include "control/peer.h"
#include "control/rendezvous.h"
#include "control/replies.h"
#include "control/root.h"
#include "control/seen.h"
#include "control/surface.h"
#include "control/topology.h"
#include "control/verb_counts.h"
#include "control/worlds.h"
#include "crypto/armor.h"
#include "wire/reassembler.h"
#include "wire/verbs/hello.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

/// Proofs of work under way below which somebody who has proven nothing is checked at once.
inline constexpr std::size_t kIdleChecks = 16;

/// An address whose identity we want.
struct Lookup {
  Millis asked = 0;       // mono; last WHOIS
  Millis until = 0;       // mono; asked again until then
  bool stranger = false;  // only asked because of a packet from there
  // Strict: what one root has said, which another one must say, too.
  std::optional<wire::Identity> claimed{};
  wire::Address claimed_by{};
};

/// When a root last answered.
struct RootAnswers {
  Millis hello = 0;  // mono; over a direct path
  Millis whois = 0;  // mono
};

/// A walk over a table in steps of bounded size, so that no turn takes long however many there are;
/// small tables are done with in the turn in which it starts.
class Walk {
 public:
  static constexpr std::size_t kStep = 4'096;

  /// Unless it is still under way.
  void start(Millis now) {
    if (next_ == 0) next_ = now;
  }

  /// mono; 0: it is not under way.
  [[nodiscard]] Millis next() const { return next_; }

  /// A step if it is due: `step(place)` returns where to go on, or 0 at the end. All of `size` take
  /// about `within` ms.
  template <typename Step>
  void go_on(Millis now, Millis within, std::size_t size, Step step) {
    if (next_ == 0 || now < next_) return;
    place_ = step(place_);
    next_ = place_ == 0
                ? 0
                : now + std::max<Millis>(within * static_cast<Millis>(kStep) /
                                             static_cast<Millis>(std::max<std::size_t>(size, 1)),
                                         1);
  }

 private:
  std::size_t place_ = 0;
  Millis next_ = 0;
};

struct Node::State {
  State(Node& node_, NodeOptions options_);

  // --- receive.cc
  // ---------------------------------------------------------------------------------------
  void datagram(Now now, const fib::PathKey& via, Bytes bytes, Effects& out);
  /// A complete packet, still armored unless `authenticated`. It is changed in place.
  void packet(Now now, const fib::PathKey& via, MutableBytes bytes, std::size_t wire_size,
              bool authenticated, Effects& out);
  /// Header and plaintext of a known sender.
  void plaintext(Now now, const fib::PathKey& via, Bytes packet, Peer& peer, std::size_t wire_size,
                 Effects& out);
  /// Whether one more packet of this peer may wait: nobody's flood takes the others' room, nor do
  /// those who have proven nothing.
  [[nodiscard]] bool may_wait(Now now, Peer& peer);
  Handled dispatch(Now now, Incoming& in, Effects& out);
  Handled on_ok(Now now, Incoming& in, Effects& out);
  Handled on_error(Now now, Incoming& in, Effects& out);
  /// `confirmed`: the packet is the answer to a probe of exactly this path.
  void received_step(Now now, Peer& peer, const fib::PathKey& via, unsigned hops, wire::Verb verb,
                     bool trusted, bool confirmed, Effects& out);
  /// Asks a path that is not known yet for an answer, at most once a second.
  void probe_unknown(Now now, Peer& peer, const fib::PathKey& via, Effects& out);
  void retry_waiting(Now now, Effects& out);
  [[nodiscard]] wire::Reassembler& reassembler_of(const fib::PathKey& via);
  void relay(Now now, const fib::PathKey& via, Bytes datagram, Effects& out);
  /// Whether a packet that we relay and whose MAC we cannot check comes over a path of its source,
  /// or of a root that relayed it before: nobody else can have others introduced.
  [[nodiscard]] bool comes_from(Now now, const Peer& source, const fib::PathKey& via,
                                unsigned hops) const;
  /// The same for a packet that a worker sent on.
  void relayed(Now now, const fib::Relayed& event, Effects& out);
  /// Unless they were lately.
  void introduce(Now now, Peer& a, Peer& b, Effects& out);

  // --- hello.cc
  // -----------------------------------------------------------------------------------------
  void on_hello(Now now, const fib::PathKey& via, MutableBytes packet, bool authenticated,
                Effects& out);
  /// HELLO of protocol 13 with an encryption around it.
  void on_extended_hello(Now now, const fib::PathKey& via, MutableBytes packet, Effects& out);
  Handled on_hello_ok(Now now, Incoming& in, const wire::Ok& ok, Effects& out);
  /// An answer to HELLO or ECHO: measures the path, earns a stranger the check of his work.
  void probe_succeeded(Now now, Incoming& in, const Expectation& asked, Effects& out);
  [[nodiscard]] std::optional<wire::Identity> known_identity(wire::Address address) const;
  void on_collision(Now now, const Incoming& in, const Expectation& asked, Effects& out);
  /// Gives up an identity of ours that roots know with another key, and none has accepted.
  void give_way(Now now, Effects& out);
  /// An identity that others wait for is known now.
  void identity_known(Now now, const wire::Identity& identity, Effects& out);
  void identity_validated(Now now, const wire::Identity& identity, bool valid, Effects& out);
  /// Back to where it was before the proof was asked for; the next HELLO, answered probe, WHOIS
  /// answer or offer asks again.
  void validation_refused(const wire::Identity& identity);
  /// Now, or when there is room for one more.
  void check_work(Peer& peer, Effects& out);
  /// Of those who wait for room.
  void check_next(Effects& out);
  void ask_proof(const wire::Identity& identity, Effects& out);
  /// Whether somebody who has shown nothing but a key is checked at once; else he is probed first.
  [[nodiscard]] bool idle(Now now);
  /// Makes room for one more provisional peer: the oldest that has answered nothing gives way.
  void make_provisional_room(Now now, Effects& out);
  void establish(Now now, Peer& peer, Effects& out);
  void offer_worlds(Now now, const Peer& from, Bytes worlds, Effects& out);
  void surface_report(Now now, const Peer& reporter, const fib::PathKey& via,
                      const wire::Endpoint& reported, Effects& out);

  // --- trust.cc
  // -----------------------------------------------------------------------------------------
  /// Counts it, and says it unless the same was said lately.
  void alarm(Now now, AlarmKind kind, wire::Address about, wire::Address by, std::string text,
             Effects& out);
  void log_key(Now now, wire::Address address, KeyEvent event, const Fingerprint& fingerprint,
               wire::Address by, Effects& out);
  /// Alarm and line of a key that is not the one we hold; `what` ends where the address begins.
  void refuse_key(Now now, const wire::Identity& identity, AlarmKind kind, wire::Address by,
                  const char* what, Effects& out);
  /// Whether our records allow this key for its address; a mismatch is counted and an alarm. `by`:
  /// who names it, if that is not its holder.
  bool pin_allows(Now now, const wire::Identity& identity, Effects& out,
                  AlarmKind kind = AlarmKind::kOtherKey, wire::Address by = {});
  [[nodiscard]] bool pinned(const wire::Identity& identity) const;
  /// Binds the address to this key for ever: at the first authenticated use of who is established.
  void pin_first_use(Now now, Peer& peer, Effects& out);
  void pin_by_hand(Now now, wire::Address address, const Fingerprint& fingerprint, Effects& out);
  /// Drops what the cache says of an address if it is another key than the pinned one.
  void forget_cached_other(wire::Address address);
  bool unpin(Now now, wire::Address address, Effects& out);
  /// Whether what a root says of an identity is enough: in strict mode two must say it. If not, the
  /// second one is asked.
  bool roots_agree(Now now, const wire::Identity& identity, wire::Address by, Effects& out);

  // --- upstreams.cc
  // -------------------------------------------------------------------------------------
  void refresh_upstreams(Now now, Effects& out);
  void world_accepted(Now now, const wire::World& world, Effects& out);
  std::size_t check_roots(Now now, std::uint64_t world, Effects& out);
  [[nodiscard]] std::vector<RootStatus> root_status(Now now) const;

  // --- verbs.cc
  // -----------------------------------------------------------------------------------------
  Handled on_whois(Now now, Incoming& in, Effects& out);
  void on_whois_ok(Now now, const Expectation& asked, Bytes rest, Effects& out);
  /// Asks for the proof of an identity that is no peer yet; it becomes one when it holds.
  /// `stranger`: only because of a stranger's packet; has a smaller share.
  void prove_later(const wire::Identity& identity, bool stranger, Effects& out);
  Handled on_rendezvous(Now now, Incoming& in, Effects& out);
  Handled on_echo(Now now, Incoming& in, Effects& out);
  Handled on_push(Now now, Incoming& in, Effects& out);
  /// Somebody named an address of the peer: whether it is to be probed now. Remembers what became
  /// of it.
  [[nodiscard]] bool offered(Now now, Peer& peer, const wire::Endpoint& endpoint,
                             CandidateSource source);
  void push_paths(Now now, Peer& peer, const fib::PathKey& via, Effects& out);

  // --- send.cc
  // ------------------------------------------------------------------------------------------
  struct Route {
    fib::PathKey key;
    bool direct = false;
  };

  Peer* peer_of(Now now, wire::Address address, Effects& out);  // known, or from the cache on disk
  std::optional<Route> route_to(Now now, Peer& peer) const;
  /// The peer is reached by relay: asks for an answer that way, now and then, and has the next root
  /// take its turn when there was none. True: it has it from now on.
  bool check_relay(Now now, Peer& peer, Effects& out);
  /// False when there is no way to the peer now.
  bool send_now(Now now, Peer& peer, wire::Verb verb, Bytes payload, const SendOptions& options,
                Effects& out);
  void send_or_wait(Now now, wire::Address to, wire::Verb verb, Bytes payload,
                    const SendOptions& options, Effects& out);
  /// One datagram over exactly this path; suite by verb and peer, never trusted. Returns the id on
  /// the wire.
  std::uint64_t send_via(Now now, const crypto::PeerKeys& keys, wire::Address to, wire::Suite suite,
                         const fib::PathKey& via, wire::Verb verb, Bytes payload, Effects& out);
  bool reply(Now now, const Incoming& to, wire::Verb verb, Bytes payload, Effects& out);

  /// A HELLO whose size is asked about.
  struct Padding {
    std::uint16_t size = 0;     // bytes of the datagram; 0: as it is, and routers may fragment it
    std::uint64_t context = 0;  // of the expected answer; 0: this one measures nothing
  };

  void hello(Now now, Peer& peer, const fib::PathKey& via, Effects& out, Padding padding);

  void hello(Now now, Peer& peer, const fib::PathKey& via, Effects& out) {
    hello(now, peer, via, out, {});
  }

  [[nodiscard]] bool wants_extended_hello(const Peer& peer) const;
  void echo(Now now, Peer& peer, const fib::PathKey& via, Effects& out);
  /// One ECHO over exactly this path, which may be a relay's; `answer_at` and `context` as of the
  /// expectation. False: it could not be sent.
  bool echo(Now now, Peer& peer, const fib::PathKey& via, const fib::PathKey& answer_at,
            std::uint64_t context, Effects& out, Bytes payload = {});
  /// A HELLO or ECHO went over this path.
  void note_probe(Now now, Peer& peer, const fib::PathKey& via);
  /// Probes an address: ECHO where possible and `full` is not asked, else HELLO; socket 0: from all
  /// sockets.
  void contact(Now now, Peer& peer, const fib::PathKey& via, bool full, Effects& out);
  /// Drops paths that begin at local sockets which are gone. Whoever was reached by one hears from
  /// those that are there, so that he does not go on sending to where we were.
  void leave_lost_sockets(Now now, Effects& out);
  bool emit(Now now, const fib::PathKey& via, ByteVector payload, Effects& out,
            std::uint8_t ttl = 0, bool always = false);
  /// `stranger`: because of a packet that nobody can vouch for; has a smaller share of table and
  /// rate.
  void request_identity(Now now, wire::Address address, bool stranger, Effects& out);
  void ask_whois(Now now, wire::Address address, Lookup& lookup, Effects& out);
  void send_whois(Now now, Peer& root, wire::Address address, Effects& out);
  void retry_sends(Now now, Effects& out);
  [[nodiscard]] std::vector<fib::PathKey> copies(const fib::PathKey& via) const;
  [[nodiscard]] const PhysicalNetwork* physical(const wire::Endpoint& remote) const;
  [[nodiscard]] std::uint64_t trusted_id_of(const wire::Endpoint& remote) const;
  /// What may become a path of the peer, and why not.
  [[nodiscard]] CandidateVerdict judge_path(const Peer& peer, const wire::Endpoint& remote) const;

  [[nodiscard]] bool path_allowed(const Peer& peer, const wire::Endpoint& remote) const {
    return judge_path(peer, remote) == CandidateVerdict::kProbed;
  }

  void publish(Now now, Peer& peer, Effects& out);
  /// A frame from or to this peer came to control: tells, now and then, that a worker should have
  /// it.
  void in_use(Now now, Peer& peer, Effects& out);
  /// For what we say to whoever has asked, proven or not; schedules are there if it needs them.
  [[nodiscard]] wire::Suite suite_of_answer(Peer& peer);
  /// Has the peer's AES schedules made, if need be in place of those used longest ago.
  void expand(Peer& peer);

  // --- path_probes.cc
  // -----------------------------------------------------------------------------------
  [[nodiscard]] SizeLimits size_limits(const fib::PathKey& key) const;
  /// The largest datagram that packets are cut to on this route, bytes.
  [[nodiscard]] std::uint16_t datagram_size(const Route& route) const;
  /// A packet of full size goes to this peer: what its path carries is worth knowing. Other packets
  /// than frames are rare, and a reason to find it out, but not to watch it.
  void full_size(Now now, Peer& peer, bool frame);
  /// What is due: probes, and what follows from those that were lost.
  void probe_sizes(Now now, Effects& out);
  /// The answer to a probe; `context` as its expectation has it.
  void size_answered(Now now, const Incoming& in, std::uint64_t context, Effects& out);

  // --- path_watching.cc
  // ---------------------------------------------------------------------------------
  /// A frame went to or came from this peer, by a worker or by us: its paths are watched.
  void frame_passed(Now now, Peer& peer);
  /// Something authentic came over a path of the peer, or by a relay.
  void heard_directly(Now now, Peer& peer, PeerPath& entry);
  void heard_relayed(Now now, Peer& peer);
  /// The same over another port of a host that we know: the one that we know may be gone.
  void heard_from_port(Now now, Peer& peer, const fib::PathKey& via);
  /// A path is new and confirmed: whoever waits for one need not any more.
  void path_learned(Now now, Peer& peer, const fib::PathKey& via, Effects& out);
  /// A probe of this path, sent at `sent`, was answered.
  void path_answered(Now now, Peer& peer, const fib::PathKey& via, Millis sent, Effects& out);
  void watch_paths(Now now, Effects& out);
  void watch_peer(Now now, Peer& peer, Effects& out);
  /// Frames to this peer go through a root: it is in use, too, and must let them pass. True:
  /// another root relays from now on.
  bool watch_relay(Now now, Peer& peer, Effects& out);
  /// Has watch_paths() look at the peer then, and not before; kNever: not at all.
  void look_at(Peer& peer, Millis at);
  /// Then or sooner.
  void look_soon(Peer& peer, Millis at);
  void unwatch(Peer& peer);
  /// The way to this peer is another one, so is that to all that are reached through it.
  void route_changed(Now now, Peer& peer, Effects& out);
  /// Keeps the mappings of NATs on the way to a root, which others need to reach us through it, and
  /// notices that it is gone.
  void keep_root_open(Now now, Peer& root, Effects& out);

  // --- bonding.cc
  // -------------------------------------------------------------------------------------
  /// What the operator wants of several links to this peer; null: nothing.
  [[nodiscard]] const BondSettings* bond_of(const Peer& peer) const;
  [[nodiscard]] std::string interface_of(fib::LocalSocket socket) const;

  /// A path as a link of a bond. Those of one name are one link.
  struct Link {
    const PeerPath* entry;
    std::string name;
    bool usable;
  };

  [[nodiscard]] std::vector<Link> links_of(Now now, const Peer& peer) const;
  /// Tells the choice of paths what the bond wants. REQUIRES: it has one.
  void apply_bond(Peer& peer) const;
  /// Renews the set of paths that share the peer's frames.
  void share(Now now, Peer& peer) const;
  bool rotate(Now now, Peer& peer, Effects& out);
  [[nodiscard]] std::optional<BondStatus> bond_status(Now now, const Peer& peer) const;

  // --- introductions.cc
  // -------------------------------------------------------------------------------------
  /// What is due of all that follows introductions.
  void follow_introductions(Now now, Effects& out);
  /// The question will be asked once more unless the peer is found.
  void ask_again_later(Now now, const Peer& peer, const fib::PathKey& told);
  void ask_again(Now now, Effects& out);
  /// A root has told where a peer is reached, and the usual probes are under way.
  void predict_later(Now now, Peer& peer, const fib::PathKey& told, Effects& out);
  /// Bursts that are due.
  void predict(Now now, Effects& out);

  // --- keepalive.cc
  // -------------------------------------------------------------------------------------
  void start(Now now, Effects& out);
  void tick(Now now, Effects& out);
  /// Takes all keys from the workers: their packet ids may have reached the mark on disk.
  void withhold(Now now, Effects& out);
  void ping_check(Now now, Effects& out);
  /// Keeps the peer's paths open; which families were written to: 4, 6 as bits 0, 1.
  unsigned ping(Now now, Peer& peer, Effects& out);
  void housekeeping(Now now);
  /// What ping_check() and housekeeping() have begun for all peers and paths.
  void walk_peers(Now now, Effects& out);
  void forget(Now now, Peer& peer, Effects& out);
  /// Asks for the peer's record to be kept, unless it is the one on disk. True if it asked.
  bool save_peer(Now now, Peer& peer, Effects& out);
  /// The same for a peer that is about to go; it can then be loaded again.
  void save_and_cache(Now now, Peer& peer, Effects& out);

  /// What peers.d says of an address.
  struct CachedPeer {
    struct Reached {
      wire::Endpoint endpoint;
      std::uint16_t datagram = 0;  // bytes that it carried; 0: not known
    };

    wire::Identity identity;
    std::vector<Reached> endpoints;
  };

  /// The content of a peer's file. Equal peers have equal records, whatever the order of their
  /// paths.
  [[nodiscard]] ByteVector record_of(const Peer& peer) const;
  /// What probes say that this path of the peer carries, bytes of datagram; 0: nothing.
  [[nodiscard]] std::uint16_t known_size(const Peer& peer, const wire::Endpoint& endpoint) const;
  [[nodiscard]] static std::optional<CachedPeer> parse_cached(Bytes record, wire::Address address);
  [[nodiscard]] std::optional<CachedPeer> read_cached(wire::Address address) const;
  /// A path is confirmed of which the disk may know what it carries.
  void recall_size(const Peer& peer, const fib::PathKey& path);
  /// A peer from the cache with its secret, not in the table yet; null when there is no sound one.
  /// Costs a key agreement: gate it where a stranger can ask for it.
  std::unique_ptr<Peer> cached_candidate(Now now, wire::Address address, Effects& out);
  /// Into the table; one that nobody has proven yet has its work checked.
  Peer* adopt(Now now, std::unique_ptr<Peer> candidate, Effects& out);
  /// For our own needs: a peer from the cache, tried at all its endpoints.
  Peer* load_cached(Now now, wire::Address address, Effects& out);
  /// Established at once is who a world names or whose key is pinned: it was proven before.
  [[nodiscard]] Peer::Standing standing_of(const wire::Identity& identity) const;
  /// What must be told and kept when a peer goes.
  void leave(Peer& peer, Effects& out);
  Peer* add_peer(Now now, const wire::Identity& identity, Peer::Standing standing, Effects& out);
  Peer* add_peer(Now now, std::unique_ptr<Peer> peer, Effects& out);
  /// The secret that we share with the holder of this key; false: the key is of no use.
  [[nodiscard]] bool agree(const wire::PublicKey& theirs, crypto::SharedSecret& out) const;

  // --- node_view.cc
  // --------------------------------------------------------------------------------------
  [[nodiscard]] PathStatus status_of(Now now, const PeerPath& entry) const;
  [[nodiscard]] PeerStatus status_of(Now now, const Peer& peer) const;
  void ping_answered(Now now, const Incoming& in, std::uint64_t sequence);

  // --- shared
  // -------------------------------------------------------------------------------------------
  [[nodiscard]] SipKey fresh_key();
  [[nodiscard]] std::uint64_t random_u64();

  void count(Count reason) { counters.add(reason); }

  void notice(Now now, Notice::Level level, std::string text, Effects& out);

  Node& node;
  NodeOptions options;
  NetworkRole* networks = nullptr;
  ControllerRole* controller = nullptr;
  NodeCounters counters;
  VerbCounts verbs_received, verbs_sent;

  Paths paths;
  PathSizes sizes;
  Topology topology;
  Worlds worlds;
  Replies replies;
  Surface surface;
  ProbeGate probes;
  Introductions introductions;
  StrangerGate strangers;
  PathGate echoes;          // answered
  PathGate unknown_probes;  // sent to paths that are not known yet
  SeenSet seen;
  Nonces nonces;
  std::unique_ptr<crypto::Armorer> own_armorer;  // null: it was given one
  crypto::Armorer& armorer;
  KeyPool schedules;
  wire::Reassembler reassembler;           // of fragments over paths that peers use
  wire::Reassembler stranger_reassembler;  // of all others: a flood leaves the first alone
  WaitingRoom<WaitingSend> sends;
  WaitingRoom<WaitingReceive> receives;
  std::unordered_map<wire::Address, Lookup, KeyedHash> lookups;
  std::unordered_map<wire::Address, wire::Identity, KeyedHash>
      unproven;  // identities that are no peers yet, being checked
  std::unordered_map<wire::Address, ByteVector, KeyedHash> cache;  // peers on disk, not loaded
  std::map<wire::Address, Fingerprint> pins;
  Alarms alarms;
  std::uint64_t logged_keys = 0;                      // lines of identity.log since the start
  std::map<wire::Address, RootAnswers> root_answers;  // of upstreams alone
  std::vector<LocalEndpoint> locals;
  std::vector<wire::Endpoint> mapped;                  // see Node::on_port_mappings
  std::set<std::pair<Millis, wire::Address>> watched;  // peers by Steering::due
  TokenBucket whois_budget{200, 100};                  // WHOIS sent for our own sake, whole node
  TokenBucket stranger_whois_budget{100, 50};          // and because of strangers
  TokenBucket waiting_budget{128, 100};  // packets kept of senders without proof, whole node
  TokenBucket introduce_budget{256, 512};
  TokenBucket idle_checks{32, 16};      // proofs of those who have answered nothing yet
  TokenBucket size_budget{256, 64};     // probes of paths' sizes, whole node
  TokenBucket watch_budget{512, 2000};  // of paths that are watched: some percent of a core
  TokenBucket ping_budget{10, 10};      // of operators
  TokenBucket notice_budget{20, 1};
  TokenBucket refusal_log_budget{20, 1};  // lines of identity.log that strangers can cause
  TokenBucket collision_budget{10, 1};
  std::deque<wire::Address> provisional;  // in order of arrival; some may be established or gone
  std::deque<wire::Address> to_check;     // see check_work(); some may be established or gone
  static constexpr std::size_t kMostPings = 64;
  std::deque<std::pair<wire::Address, PingStatus>> pings;  // the last ones
  unsigned ping_sequence = 0;
  std::size_t checking = 0;             // proofs of work of strangers under way
  bool withheld = false;                // workers have no keys, see withhold()
  bool accepted = false;                // a root has accepted our identity
  std::set<wire::Address> collided_by;  // roots that know our address with another key
  Millis collided_at = 0;               // mono; when the first of them said so
  bool started = false;
  Millis started_at = 0;   // mono
  Millis last_global = 0;  // mono; something authentic came by UDP from the Internet; 0: never
  bool relaying = false;   // as published
  std::vector<Notice> pending_notices;  // of the constructor

  // What goes to the unconfirmed path of the packet in hand may have three times its bytes.
  struct Budget {
    fib::PathKey path;      // nil: no limit
    std::int64_t left = 0;  // bytes, IP and UDP headers counted
  } budget;

  void limit_answer(const fib::PathKey& via, std::size_t wire_size);

  /// Whether an authenticated packet was handled before; it is from now on.
  [[nodiscard]] bool seen_before(std::uint64_t id, wire::Address source) {
    // Ids are bytes of the wire to both planes.
    return options.seen != nullptr ? options.seen->insert(__builtin_bswap64(id), source)
                                   : seen.insert(id, source);
  }

  /// What one of ours said of itself.
  static void learn_features(Peer& peer, std::optional<std::uint32_t> features) {
    peer.features = features;
    if (!peer.has_timed_ids()) peer.window.reset();
  }

  /// What we say of ourselves.
  [[nodiscard]] std::uint32_t own_features() const {
    return kOwnFeatures | (options.port_prediction ? kFeaturePortPrediction : 0);
  }

  /// Where a root says a peer is; nobody may have answered there yet.
  struct Introduction {
    Millis due = 0;
    wire::Address peer;
    fib::PathKey told;
  };

  std::deque<Introduction> introduced;   // to ask again, in the order in which they are due
  std::deque<Introduction> predictions;  // for a burst, likewise
  TokenBucket prediction_budget{8, 1};   // bursts, whole node

  SipKey reassembly_key;  // of sources in the reassembler, and of paths in the set of ids

  [[nodiscard]] std::uint64_t path_hash(const fib::PathKey& via) const {
    return KeyedHash{reassembly_key}(via);
  }

  bool probe_answered = false;  // the packet in hand answers a probe of its path
  bool woke = false;            // an identity became known: run waiting packets again
  Millis retry_until = 0;  // not 0 while waiting packets are run again: the end of the one in hand

  std::set<wire::Address> contacted;  // whom ping_check() takes care of
  Walk ping_walk, housekeeping_walk, path_walk;
  std::size_t saves_left = 0;  // of this housekeeping

  Millis sizes_wait = 0;                                        // mono; no probes of sizes before
  Millis next_queue = 0, next_ping = 0, next_housekeeping = 0;  // mono; 0: at once
};

/// Bytes of IP and UDP header before a datagram to this endpoint.
[[nodiscard]] inline std::size_t outer_size(const wire::Endpoint& remote) {
  return remote.family == 6 ? 48 : 28;
}

}  // namespace orrery::control
