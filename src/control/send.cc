// Sending: which path, how armored, in how many datagrams; what waits; WHOIS; probes.
// Source: docs/protocol/00-overview.md section 3.1, docs/protocol/04-paths-and-roots.md sections 2
// to 4, 7, 9.
#include <algorithm>

#include "control/features.h"
#include "control/node_state.h"
#include "crypto/extended_armor.h"
#include "fib/path_mtu.h"
#include "wire/compression.h"
#include "wire/fragment.h"

namespace orrery::control {

namespace {

constexpr Millis kHintInterval = 30'000;

bool is_clear_verb(wire::Verb verb) {
  return verb == wire::Verb::kHello || verb == wire::Verb::kAck ||
         verb == wire::Verb::kQosMeasurement || verb == wire::Verb::kPathNegotiationRequest;
}

ByteVector compose(std::uint64_t id, wire::Address to, wire::Address from, wire::Verb verb,
                   Bytes payload) {
  ByteVector packet(wire::kHeaderSize + payload.size());
  wire::encode_packet_header(packet, {id, to, from, 0, 0, static_cast<std::uint8_t>(verb)});
  std::copy(payload.begin(), payload.end(), packet.begin() + wire::kHeaderSize);
  return packet;
}

void compress(ByteVector& packet) {
  const Bytes plain = Bytes(packet).subspan(wire::kHeaderSize);
  ByteVector smaller(plain.size());
  const std::size_t size = wire::deflate(plain, smaller);
  if (size == 0) return;
  packet.resize(wire::kHeaderSize + size);
  std::copy_n(smaller.begin(), size, packet.begin() + wire::kHeaderSize);
  packet[wire::kVerbOffset] |= wire::kVerbCompressed;
}

}  // namespace

const PhysicalNetwork* Node::State::physical(const wire::Endpoint& remote) const {
  const auto it =
      std::find_if(options.physical.begin(), options.physical.end(),
                   [&](const PhysicalNetwork& p) { return wire::contains(p.network, remote); });
  return it == options.physical.end() ? nullptr : &*it;
}

std::uint64_t Node::State::trusted_id_of(const wire::Endpoint& remote) const {
  const PhysicalNetwork* network = physical(remote);
  return network == nullptr ? 0 : network->trusted_path_id;
}

CandidateVerdict Node::State::judge_path(const Peer& peer, const wire::Endpoint& remote) const {
  if (!usable_as_path(remote)) return CandidateVerdict::kUnusable;
  if (const Upstream* root = topology.upstream(peer.address());
      root != nullptr && !root->anywhere) {
    const bool listed = std::any_of(root->endpoints.begin(), root->endpoints.end(),
                                    [&](const wire::Endpoint& e) { return e.same_ip(remote); });
    if (!listed) return CandidateVerdict::kNotOfRoot;
  }
  if (!options.nested && networks != nullptr && networks->is_managed_ip(remote))
    return CandidateVerdict::kOverlay;
  const PhysicalNetwork* network = physical(remote);
  return network != nullptr && network->blacklist ? CandidateVerdict::kForbidden
                                                  : CandidateVerdict::kProbed;
}

std::vector<fib::PathKey> Node::State::copies(const fib::PathKey& via) const {
  if (via.socket != 0) return {via};
  std::vector<fib::PathKey> all, tunnels;
  for (const LocalEndpoint& local : locals) {
    if (is_tunnel(local.socket)) {
      if (tunnel_reaches(via.remote)) tunnels.push_back({local.socket, via.remote});
    } else if (local.address.family == via.remote.family || !local.address) {
      all.push_back({local.socket, via.remote});
    }
  }
  if (all.empty() && tunnels.empty()) all.push_back(via);
  if (options.low_bandwidth && !all.empty()) all.resize(1);
  all.insert(all.end(), tunnels.begin(), tunnels.end());
  return all;
}

bool Node::State::emit(Now now, const fib::PathKey& via, ByteVector payload, Effects& out,
                       std::uint8_t ttl, bool always) {
  if (budget.path && via == budget.path && !always) {
    const auto size = static_cast<std::int64_t>(payload.size() + outer_size(via.remote));
    if (size > budget.left) {
      count(Count::kAmplification);
      return false;
    }
    budget.left -= size;
  }
  if (Path* path = paths.find(via)) path->last_out = now.mono;
  out.datagrams.push_back({via, std::move(payload), ttl});
  return true;
}

Peer* Node::State::peer_of(Now now, wire::Address address, Effects& out) {
  if (Peer* known = topology.find(address)) return known;
  return load_cached(now, address, out);
}

std::optional<Node::State::Route> Node::State::route_to(Now now, Peer& peer) const {
  if (const PeerPath* direct = peer.best(now.mono, false)) return Route{direct->path->key, true};
  if (Peer* relay = const_cast<Topology&>(topology).relay_to(now.mono, peer))
    return Route{relay->best(now.mono, false)->path->key, false};
  if (const PeerPath* expired = peer.best(now.mono, true)) return Route{expired->path->key, true};
  return std::nullopt;
}

bool Node::State::check_relay(Now now, Peer& peer, Effects& out) {
  const bool busy = peer.steering != nullptr && peer.steering->in_use(now.mono);
  const Millis every = busy ? kRelayLook : kRelayCheck;
  if (peer.relay_checked != 0 && now.mono - peer.relay_checked < every) return false;
  if (topology.relays(now.mono, peer) < 2) return false;
  const bool asked = peer.relay_checked != 0 && now.mono - peer.relay_checked < 3 * every;
  peer.relay_missed = asked && peer.relay_answered < peer.relay_checked ? peer.relay_missed + 1 : 0;
  const bool turned = peer.relay_missed >= (busy ? kRelayDoubt : kRelayMissed);
  if (turned) {
    peer.relay_missed = 0;
    topology.turn_relay(now.mono, peer);
    count(Count::kRelayTurned);
  }
  peer.relay_checked = now.mono;
  const std::optional<Route> route = route_to(now, peer);
  if (!route || route->direct) return turned;
  if (!peer.knows_echo()) {
    hello(now, peer, route->key, out);
    return turned;
  }
  // Of any size, like what is relayed for us: nobody can let probes through and nothing else.
  std::array<std::uint8_t, 512> buffer;
  const MutableBytes payload = MutableBytes(buffer).first(random_u64() % buffer.size());
  node.random(payload);
  // The answer comes by whatever root has the peer's ear.
  (void)echo(now, peer, route->key, {}, 0, out, payload);
  return turned;
}

bool Node::State::send_now(Now now, Peer& peer, wire::Verb verb, Bytes payload,
                           const SendOptions& send_options, Effects& out) {
  if (peer.best(now.mono, false) == nullptr &&
      (peer.last_hint == 0 || now.mono - peer.last_hint >= kHintInterval)) {
    std::vector<wire::Endpoint> hints;
    for (const auto& [address, endpoint] : options.hints) {
      if (address == peer.address()) hints.push_back(endpoint);
    }
    if (!hints.empty()) {
      peer.last_hint = now.mono;
      const wire::Endpoint& hint = hints[random_u64() % hints.size()];
      if (offered(now, peer, hint, CandidateSource::kHint))
        contact(now, peer, {0, hint}, true, out);
    }
  }
  if (peer.best(now.mono, false) == nullptr) check_relay(now, peer, out);
  const std::optional<Route> route = route_to(now, peer);
  if (!route) return false;

  const std::uint64_t trusted = trusted_id_of(route->key.remote);
  const wire::Suite suite = trusted != 0          ? wire::Suite::kTrustedPath
                            : is_clear_verb(verb) ? wire::Suite::kMacOnly
                                                  : peer.suite();
  const std::optional<std::uint64_t> chosen =
      suite == wire::Suite::kSalsaPoly || suite == wire::Suite::kTrustedPath
          ? nonces.permuted(now, out)
          : nonces.plain(now, out);
  if (!chosen) {
    count(Count::kNoId);
    return false;
  }
  verbs_sent.add(verb, payload);
  ++peer.counts.sent;
  ByteVector packet = compose(*chosen, peer.address(), options.identity.address(), verb, payload);
  if (send_options.compress) compress(packet);
  const wire::FragmentPlan plan = wire::plan_fragments(packet.size(), datagram_size(*route));
  if (plan.pieces > wire::kMaxFragments || packet.size() > wire::kMaxPacket) {
    count(Count::kTooBig);
    return true;  // it will not become smaller by waiting
  }
  const std::size_t packet_size = packet.size();
  if (plan.pieces > 1) packet[wire::kFlagsOffset] |= wire::kFlagFragmented;
  if (suite == wire::Suite::kTrustedPath) {
    crypto::armor_trusted(packet, trusted);
  } else {
    if (suite == wire::Suite::kAesGmacSiv) expand(peer);
    crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), suite,
                         &peer.keys, 0};
    armorer.armor({&job, 1});
  }
  if (send_options.expect_reply) {
    const bool many = verb == wire::Verb::kNetworkConfigRequest ||
                      verb == wire::Verb::kMulticastGather || verb == wire::Verb::kMulticastFrame;
    replies.expect(load_be64(packet.data()), {verb,
                                              peer.address(),
                                              {},
                                              send_options.context,
                                              now.mono,
                                              now.mono + reply_window(verb),
                                              !many});
  }
  if (plan.pieces > 1) {
    emit(now, route->key, ByteVector(packet.begin(), packet.begin() + plan.head_size), out);
    for (std::uint8_t number = 1; number < plan.pieces; ++number) {
      ByteVector piece(wire::kFragmentHeaderSize + plan.data_size);
      piece.resize(wire::write_fragment(piece, packet, plan, number));
      emit(now, route->key, std::move(piece), out);
    }
  } else {
    emit(now, route->key, std::move(packet), out);
  }
  peer.traffic = true;
  if (wire::is_frame(verb)) in_use(now, peer, out);
  if (wire::is_frame(verb) || send_options.watch) frame_passed(now, peer);
  if (packet_size >= fib::kFullSize) full_size(now, peer, wire::is_frame(verb));
  return true;
}

