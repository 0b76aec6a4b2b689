// The facade of control: a complete ZeroTier node without sockets, threads, clocks or entropy of
// its own.
//
// Time, random bytes and datagrams come in; Effects go out; next_deadline() says when tick() wants
// to be called. Control can carry every packet to its end by itself; the workers are its
// accelerator: they finish what the published tables allow and punt the rest here
// (docs/architecture.md, "Two planes"). So the same Node serves the daemon, tests with both ends in
// hand, and simulations without any worker.
//
// Not thread-safe: one thread calls it. Every input may append to every kind of effect.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/siphash.h"
#include "control/alarms.h"
#include "control/bond.h"
#include "control/candidates.h"
#include "control/effects.h"
#include "control/path_choice.h"
#include "control/roles.h"
#include "control/round_trips.h"
#include "control/verb_counts.h"
#include "fib/event.h"
#include "fib/seen.h"

namespace orrery::crypto {
class Armorer;
}

namespace orrery::control {

/// Sizes of every table a stranger can touch; all fixed at construction.
struct Limits {
  std::size_t peers = 65536;
  std::size_t paths = 131072;
  std::size_t reassembly = 4096;  // packets in flight
  std::size_t reassembly_bytes = 32u << 20;
  std::size_t waiting = 1024;    // packets waiting for an identity or credentials
  std::size_t outgoing = 1024;   // packets waiting for an identity or a path
  std::size_t requests = 8192;   // outstanding request ids
  std::size_t seen = 65536;      // ids of handled packets, against replay
  std::size_t schedules = 4096;  // peers whose AES schedules are held, 1.5 KB each
  std::size_t prefixes = 16384;  // buckets of strangers' HELLOs, 40 bytes each
  std::size_t echoes = 4096;     // paths of strangers whose ECHO was answered, or that were probed
  std::size_t introductions = 65536;  // pairs that a root remembers
  /// Key agreements with strangers a second, some 50 us each.
  unsigned strangers = 5'000;
  /// Changed records of peers that are kept every half minute. Each is a file with two syncs of the
  /// disk where there is no peer store.
  std::size_t saves = 64;
};

/// What the bounded tables hold now; each is at most what Limits says of it.
struct TableSizes {
  std::size_t peers = 0;
  std::size_t paths = 0;
  std::size_t waiting = 0;
  std::size_t outgoing = 0;
  std::size_t lookups = 0;   // at most Limits::waiting
  std::size_t requests = 0;  // outstanding
  std::size_t pins = 0;      // at most Limits::peers, and those given at the start
};

/// A bound local address. `announced`: worth telling peers.
struct LocalEndpoint {
  fib::LocalSocket socket = 0;
  wire::Endpoint address;
  std::uint16_t mtu = 0;    // of its link, bytes of IP packet; 0: not known
  std::string interface{};  // empty: not known
};

/// An operator's word about physical networks (local.conf `physical`).
struct PhysicalNetwork {
  wire::Endpoint network;  // prefix length in the port field
  bool blacklist = false;
  std::uint64_t trusted_path_id = 0;  // 0: none
  std::uint16_t mtu = 0;  // bytes of datagram, to begin with and at most; 0: found out by probes
};

/// To whom HELLO goes in extended armor (crypto/extended_armor.h).
enum class ExtendedHello : std::uint8_t {
  kOff,
  kAble,    // who has said that he reads it
  kAlways,  // everybody: nodes of protocol 12 and less do not hear us
};

using Fingerprint = std::array<std::uint8_t, 48>;  // SHA-384 of address and key

struct NodeOptions {
  crypto::SecretIdentity identity;
  bool identity_accepted = false;  // a root has accepted it before (marker on disk)
  ByteVector planet{};             // empty: none
  std::vector<ByteVector> moons{};
  std::vector<PhysicalNetwork> physical{};
  std::vector<std::pair<wire::Address, wire::Endpoint>> hints{};     // endpoints to try for a peer
  std::vector<std::pair<wire::Address, ByteVector>> cached_peers{};  // peers.d files
  std::map<wire::Address, Fingerprint> pins{};
  bool strict = false;  // two roots must name the same key before it is believed
  std::vector<wire::Address> preferred_roots{};  // used while one of them is alive
  std::vector<wire::Address> excluded_roots{};   // never used, whatever a world says
  ExtendedHello extended_hello = ExtendedHello::kOff;
  std::uint64_t nonce_floor = 0;  // from nonce.state
  unsigned nonce_lane = 15;       // control's own lane
  bool low_bandwidth = false;
  BondOptions bonds{};
  bool port_prediction = false;  // guess at ports of NATs that count, with peers that do, too
  bool nested = false;           // addresses of joined networks may be paths
  Limits limits{};
  /// Fills with random bytes; cryptographic in the daemon, seeded in simulations.
  std::function<void(MutableBytes)> entropy{};
  /// Ids of handled packets, which workers enter too; outlives the node. Null: control's own.
  fib::SeenIds* seen = nullptr;
  /// Of this thread; outlives the node. Null: one of its own.
  crypto::Armorer* armorer = nullptr;
  /// In place of crypto::agree() with our private key: simulations remember what was agreed on.
  std::function<bool(const wire::PublicKey& theirs, crypto::SharedSecret& out)> agree{};
};

/// What the API and the command line show. Values, detached from the node.
struct PathStatus {
  fib::PathKey key;
  Millis last_in = 0, last_out = 0;  // mono; 0 never
  bool active = false, expired = false, preferred = false;
  enum class State : std::uint8_t {
    kWorks,     // answered, or was heard of late
    kDoubtful,  // does not answer of late
    kFailed,    // did not for so long that it carries nothing
    kSilent,    // nothing came for 19 s; nobody asked
    kUntested,  // our address changed; it has not answered since
    kExpired,
  } state = State::kWorks;
  int latency_ms = -1, jitter_ms = 0, loss_permille = 0;  // -1: not measured
  std::int64_t cost = 0;    // what the choice compares; lower is better
  unsigned unanswered = 0;  // probes since the last answer
  Millis last_answer = 0;   // mono; to a probe while it is watched; 0 never
  Millis trial_ms = 0;      // a failed path must answer for so long before it is used again
  std::uint64_t trusted_path_id = 0;
  std::string interface;       // that it leaves by; empty: not known
  bool bonded = false;         // carries frames as a link of a bond
  std::size_t flow_share = 0;  // of a bond's 64 buckets of flows
  std::uint16_t mtu = 0;       // largest datagram, bytes
  enum class Mtu : std::uint8_t { kAssumed, kSearching, kProbed } mtu_state = Mtu::kAssumed;
};

struct BondStatus {
  BondPolicy policy = BondPolicy::kNone;
  std::size_t links = 0;
  std::size_t alive = 0;
};

struct PeerStatus {
  wire::Identity identity;
  int version_major = -1, version_minor = -1, version_revision = -1, protocol = -1;
  int latency_ms = -1;
  enum class Role : std::uint8_t { kLeaf, kMoon, kPlanet } role = Role::kLeaf;
  wire::Suite suite = wire::Suite::kSalsaPoly;
  std::optional<std::uint32_t> features;  // feature bits of another Orrery; nothing for stock
  std::optional<BondStatus> bond;
  std::vector<PathStatus> paths;
  // Packets that control exchanged with it, and those in its name that were not authentic.
  std::uint64_t received = 0, sent = 0, refused = 0;
  std::optional<RoundTrips> round_trips;  // of answers to our probes
};

/// Why packets to a peer go where they go.
struct RouteStatus {
  enum class Kind : std::uint8_t {
    kNone,        // no way at all: packets wait
    kDirect,      // over the path that is preferred
    kRelayed,     // through a root, since no path works
    kLastResort,  // over a path that does not work, since no root is there either
  } kind = Kind::kNone;
  PeerStatus peer;
  fib::PathKey path;                   // the first hop
  wire::Address relay;                 // kRelayed
  bool in_use = false;                 // frames pass, so paths are watched
  Millis last_frame = 0;               // mono; 0 never
  std::optional<ChoiceReason> reason;  // kDirect: of the path; nothing while no frames pass
  Millis chosen_at = 0;                // mono
  std::vector<Candidate> candidates;   // addresses that are no paths
};

/// An ECHO that an operator asked for.
struct PingStatus {
  unsigned sequence = 0;
  Millis sent = 0, answered = 0;  // mono; 0: not yet
  fib::PathKey path;              // the first hop, of the answer once it is there
  bool relayed = false;
};

struct MoonStatus {
  std::uint64_t id = 0;
  bool waiting = false;  // wanted, not yet received
  wire::Address seed;
  ByteVector world;  // serialised; empty while waiting
};

/// A root of a current world.
struct RootStatus {
  wire::Identity identity;
  std::vector<wire::Endpoint> endpoints;
  std::vector<std::uint64_t> worlds;  // ids of those that name it
  bool preferred = false;
  bool excluded = false;
  bool alive = false;
  int latency_ms = -1;
  // mono; of the last answer over a direct path, 0 never
  Millis answered_hello = 0;
  Millis answered_whois = 0;
};

struct NodeStatus {
  wire::Identity identity;
  bool online = false;
  std::uint64_t planet_id = 0;
  std::int64_t planet_timestamp = 0;
  std::vector<wire::Endpoint> surface;  // external addresses as peers see them
  std::vector<wire::Endpoint> mapped;   // those that routers let through to us
};

/// Content of identity.accepted: a root has accepted this very key, not just one of this home.
[[nodiscard]] ByteVector accepted_marker(const wire::Identity& self);

class Node final : public Transport {
 public:
  explicit Node(NodeOptions options);
  ~Node() override;

