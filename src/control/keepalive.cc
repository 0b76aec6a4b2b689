// What happens without a packet: keep-alive, expiry, the peer cache on disk.
// Source: docs/protocol/04-paths-and-roots.md sections 1, 14, 18.
#include <algorithm>
#include <set>

#include "control/node_state.h"

namespace orrery::control {

namespace {

constexpr Millis kPingCheck = 5'000;
constexpr Millis kHousekeeping = 30'000;
constexpr Millis kSaveAgain = 24 * 3'600'000;
constexpr Millis kHeartbeat = 14'000;
constexpr Millis kFullHello = 60'000;
constexpr Millis kRootHello = 16 * kHeartbeat;  // a root that has paths is left alone this long
constexpr Millis kOtherHello = 2 * kHeartbeat;  // so is an always-contact node that is no root
constexpr Millis kProvisionalTimeout = 60'000;  // a stranger that did not answer our probe
constexpr std::uint8_t kPeerFileVersion = 2;
constexpr std::uint16_t kSizesRecord = 0x4f53;

bool due(Millis now, Millis last, Millis interval) {
  return last == 0 || now - last >= interval;
}

}  // namespace

void Node::State::withhold(Now now, Effects& out) {
  if (withheld) return;
  withheld = true;
  topology.for_each([&](Peer& peer) {
    if (peer.published == 0) return;
    out.updates.push_back(fib::RemovePeer{peer.address()});
    peer.published = 0;
    peer.shared = false;
  });
  notice(now, Notice::Level::kAlarm,
         "the mark of packet ids cannot be saved: nothing is sent until it can", out);
}

void Node::State::tick(Now now, Effects& out) {
  if (!nonces.keep_ahead(now, out)) {
    withhold(now, out);
  } else if (withheld) {
    withheld = false;
    next_ping = now.mono;  // which publishes the peers again
  }
  if (next_queue != 0 && now.mono >= next_queue) {
    next_queue = 0;
    for (auto it = lookups.begin(); it != lookups.end();) {
      auto& [address, lookup] = *it;
      if (now.mono >= lookup.until || topology.find(address) != nullptr) {
        it = lookups.erase(it);
        continue;
      }
      if (due(now.mono, lookup.asked, kQueueRetry)) ask_whois(now, address, lookup, out);
      ++it;
    }
    retry_sends(now, out);
    retry_waiting(now, out);
    if (!sends.empty() || !receives.empty() || !lookups.empty())
      next_queue = now.mono + kQueueRetry;
  }
  follow_introductions(now, out);
  if (now.mono >= sizes_wait) probe_sizes(now, out);
  watch_paths(now, out);
  if (now.mono >= next_ping) {
    next_ping = now.mono + kPingCheck * (options.low_bandwidth ? 5 : 1);
    give_way(now, out);
    ping_check(now, out);
  }
  if (now.mono >= next_housekeeping) {
    next_housekeeping = now.mono + kHousekeeping;
    housekeeping(now);
  }
  walk_peers(now, out);
  if (networks != nullptr && now.mono >= networks->next_deadline()) networks->tick(now, out);
  if (controller != nullptr && now.mono >= controller->next_deadline()) controller->tick(now, out);
}

void Node::State::ping_check(Now now, Effects& out) {
  std::map<wire::Address, const Upstream*> wanted;
  for (const Upstream& root : topology.upstreams()) wanted[root.identity.address] = &root;
  for (const Worlds::Wish& wish : worlds.wishes()) wanted.try_emplace(wish.seed, nullptr);
  if (networks != nullptr) {
    for (const wire::Address address : networks->always_contact())
      wanted.try_emplace(address, nullptr);
  }
  wanted.erase(options.identity.address());

  for (const auto& [address, listed] : wanted) {
    Peer* peer = peer_of(now, address, out);
    if (peer == nullptr) {
      request_identity(now, address, false, out);
      continue;
    }
    Millis wait = listed != nullptr ? kRootHello : kOtherHello;
    const PeerPath* way = peer->best(now.mono, false);
    if (listed != nullptr && (way == nullptr || is_tunnel(way->path->key.socket))) wait = 0;
    if (wait != 0 && peer->last_full_hello != 0 && now.mono - peer->last_full_hello <= wait) {
      if (listed != nullptr) keep_root_open(now, *peer, out);
      continue;
    }
    unsigned sent = ping(now, *peer, out);
    if (listed != nullptr && listed->identity == peer->identity) {
      for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
        const unsigned bit = family == 4 ? 1 : 2;
        std::vector<wire::Endpoint> stable;
        for (const wire::Endpoint& endpoint : listed->endpoints) {
          if (endpoint.family == family) stable.push_back(endpoint);
        }
        if ((sent & bit) != 0 || stable.empty()) continue;
        hello(now, *peer, {0, stable[random_u64() % stable.size()]}, out);
        sent |= bit;
      }
    }
    if (sent == 0) {
      Peer* root = topology.best_root(now.mono);
      const PeerPath* relay =
          root == nullptr || root == peer ? nullptr : root->best(now.mono, true);
      if (relay != nullptr) hello(now, *peer, relay->path->key, out);
    }
  }
  contacted.clear();
  for (const auto& [address, listed] : wanted) contacted.insert(address);
  ping_walk.start(now.mono);
}

