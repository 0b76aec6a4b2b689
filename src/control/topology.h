// Who is known: peers by address, the upstreams among them, and the waiting rooms of packets whose
// other end is not known yet.
//
// All tables have fixed sizes under keyed hashes. A full peer table evicts the longest silent peer
// that is no root and not trusted, provisional ones first; a full waiting room drops its oldest
// packet. Source: docs/protocol/04-paths-and-roots.md sections 1, 3;
// docs/protocol/05-planet-and-moons.md section 5.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <unordered_map>

#include "control/incoming.h"
#include "control/peer.h"
#include "control/transport.h"

namespace orrery::control {

inline constexpr Millis kQueueRetry =
    500;  // rescan of queues, and least time between WHOIS for one address
inline constexpr Millis kQueueLifetime = 5'000;

/// One root of a current world, with the endpoints given for it in all of them.
struct Upstream {
  wire::Identity identity;
  std::vector<wire::Endpoint> endpoints;
  bool anywhere = false;   // a world lists it without any endpoint: every address is acceptable
  bool planet = false;     // named by the planet; else by moons only
  bool preferred = false;  // by the operator: others are used while none of these is alive
};

class Topology {
 public:
  Topology(std::size_t max_peers, SipKey key) : max_peers_(max_peers), peers_(16, KeyedHash{key}) {}

  /// Null when unknown. Pointers stay valid until remove().
  [[nodiscard]] Peer* find(wire::Address address);
  [[nodiscard]] const Peer* find(wire::Address address) const;
  /// Adds a peer; null when the table is full of peers that must stay. `evicted` is called with a
  /// peer before it goes.
  template <typename Evicted>
  Peer* add(std::unique_ptr<Peer> peer, Millis now, Evicted evicted);
  void remove(wire::Address address);

  [[nodiscard]] std::size_t size() const { return peers_.size(); }

  [[nodiscard]] std::size_t provisional() const { return provisional_; }

  void count_provisional(int change) { provisional_ += static_cast<std::size_t>(change); }

  template <typename Each>
  void for_each(Each each) {
    for (auto& [address, peer] : peers_) each(*peer);
  }

  /// Calls `each` for some peers, about `most`, that are beside each other in the table, beginning
  /// at `place` (0: the first); returns where to go on, or 0 at the end. While the table grows some
  /// may be met twice and others not at all. REQUIRES: `each` neither adds nor removes peers.
  template <typename Each>
  std::size_t for_some(std::size_t place, std::size_t most, Each each) {
    const std::size_t end = std::min(peers_.bucket_count(), place + 4 * most);
    for (std::size_t met = 0; place < end && met < most; ++place) {
      for (auto it = peers_.begin(place); it != peers_.end(place); ++it, ++met) each(*it->second);
    }
    return place < peers_.bucket_count() ? place : 0;
  }

  template <typename Each>
  void for_each(Each each) const {
    for (const auto& [address, peer] : peers_) each(std::as_const(*peer));
  }

  void set_upstreams(std::vector<Upstream> upstreams, bool self_is_root) {
    upstreams_ = std::move(upstreams);
    self_is_root_ = self_is_root;
  }

  /// Ascending by address; without ourselves.
  [[nodiscard]] const std::vector<Upstream>& upstreams() const { return upstreams_; }

  [[nodiscard]] bool self_is_root() const { return self_is_root_; }

  [[nodiscard]] const Upstream* upstream(wire::Address address) const;
  /// Whether the peer is a root: by its whole identity, not by its address.
  [[nodiscard]] bool is_upstream(const Peer& peer) const;
  /// The best root; null without any.
  [[nodiscard]] Peer* best_root(Millis now);
  /// The root to relay through to `peer`: the one that has its turn, or the best; null when none
  /// can be reached.
  [[nodiscard]] Peer* relay_to(Millis now, const Peer& peer);
  /// From now on the next root is the relay to `peer`.
  void turn_relay(Millis now, Peer& peer);
  /// How many roots relay_to() has to choose from.
  [[nodiscard]] std::size_t relays(Millis now, const Peer& peer);

 private:
  static constexpr std::size_t kMostRelays = 16;  // a planet and three moons; the rest has no turn

  struct Relay {
    std::int64_t quality = 0;
    Peer* root = nullptr;
  };

  using Relays = std::array<Relay, kMostRelays>;

  /// Roots over which the peer may be reached, best first; returns how many.
  std::size_t find_relays(Millis now, const Peer& peer, Relays& relays);
  /// The peer that is missed least, or null.
  [[nodiscard]] Peer* least_missed(Millis now);

  std::size_t max_peers_;
  std::size_t provisional_ = 0;
  std::unordered_map<wire::Address, std::unique_ptr<Peer>, KeyedHash> peers_;
  std::vector<Upstream> upstreams_;
  bool self_is_root_ = false;
};

/// A packet of ours that waits for an identity or a path; plaintext.
struct WaitingSend {
  wire::Address to;
  wire::Verb verb = wire::Verb::kNop;
  ByteVector payload;
  SendOptions options;
  Millis until = 0;  // mono
};

/// A received packet that waits for its sender's identity, or for its handler to be content.
struct WaitingReceive {
  fib::PathKey via;
  ByteVector packet;  // as received, or header and plaintext
  bool authenticated = false;
  std::size_t wire_size = 0;
  wire::Address from;
  Millis until = 0;  // mono
};

/// A bounded queue in order of arrival; when it is full the oldest goes.
template <typename Item>
class WaitingRoom {
 public:
  explicit WaitingRoom(std::size_t limit) : limit_(limit) {}

  /// False if an older item had to go.
  bool add(Item item) {
    const bool room = items_.size() < limit_;
    if (!room && !items_.empty()) items_.pop_front();
    if (limit_ != 0) items_.push_back(std::move(item));
    return room;
  }

  /// All of them; the room is empty afterwards. Whoever takes them puts back what must go on
  /// waiting.
  std::deque<Item> take() { return std::exchange(items_, {}); }

  void put_back(Item item) {
    if (items_.size() < limit_) items_.push_back(std::move(item));
  }

  [[nodiscard]] bool empty() const { return items_.empty(); }

  [[nodiscard]] std::size_t size() const { return items_.size(); }

  [[nodiscard]] const std::deque<Item>& items() const { return items_; }

 private:
  std::size_t limit_;
  std::deque<Item> items_;
};

template <typename Evicted>
Peer* Topology::add(std::unique_ptr<Peer> peer, Millis now, Evicted evicted) {
  if (peers_.size() >= max_peers_) {
    Peer* least = least_missed(now);
    if (least == nullptr) return nullptr;
    evicted(*least);
    remove(least->address());
  }
  const wire::Address address = peer->address();
  if (!peer->established()) ++provisional_;
  std::unique_ptr<Peer>& slot = peers_[address];
  slot = std::move(peer);
  return slot.get();
}

}  // namespace orrery::control