  /// Plug in before the first input. Both must outlive the node; null: no such role.
  void attach(NetworkRole* networks, ControllerRole* controller);

  // --- inputs
  // -------------------------------------------------------------------------------------------
  /// Any UDP datagram: the whole protocol, from fragments to frames.
  void on_datagram(Now now, const fib::PathKey& via, Bytes datagram, Effects& out);
  /// A whole packet as received, reassembled by a worker that does not know its sender.
  void on_packet(Now now, const fib::PathKey& via, Bytes packet, Effects& out);
  /// A packet that a worker authenticated, decrypted and inflated but does not carry further.
  /// `packet` is header and plaintext; `wire_size` what came in.
  void on_authenticated(Now now, const fib::PathKey& via, Bytes packet, std::size_t wire_size,
                        Effects& out);
  void on_frame(Now now, wire::NetworkId network, Bytes ethernet_frame, Effects& out);
  void on_event(Now now, const fib::Event& event, Effects& out);
  void on_identity_validated(Now now, const wire::Identity& identity, bool valid, Effects& out);
  /// The driver had no room for this proof of work. Nothing is known then: whoever waits for it
  /// asks again.
  void on_validation_refused(Now now, const wire::Identity& identity, Effects& out);
  /// A save that must come before what follows from the same input (kNonce) could not be done.
  /// False: packet ids of that input are not covered by what is on disk; its datagrams must not
  /// leave and its updates that give keys to workers must not be applied.
  [[nodiscard]] bool on_save_failed(Now now, const SaveState& save, Effects& out);
  /// The complete list of bound sockets, at start and whenever it changes.
  void on_local_endpoints(Now now, std::vector<LocalEndpoint> endpoints, Effects& out);
  /// Whether a TCP connection to a relay is worth having: nothing has come by UDP from the Internet
  /// for a minute, or, with one `open`, for half of one. It becomes a local socket of a number from
  /// kTunnelSocket on, without an address.
  [[nodiscard]] bool wants_tunnel(Now now, bool open) const;
  /// The complete list of endpoints at which routers of the host's networks let us be reached:
  /// named to peers beside our own addresses.
  void on_port_mappings(Now now, std::vector<wire::Endpoint> external);
  void tick(Now now, Effects& out);
  [[nodiscard]] Millis next_deadline() const;