void Node::State::send_or_wait(Now now, wire::Address to, wire::Verb verb, Bytes payload,
                               const SendOptions& send_options, Effects& out) {
  if (to == options.identity.address() || to.is_reserved()) return;
  Peer* peer = peer_of(now, to, out);
  if (peer != nullptr && send_now(now, *peer, verb, payload, send_options, out)) {
    publish(now, *peer, out);
    return;
  }
  if (!sends.add({to, verb, ByteVector(payload.begin(), payload.end()), send_options,
                  now.mono + kQueueLifetime})) {
    count(Count::kSendExpired);
  }
  if (next_queue == 0 || next_queue > now.mono + kQueueRetry) next_queue = now.mono + kQueueRetry;
  if (peer == nullptr) request_identity(now, to, false, out);
}

void Node::State::retry_sends(Now now, Effects& out) {
  if (sends.empty()) return;
  for (WaitingSend& waiting : sends.take()) {
    Peer* peer = topology.find(waiting.to);
    if (peer != nullptr &&
        send_now(now, *peer, waiting.verb, waiting.payload, waiting.options, out)) {
      publish(now, *peer, out);
      continue;
    }
    if (now.mono >= waiting.until) {
      count(Count::kSendExpired);
      continue;
    }
    if (peer == nullptr) request_identity(now, waiting.to, false, out);
    sends.put_back(std::move(waiting));
  }
}

