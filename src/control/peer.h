// A peer: another node whose identity we know, the secret shared with it, and its paths.
//
// A peer made from a stranger's HELLO is provisional until its proof of work has been checked off
// the packet path: it is answered and may be talked to, but it is not named in WHOIS answers,
// introduced, or published. Source: docs/protocol/04-paths-and-roots.md sections 1, 5, 7;
// docs/protocol/01-identity.md section 3.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "control/candidates.h"
#include "control/features.h"
#include "control/path.h"
#include "control/path_choice.h"
#include "control/path_watch.h"
#include "control/round_trips.h"
#include "control/token_bucket.h"
#include "crypto/peer_keys.h"
#include "fib/records.h"

namespace orrery::control {

inline constexpr std::size_t kMaxPathsPerPeer = 64;
inline constexpr std::size_t kMaxPathsOfStranger = 4;  // until its proof of work was checked
inline constexpr Millis kPeerTimeout =
    500'000;  // silent longer: inactive, and removed unless it is a root

/// One of a peer's ways to be reached directly.
struct PeerPath {
  Path* path = nullptr;
  Millis last_authenticated =
      0;             // mono; last authenticated direct packet of this peer; 0: must answer first
  int priority = 1;  // higher after redirects
  std::unique_ptr<PathWatch> watch;  // of a peer that exchanged frames with us, or of a root

  [[nodiscard]] bool unexpired(Millis now) const {
    return last_authenticated != 0 && now - last_authenticated < kPathExpire;
  }

  /// mono; when it last came from the peer, as far as that can be known; 0: never. What is relayed
  /// is not opened here, so any datagram counts; but not for long without an authentic one, since
  /// others share the path, or have had its endpoint since the peer left. Who keeps a path shows
  /// himself every 25 s.
  [[nodiscard]] Millis last_in() const {
    return last_authenticated == 0 ? 0 : std::min(path->last_in, last_authenticated + kOthersKeep);
  }

  [[nodiscard]] bool alive(Millis now) const {
    return last_in() != 0 && now - last_in() < kPathAlive;
  }

  /// Lower is better.
  [[nodiscard]] std::int64_t quality(Millis now) const {
    return path->quality(now, last_in()) / std::max(priority, 1);
  }

  [[nodiscard]] bool failed() const { return watch != nullptr && watch->failed(); }

  /// Whether frames may be sent over it.
  [[nodiscard]] bool usable(Millis now) const { return unexpired(now) && !failed(); }

  /// Probes that found no answer since the last one.
  [[nodiscard]] unsigned doubt() const { return watch == nullptr ? 0 : watch->unanswered(); }
};

/// What control exchanged with a peer; workers count what they carry.
struct PeerCounts {
  std::uint64_t received = 0;  // packets
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;                // packets in its name that were not authentic
  std::unique_ptr<RoundTrips> round_trips;  // of answers to our probes; null: none yet
};

struct Peer {
  enum class Standing : std::uint8_t {
    kProvisional,  // MAC verified, proof of work not yet
    kChecking,     // proof of work is being checked
    kEstablished,  // checked, or named by a world, or loaded from our own disk
  };

  Peer(const wire::Identity& id, const crypto::SharedSecret& secret) : identity(id), keys(secret) {}

  wire::Identity identity;
  crypto::PeerKeys keys;
  Standing standing = Standing::kEstablished;

  // Announced in HELLO or OK(HELLO); protocol 0: not yet.
  int protocol = 0;
  int version_major = -1, version_minor = -1, version_revision = -1;

  std::optional<std::uint32_t> features;      // of one of ours
  std::shared_ptr<fib::ReplayWindow> window;  // of its ids, while its features allow it

  // mono; 0 never
  Millis created = 0;
  Millis last_receive = 0;
  Millis last_nontrivial = 0;
  Millis last_full_hello = 0;
  Millis last_push_sent = 0;
  Millis last_push_received = 0;
  Millis last_trust = 0;
  Millis last_stale_hello = 0;  // last answer to a HELLO with an old time
  std::int64_t stale_time = 0;  // its time field, believed when its path answers a probe
  fib::PathKey stale_path;
  Millis last_hint = 0;
  Millis predicted = 0;             // mono; last burst of port prediction
  Millis relay_checked = 0;         // mono; last probe by relay
  Millis relay_answered = 0;        // mono; last answer to one
  unsigned relay_missed = 0;        // probes in a row without an answer
  wire::Address relay;              // the root that has its turn; zero: the best one
  FixedBucket<64, 32> whois;        // answers of a root to this peer
  FixedBucket<16, 8> equal_hellos;  // answers to HELLOs of the same time as the newest
  FixedBucket<32, 32> echoes;       // answers over paths that are not known yet
  FixedBucket<8, 1> introduced;     // probes of it on the word of roots
  FixedBucket<64, 16> waits;        // packets of it that are kept until something is known
  PeerCounts counts;
  Millis last_whois = 0;        // mono; last answer of a leaf
  std::int64_t hello_time = 0;  // newest time field of a HELLO, sender's clock
  unsigned pushes = 0;          // PUSH_DIRECT_PATHS without 30 s of silence
  Millis probe_window = 0;      // start of the minute in which `probes` counts
  unsigned probes = 0;          // addresses probed on this peer's word