void Node::State::walk_peers(Now now, Effects& out) {
  ping_walk.go_on(now.mono, kPingCheck / 2, topology.size(), [&](std::size_t place) {
    return topology.for_some(place, Walk::kStep, [&](Peer& peer) {
      if (!contacted.contains(peer.address()) && peer.active(now.mono)) {
        ping(now, peer, out);
        if (peer.best(now.mono, false) == nullptr) check_relay(now, peer, out);
      }
      publish(now, peer, out);
    });
  });
  housekeeping_walk.go_on(now.mono, kHousekeeping / 2, topology.size(), [&](std::size_t place) {
    std::vector<Peer*> silent;
    const std::size_t next = topology.for_some(place, Walk::kStep, [&](Peer& peer) {
      const Millis last = std::max(peer.last_receive, peer.created);
      const Millis patience = peer.established() ? kPeerTimeout : kProvisionalTimeout;
      if (!topology.is_upstream(peer) && now.mono - last >= patience) {
        silent.push_back(&peer);
      } else if (saves_left != 0 && save_peer(now, peer, out)) {
        --saves_left;
      }
    });
    for (Peer* peer : silent) {
      save_and_cache(now, *peer, out);
      forget(now, *peer, out);
    }
    return next;
  });
  path_walk.go_on(now.mono, kHousekeeping / 2, paths.size(), [&](std::size_t place) {
    return paths.sweep(now.mono, kHousekeeping, place, Walk::kStep);
  });
}

void Node::State::leave_lost_sockets(Now now, Effects& out) {
  std::set<fib::LocalSocket> present = {0};
  for (const LocalEndpoint& local : locals) present.insert(local.socket);
  topology.for_each([&](Peer& peer) {
    std::set<wire::Endpoint> left;
    for (std::size_t i = 0; i < peer.paths.size();) {
      const PeerPath& entry = peer.paths[i];
      if (present.contains(entry.path->key.socket)) {
        ++i;
        continue;
      }
      if (entry.unexpired(now.mono)) left.insert(entry.path->key.remote);
      peer.drop_path(i);
    }
    for (const wire::Endpoint& remote : left) hello(now, peer, {0, remote}, out);
    publish(now, peer, out);
  });
}

unsigned Node::State::ping(Now now, Peer& peer, Effects& out) {
  const bool full = due(now.mono, peer.last_full_hello, kFullHello);
  if (full) peer.last_full_hello = now.mono;
  int priority = 0;
  for (const PeerPath& entry : peer.paths) priority = std::max(priority, entry.priority);
  unsigned families = 0;
  for (std::size_t i = 0; i < peer.paths.size();) {
    PeerPath& entry = peer.paths[i];
    if (!entry.unexpired(now.mono) || entry.priority < priority) {
      // A path under test after a change of our address has its chance to answer.
      if (entry.last_authenticated == 0 && entry.path->last_out != 0 &&
          now.mono - entry.path->last_out < kHeartbeat) {
        ++i;
        continue;
      }
      peer.drop_path(i);
      continue;
    }
    if (full || now.mono - entry.path->last_out >= kHeartbeat) {
      contact(now, peer, entry.path->key, full, out);
      entry.path->last_out = now.mono;
    }
    // Beside a tunnel the real ways are tried as if there were no way.
    if (!entry.failed() && !is_tunnel(entry.path->key.socket))
      families |= entry.path->key.remote.family == 4 ? 1 : 2;
    ++i;
  }
  return families;
}

void Node::State::housekeeping(Now now) {
  saves_left = options.limits.saves;
  housekeeping_walk.start(now.mono);
  path_walk.start(now.mono);
  sizes.erase_if([&](const fib::PathKey& key, const PathSizes::Entry& entry) {
    Peer* peer = topology.find(entry.peer);
    return peer == nullptr || peer->entry_of(key) == nullptr;
  });
  surface.expire(now.mono);
  replies.expire(now.mono);
  reassembler.expire(now.mono);
  stranger_reassembler.expire(now.mono);
}