std::uint64_t Node::State::send_via(Now now, const crypto::PeerKeys& keys, wire::Address to,
                                    wire::Suite suite, const fib::PathKey& via, wire::Verb verb,
                                    Bytes payload, Effects& out) {
  if (payload.size() + wire::kHeaderSize > wire::kMaxPacket) {
    count(Count::kTooBig);
    return 0;
  }
  const std::optional<std::uint64_t> chosen =
      suite == wire::Suite::kSalsaPoly ? nonces.permuted(now, out) : nonces.plain(now, out);
  if (!chosen) {
    count(Count::kNoId);
    return 0;
  }
  verbs_sent.add(verb, payload);
  if (Peer* peer = topology.find(to)) ++peer->counts.sent;
  ByteVector packet = compose(*chosen, to, options.identity.address(), verb, payload);
  if (verb == wire::Verb::kPushDirectPaths) compress(packet);
  crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), suite, &keys, 0};
  armorer.armor({&job, 1});
  const std::uint64_t id = load_be64(packet.data());
  return emit(now, via, std::move(packet), out, 0, false) ? id : 0;
}

bool Node::State::reply(Now now, const Incoming& to, wire::Verb verb, Bytes payload, Effects& out) {
  Peer* peer = topology.find(to.source);
  if (peer == nullptr) return false;
  const wire::Suite suite = suite_of_answer(*peer);
  return send_via(now, peer->keys, to.source, suite, to.via, verb, payload, out) != 0;
}