  // --- operator
  // -----------------------------------------------------------------------------------------
  /// With a fingerprint the seed's key must have it: the moon that it offers is then as good as the
  /// operator's word, and the seed is pinned.
  void orbit(Now now, std::uint64_t moon, wire::Address seed,
             const std::optional<Fingerprint>& fingerprint, Effects& out);

  void orbit(Now now, std::uint64_t moon, wire::Address seed, Effects& out) {
    orbit(now, moon, seed, std::nullopt, out);
  }

  /// A moon from a file; false unless it is that moon, and new or a successor.
  bool add_moon(Now now, std::uint64_t moon, Bytes file, Effects& out);
  void deorbit(Now now, std::uint64_t moon, Effects& out);
  /// Asks the roots of a world (all: 0) for an answer to HELLO at each of their endpoints, and to
  /// WHOIS; root_status() then tells when it came. The number of roots asked.
  std::size_t check_roots(Now now, std::uint64_t world, Effects& out);

  /// Binds an address to a key by the operator's word, in place of what it was bound to. Who is
  /// known there by another key is forgotten.
  void pin(Now now, wire::Address address, const Fingerprint& fingerprint, Effects& out);
  /// The next key that is seen will be pinned; false: none was.
  bool unpin(Now now, wire::Address address, Effects& out);
  /// Valid until the next input.
  [[nodiscard]] const std::map<wire::Address, Fingerprint>& pins() const;
  [[nodiscard]] const Alarms& alarms() const;
  [[nodiscard]] std::vector<RootStatus> root_status(Now now) const;
  [[nodiscard]] bool strict() const;