void Node::State::forget(Now, Peer& peer, Effects& out) {
  leave(peer, out);
  topology.remove(peer.address());
}

void Node::State::leave(Peer& peer, Effects& out) {
  unwatch(peer);
  if (peer.standing == Peer::Standing::kChecking && checking > 0) --checking;
  if (peer.published != 0) out.updates.push_back(fib::RemovePeer{peer.address()});
  // What the disk says stays known, unless save_peer() had something newer.
  if (!peer.from_cache.empty()) cache.try_emplace(peer.address(), std::move(peer.from_cache));
}

ByteVector Node::State::record_of(const Peer& peer) const {
  std::array<std::uint8_t, 128 + kMaxPathsPerPeer * (19 + 2)> buffer;
  Writer writer(buffer);
  writer.u8(kPeerFileVersion);
  wire::write_identity(writer, peer.identity);
  writer.u16(static_cast<std::uint16_t>(std::max(peer.protocol, 0)));
  writer.u16(static_cast<std::uint16_t>(std::max(peer.version_major, 0)));
  writer.u16(static_cast<std::uint16_t>(std::max(peer.version_minor, 0)));
  writer.u16(static_cast<std::uint16_t>(std::max(peer.version_revision, 0)));
  std::vector<wire::Endpoint> endpoints;
  for (const PeerPath& entry : peer.paths) endpoints.push_back(entry.path->key.remote);
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  writer.u16(static_cast<std::uint16_t>(endpoints.size()));
  for (const wire::Endpoint& endpoint : endpoints) wire::write_endpoint(writer, endpoint);
  // Ours alone, behind what the reference reads: [2] type, [2] length, [2] for each endpoint the
  // datagrams that it is known to carry, bytes, or 0.
  writer.u16(kSizesRecord);
  writer.u16(static_cast<std::uint16_t>(2 * endpoints.size()));
  for (const wire::Endpoint& endpoint : endpoints) writer.u16(known_size(peer, endpoint));
  const Bytes written = writer.written();
  return {written.begin(), written.end()};
}

std::uint16_t Node::State::known_size(const Peer& peer, const wire::Endpoint& endpoint) const {
  for (const PeerPath& entry : peer.paths) {
    const fib::PathKey& key = entry.path->key;
    if (key.remote != endpoint) continue;
    const PathSizes::Entry* known = sizes.find(key);
    if (known != nullptr && known->size.known()) return known->size.size(size_limits(key));
  }
  return 0;
}

namespace {

/// To tell records apart; whoever forges an equal hash keeps his own old record.
std::uint64_t hash_of(Bytes record) {
  return siphash({}, record);
}

}  // namespace

bool Node::State::save_peer(Now now, Peer& peer, Effects& out) {
  if (!peer.established() || peer.last_receive == 0) return false;
  ByteVector record = record_of(peer);
  const std::uint64_t hash = hash_of(record);
  // Files of peers.d age by their date: one that stays true is written anew each day.
  if (hash == peer.on_disk && now.mono - peer.saved_at < kSaveAgain) return false;
  peer.on_disk = hash;
  peer.saved_at = now.mono;
  out.saves.push_back({StateKind::kPeer, peer.address().value, std::move(record), false});
  return true;
}

void Node::State::save_and_cache(Now now, Peer& peer, Effects& out) {
  save_peer(now, peer, out);
  if (!peer.established() || peer.last_receive == 0) return;
  if (cache.size() < options.limits.peers || cache.contains(peer.address()))
    cache[peer.address()] = record_of(peer);
}

std::optional<Node::State::CachedPeer> Node::State::read_cached(wire::Address address) const {
  const auto cached = cache.find(address);
  return cached == cache.end() ? std::nullopt : parse_cached(cached->second, address);
}

std::optional<Node::State::CachedPeer> Node::State::parse_cached(Bytes record,
                                                                 wire::Address address) {
  Reader reader(record);
  const std::uint8_t version = reader.u8();
  const auto parsed = wire::read_identity(reader);
  if (version != kPeerFileVersion || !parsed || parsed->identity.address != address)
    return std::nullopt;
  CachedPeer found{parsed->identity, {}};
  reader.skip(8);  // versions are learned again
  const std::uint16_t size = reader.u16();
  std::vector<std::size_t> numbers;  // of those that are kept
  for (std::uint16_t i = 0; i < size && reader.ok(); ++i) {
    const wire::Endpoint endpoint = wire::read_endpoint(reader);
    if (!reader.ok() || !endpoint || found.endpoints.size() >= kMaxPathsPerPeer) continue;
    found.endpoints.push_back({endpoint, 0});
    numbers.push_back(i);
  }
  if (!reader.ok() || reader.u16() != kSizesRecord) return found;
  const Bytes sizes = reader.bytes(reader.u16());
  for (std::size_t i = 0; reader.ok() && i < numbers.size(); ++i) {
    if (2 * numbers[i] + 2 <= sizes.size())
      found.endpoints[i].datagram = load_be16(&sizes[2 * numbers[i]]);
  }
  return found;
}