void Node::State::hello(Now now, Peer& peer, const fib::PathKey& via, Effects& out,
                        Padding padding) {
  std::array<std::uint8_t, 2048> buffer;
  for (const fib::PathKey& copy : copies(via)) {
    Writer writer(buffer);
    const wire::World& planet = worlds.planet();
    const wire::SoftwareVersion version{wire::kProtocolVersion, wire::kSoftwareMajor,
                                        wire::kSoftwareMinor, wire::kSoftwareRevision};
    const std::size_t masked_at =
        wire::encode_hello(writer, {version, now.wall, options.identity.identity(), copy.remote,
                                    planet.id, planet.timestamp, 0});
    std::vector<wire::MoonEntry> moons = worlds.entries();
    constexpr std::size_t kMostMoons = 64;  // keeps HELLO within one small datagram
    if (moons.size() > kMostMoons) moons.resize(kMostMoons);
    if (padding.size != 0) moons.clear();  // the smallest probes would have no room
    writer.u16(static_cast<std::uint16_t>(moons.size()));
    for (const wire::MoonEntry& moon : moons) wire::write_moon_entry(writer, moon);
    write_features(writer, own_features());
    const std::optional<std::uint64_t> chosen = nonces.plain(now, out);
    if (!chosen) return count(Count::kNoId);
    verbs_sent.add(wire::Verb::kHello, {});
    ++peer.counts.sent;
    ByteVector packet = compose(*chosen, peer.address(), options.identity.address(),
                                wire::Verb::kHello, writer.written());
    const bool extended = wants_extended_hello(peer);
    const std::size_t around = extended ? crypto::kExtendedArmorSize : 0;
    if (padding.size > packet.size() + around) packet.resize(padding.size - around);
    crypto::mask_hello_tail(packet, wire::kHeaderSize + masked_at, peer.keys.secret().bytes());
    crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()),
                         wire::Suite::kMacOnly, &peer.keys, 0};
    if (extended) packet[wire::kFlagsOffset] |= crypto::kFlagExtended;
    armorer.armor({&job, 1});
    if (extended) {
      std::array<std::uint8_t, 32> ephemeral;
      options.entropy(ephemeral);
      const bool added = crypto::add_extended_armor(packet, peer.identity.public_key, ephemeral);
      burn(ephemeral);
      if (!added) return count(Count::kIdentityInvalid);
    }
    const std::uint64_t id = load_be64(packet.data());
    if (!emit(now, copy, std::move(packet), out)) continue;
    out.datagrams.back().whole = padding.size != 0;
    // One that asks for a size may be lost because of it.
    if (padding.size == 0) note_probe(now, peer, copy);
    replies.expect(id, {wire::Verb::kHello, peer.address(), copy, padding.context, now.mono,
                        now.mono + reply_window(wire::Verb::kHello), true});
  }
}

bool Node::State::wants_extended_hello(const Peer& peer) const {
  switch (options.extended_hello) {
    case ExtendedHello::kOff:
      return false;
    case ExtendedHello::kAble:
      return peer.protocol >= crypto::kExtendedArmorProtocol ||
             (peer.features.value_or(0) & kFeatureExtendedArmor) != 0;
    case ExtendedHello::kAlways:
      return true;
  }
  return false;
}