  /// Everything worth keeping (peers with their paths) that is not on disk yet, for a clean exit.
  /// Housekeeping has kept most of it before.
  void save_all(Now now, Effects& out);

  [[nodiscard]] NodeStatus status(Now now) const;
  [[nodiscard]] std::vector<PeerStatus> peers(Now now) const;
  /// Nothing when the peer is unknown.
  [[nodiscard]] std::optional<RouteStatus> route_of(Now now, wire::Address address) const;
  /// Sends one ECHO the way that packets take now, and names it; at most ten a second. Nothing: the
  /// peer is unknown or there is no way, or too many were asked for.
  std::optional<unsigned> ping(Now now, wire::Address address, Effects& out);
  /// The next link of an active-backup bond carries. False: there is no such bond, or no other link
  /// that works.
  bool rotate_bond(Now now, wire::Address address, Effects& out);
  /// The last pings of a peer, oldest first.
  [[nodiscard]] std::vector<PingStatus> pings(wire::Address address) const;
  [[nodiscard]] std::vector<MoonStatus> moons() const;
  /// Packets in and handled, drops and rejections by reason since start: label and count.
  [[nodiscard]] std::vector<std::pair<const char*, std::uint64_t>> counters() const;
  /// What control received and sent, by verb.
  [[nodiscard]] const VerbCounts& received() const;
  [[nodiscard]] const VerbCounts& sent() const;
  [[nodiscard]] TableSizes table_sizes() const;

  // --- Transport
  // ----------------------------------------------------------------------------------------
  [[nodiscard]] const crypto::SecretIdentity& self() const override;
  void send(Now now, wire::Address to, wire::Verb verb, Bytes payload, const SendOptions& options,
            Effects& out) override;
  void reply(Now now, const Incoming& to, wire::Verb verb, Bytes payload, Effects& out) override;
  [[nodiscard]] const wire::Identity* identity_of(wire::Address address) const override;
  [[nodiscard]] std::optional<std::array<std::uint8_t, 16>> authenticate(
      wire::Address peer, Bytes message) const override;
  void request_identity(Now now, wire::Address address, Effects& out) override;
  [[nodiscard]] std::vector<wire::Address> roots() const override;
  [[nodiscard]] wire::Address best_root(Now now) const override;
  [[nodiscard]] bool is_root(wire::Address address) const override;
  [[nodiscard]] bool self_is_root() const override;
  [[nodiscard]] int direct_latency(Now now, wire::Address address) const override;
  [[nodiscard]] bool path_confirmed(const Incoming& in) const override;
  void random(MutableBytes out) override;
  [[nodiscard]] std::uint64_t random_u64() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::control