void Node::State::recall_size(const Peer& peer, const fib::PathKey& path) {
  if (peer.from_cache.empty()) return;
  const std::optional<CachedPeer> found = parse_cached(peer.from_cache, peer.address());
  if (!found) return;
  for (const auto& [endpoint, datagram] : found->endpoints) {
    if (endpoint == path.remote && datagram != 0) sizes.recall(path, peer.address(), datagram);
  }
}

std::unique_ptr<Peer> Node::State::cached_candidate(Now now, wire::Address address, Effects& out) {
  if (!cache.contains(address)) return nullptr;
  const std::optional<CachedPeer> found = read_cached(address);
  if (!found || !pin_allows(now, found->identity, out)) {
    count(Count::kCacheRefused);
    cache.erase(address);
    return nullptr;
  }
  crypto::SharedSecret secret;
  if (!agree(found->identity.public_key, secret)) {
    count(Count::kCacheRefused);
    cache.erase(address);
    return nullptr;
  }
  auto peer = std::make_unique<Peer>(found->identity, secret);
  burn(secret);
  peer->standing = standing_of(peer->identity);
  return peer;
}

Peer* Node::State::adopt(Now now, std::unique_ptr<Peer> candidate, Effects& out) {
  const bool provisional_one = !candidate->established();
  if (provisional_one) make_provisional_room(now, out);
  Peer* peer = add_peer(now, std::move(candidate), out);
  if (peer == nullptr || !provisional_one) return peer;
  provisional.push_back(peer->address());
  if (idle(now)) check_work(*peer, out);
  return peer;
}

Peer* Node::State::load_cached(Now now, wire::Address address, Effects& out) {
  const std::optional<CachedPeer> found = read_cached(address);
  std::unique_ptr<Peer> candidate = cached_candidate(now, address, out);
  if (candidate == nullptr) return nullptr;
  Peer* peer = adopt(now, std::move(candidate), out);
  if (peer == nullptr) return nullptr;
  for (const auto& [endpoint, datagram] : found->endpoints) {
    if (offered(now, *peer, endpoint, CandidateSource::kCache))
      hello(now, *peer, {0, endpoint}, out);
  }
  return peer;
}

Peer::Standing Node::State::standing_of(const wire::Identity& identity) const {
  const Upstream* listed = topology.upstream(identity.address);
  const bool named = listed != nullptr && listed->identity == identity;
  return named || pinned(identity) ? Peer::Standing::kEstablished : Peer::Standing::kProvisional;
}

bool Node::State::agree(const wire::PublicKey& theirs, crypto::SharedSecret& out) const {
  return options.agree ? options.agree(theirs, out)
                       : crypto::agree(options.identity.private_key(), theirs, out);
}

Peer* Node::State::add_peer(Now now, const wire::Identity& identity, Peer::Standing standing,
                            Effects& out) {
  crypto::SharedSecret secret;
  if (!agree(identity.public_key, secret)) {
    count(Count::kIdentityInvalid);
    return nullptr;
  }
  auto peer = std::make_unique<Peer>(identity, secret);
  burn(secret);
  peer->standing = standing;
  return add_peer(now, std::move(peer), out);
}

Peer* Node::State::add_peer(Now now, std::unique_ptr<Peer> peer, Effects& out) {
  peer->created = now.mono;
  const wire::Address address = peer->address();
  if (const auto cached = read_cached(address)) {
    peer->from_cache = cache[address];
    peer->on_disk = hash_of(peer->from_cache);
    peer->saved_at = now.mono;
    peer->loaded = cached->identity == peer->identity;
  }
  Peer* added = topology.add(std::move(peer), now.mono, [&](Peer& evicted) {
    count(Count::kTableFull);
    save_and_cache(now, evicted, out);
    leave(evicted, out);
  });
  if (added == nullptr) {
    count(Count::kTableFull);
  } else {
    cache.erase(address);
  }
  return added;
}

}  // namespace orrery::control