bool Node::State::echo(Now now, Peer& peer, const fib::PathKey& via, const fib::PathKey& answer_at,
                       std::uint64_t context, Effects& out, Bytes payload) {
  const wire::Suite suite = suite_of_answer(peer);
  const std::uint64_t id =
      send_via(now, peer.keys, peer.address(), suite, via, wire::Verb::kEcho, payload, out);
  if (id == 0) return false;
  replies.expect(id, {wire::Verb::kEcho, peer.address(), answer_at, context, now.mono,
                      now.mono + reply_window(wire::Verb::kEcho), true});
  return true;
}

void Node::State::echo(Now now, Peer& peer, const fib::PathKey& via, Effects& out) {
  for (const fib::PathKey& copy : copies(via)) {
    if (echo(now, peer, copy, copy, 0, out)) note_probe(now, peer, copy);
  }
}

void Node::State::note_probe(Now now, Peer& peer, const fib::PathKey& via) {
  PeerPath* entry = peer.entry_of(via);
  if (entry != nullptr && entry->watch != nullptr) entry->watch->sent(now.mono);
}

void Node::State::contact(Now now, Peer& peer, const fib::PathKey& via, bool full, Effects& out) {
  // A peer from our disk has not told yet what it knows. A HELLO may be more than an address gets
  // that has proven nothing, and would then not leave at all.
  constexpr std::int64_t kHelloBytes = 200;  // with IP and UDP headers, no moons
  const bool narrow = peer.protocol == 0 && budget.path == via && budget.left < kHelloBytes;
  if (!full && (peer.knows_echo() || narrow)) {
    echo(now, peer, via, out);
  } else {
    hello(now, peer, via, out);
  }
}

void Node::State::request_identity(Now now, wire::Address address, bool stranger, Effects& out) {
  if (address == options.identity.address() || address.is_reserved() ||
      topology.find(address) != nullptr) {
    return;
  }
  const auto known = lookups.find(address);
  const std::size_t room = stranger ? options.limits.waiting / 2 : options.limits.waiting;
  if (known == lookups.end() && lookups.size() >= room) {
    count(Count::kTableFull);
    return;
  }
  const bool fresh = known == lookups.end();
  Lookup& lookup = lookups[address];
  lookup.stranger = stranger && (fresh || lookup.stranger);
  lookup.until = now.mono + kQueueLifetime;
  if (next_queue == 0 || next_queue > now.mono + kQueueRetry) next_queue = now.mono + kQueueRetry;
  if (lookup.asked == 0 || now.mono - lookup.asked >= kQueueRetry)
    ask_whois(now, address, lookup, out);
}

void Node::State::ask_whois(Now now, wire::Address address, Lookup& lookup, Effects& out) {
  // Any root that can be reached, by chance: no single one decides for long who is who.
  std::vector<Peer*> reachable;
  bool preferred = false;
  for (const Upstream& listed : topology.upstreams()) {
    if (listed.identity.address == address ||
        (lookup.claimed && lookup.claimed_by == listed.identity.address)) {
      continue;
    }
    Peer* root = topology.find(listed.identity.address);
    if (root == nullptr || !topology.is_upstream(*root) || !root->alive(now.mono) ||
        !route_to(now, *root)) {
      continue;
    }
    if (listed.preferred && !preferred) {
      reachable.clear();
      preferred = true;
    }
    if (listed.preferred == preferred) reachable.push_back(root);
  }
  if (reachable.empty()) return;
  if (!(lookup.stranger ? stranger_whois_budget : whois_budget).take(now.mono)) {
    count(Count::kLookupRate);
    return;
  }
  lookup.asked = now.mono;
  send_whois(now, *reachable[random_u64() % reachable.size()], address, out);
}