  std::vector<PeerPath> paths;         // at most kMaxPathsPerPeer
  std::unique_ptr<Steering> steering;  // since frames were exchanged, or of a root
  Candidates candidates;               // addresses that somebody named

  bool shared = false;          // as published: several paths share its frames
  std::uint64_t published = 0;  // digest of what the workers hold; 0: nothing
  std::uint64_t on_disk = 0;    // hash of the record last given out to be kept; 0: none
  Millis saved_at = 0;          // mono; when it was
  bool loaded = false;          // its identity comes from a file on disk
  bool pinned = false;          // its key is on record for its address
  bool awaits_check = false;    // stands among those whose proof of work waits for room
  bool sends_echo = false;      // has sent ECHO
  ByteVector from_cache;        // its record on disk; at a root until it is heard and established
  bool traffic = false;         // something authenticated was exchanged: worth publishing
  Millis last_in_use = 0;       // mono; when the publisher was told that it is in use

  [[nodiscard]] wire::Address address() const { return identity.address; }

  [[nodiscard]] bool established() const { return standing == Standing::kEstablished; }

  [[nodiscard]] bool alive(Millis now) const {
    return last_receive != 0 && now - last_receive < kPeerTimeout;
  }

  [[nodiscard]] bool active(Millis now) const {
    return last_nontrivial != 0 && now - last_nontrivial < kPeerTimeout;
  }

  [[nodiscard]] bool trusted(Millis now) const {
    return last_trust != 0 && now - last_trust < kTrustTimeout;
  }

  [[nodiscard]] wire::Suite suite() const {
    return protocol >= wire::kProtocolAesMin ? wire::Suite::kAesGmacSiv : wire::Suite::kSalsaPoly;
  }

  [[nodiscard]] bool has_timed_ids() const {
    return (features.value_or(0) & kFeatureTimedIds) != 0 && suite() == wire::Suite::kAesGmacSiv;
  }

  /// Software 1.1.0 answers ECHO wrongly; older protocols do not know it.
  [[nodiscard]] bool knows_echo() const {
    return protocol >= 5 && !(version_major == 1 && version_minor == 1 && version_revision == 0);
  }

  /// Its paths can be asked by ECHO: also of somebody who has not told his version yet, as after
  /// our restart, and asks ours.
  [[nodiscard]] bool answers_echo() const { return knows_echo() || (protocol == 0 && sends_echo); }

  /// The entry that frames take; null if none is usable. With `include_expired` the most promising
  /// one of all. By quality and priority, the later one on ties, unless there is a choice.
  [[nodiscard]] PeerPath* best(Millis now, bool include_expired);
  [[nodiscard]] const PeerPath* best(Millis now, bool include_expired) const;
  /// The entry of exactly this path, or null.
  [[nodiscard]] PeerPath* entry_of(const fib::PathKey& key);
  /// Whether a confirmed path leads to the host and socket of `key`; the port may differ while the
  /// path is alive.
  [[nodiscard]] bool confirmed(const fib::PathKey& key, Millis now) const;
  /// The entry chosen before, while it is usable and nothing speaks against it.
  [[nodiscard]] const PeerPath* chosen(Millis now) const;
  /// Whether packets over another port of the same host and socket say no more than we know: only
  /// one port of a host is kept while it answers. Of one of ours each is, since it has one port: a
  /// second one is what its NAT gave it.
  [[nodiscard]] bool keeps_port(const PeerPath& entry, const fib::PathKey& via, Millis now) const;
  /// Thinks over which path is to carry frames. True if it is another one.
  bool reconsider(Millis now);
  /// Puts a confirmed path in place: over a dead one of the same host, a free one, or the longest
  /// silent one.
  void learn(Path* path, Millis now);
  void drop_path(std::size_t index);
  void drop_all_paths();
  /// Latency of the best unexpired path in ms; kLatencyUnknown if none.
  [[nodiscard]] int latency(Millis now) const;
  /// As a relay: lower is better.
  [[nodiscard]] std::int64_t relay_quality(Millis now) const;
};

}  // namespace orrery::control