void Node::State::send_whois(Now now, Peer& root, wire::Address address, Effects& out) {
  std::array<std::uint8_t, wire::Address::kSize> payload;
  Writer writer(payload);
  writer.u40(address.value);
  SendOptions expecting;
  expecting.expect_reply = true;
  expecting.context = address.value;
  send_now(now, root, wire::Verb::kWhois, payload, expecting, out);
}

namespace {

void write_path(Writer& writer, const fib::PathKey& key, std::uint16_t mtu) {
  writer.u32(key.socket);
  writer.u8(key.remote.family);
  writer.bytes(key.remote.ip);
  writer.u16(key.remote.port);
  writer.u16(mtu);
}

/// Of all that may differ between two records of one peer; never 0. `shared`: of its spread.
std::uint64_t digest_of(const fib::Peer& record, const std::vector<fib::SharedPath>& shared) {
  static_assert(sizeof(fib::Peer) == 72, "a new field belongs into the digest, too");
  std::array<std::uint8_t, 32 * (1 + fib::Spread::kMostPaths)> bytes{};
  Writer writer(bytes);
  writer.u8(static_cast<std::uint8_t>(record.suite));
  write_path(writer, record.path, record.mtu);
  writer.u8(record.direct ? 1 : 0);
  writer.u8(record.window != nullptr ? 1 : 0);
  for (const fib::SharedPath& path : shared) write_path(writer, path.key, path.mtu);
  return siphash({}, writer.written()) | 1;
}

}  // namespace

void Node::State::publish(Now now, Peer& peer, Effects& out) {
  if (!peer.traffic || !peer.established() || withheld) return;
  fib::Peer record;
  record.address = peer.address();
  record.secret = peer.keys.secret();
  record.suite = peer.suite();
  if (peer.window == nullptr && peer.has_timed_ids())
    peer.window = std::make_shared<fib::ReplayWindow>();
  record.window = peer.window;
  if (const std::optional<Route> route = route_to(now, peer)) {
    // Workers do not speak suite 2: what leaves over a trusted path is control's.
    if (trusted_id_of(route->key.remote) == 0) record.path = route->key;
    record.mtu = datagram_size(*route);
    record.direct = route->direct;
  }
  std::vector<fib::SharedPath> shared;
  if (options.bonds.any() && record.direct && record.path) {
    share(now, peer);
    if (peer.steering != nullptr && peer.steering->shared.size() > 1) {
      for (const fib::PathKey& key : peer.steering->shared)
        shared.push_back({key, datagram_size({key, true})});
    }
  }
  const std::uint64_t digest = digest_of(record, shared);
  if (peer.published == digest) return;
  peer.published = digest;
  record.shared = !shared.empty();
  if (record.shared) {
    out.updates.push_back(
        fib::PeerSpread{peer.address(), std::make_shared<const fib::Spread>(std::move(shared))});
  }
  const bool alone = std::exchange(peer.shared, record.shared) && !record.shared;
  out.updates.push_back(std::move(record));
  // Before it is gone nobody is told to look for it.
  if (alone) out.updates.push_back(fib::PeerSpread{peer.address(), nullptr});
}

void Node::State::in_use(Now now, Peer& peer, Effects& out) {
  constexpr Millis kInterval = 1'000;
  if (peer.published == 0 || peer.suite() != wire::Suite::kAesGmacSiv) return;
  if (peer.last_in_use != 0 && now.mono - peer.last_in_use < kInterval) return;
  peer.last_in_use = now.mono;
  out.updates.push_back(fib::PeerInUse{peer.address()});
}

wire::Suite Node::State::suite_of_answer(Peer& peer) {
  // Schedules cost more than a small packet, and those of strangers would push out everybody's.
  if (!peer.established() && !peer.keys.expanded()) return wire::Suite::kSalsaPoly;
  if (peer.suite() == wire::Suite::kAesGmacSiv) expand(peer);
  return peer.suite();
}

void Node::State::expand(Peer& peer) {
  if (const auto gone = schedules.use(peer.address())) {
    if (Peer* other = topology.find(*gone)) other->keys.contract();
  }
  peer.keys.expand();
}

}  // namespace orrery::control
