// The facade of control: start, inputs, timers and what the operator sees.
#include "control/node.h"

#include <algorithm>

#include "control/node_state.h"
#include "crypto/kdf.h"

namespace orrery::control {

namespace {

/// Whether nobody on the Internet can have an address of this network (prefix length in the port
/// field).
bool is_private_throughout(const wire::Endpoint& network) {
  static const wire::Endpoint kPrivate[] = {
      wire::Endpoint::v4(0x0a000000, 8),   // 10.0.0.0/8
      wire::Endpoint::v4(0xac100000, 12),  // 172.16.0.0/12
      wire::Endpoint::v4(0xc0a80000, 16),  // 192.168.0.0/16
      wire::Endpoint::v4(0x64400000, 10),  // 100.64.0.0/10
      wire::Endpoint::v4(0xa9fe0000, 16),  // 169.254.0.0/16
      wire::Endpoint::v4(0x7f000000, 8),   // 127.0.0.0/8
      wire::Endpoint::v6(std::array<std::uint8_t, 16>{0xfc}, 7),
      wire::Endpoint::v6(std::array<std::uint8_t, 16>{0xfe, 0x80}, 10),
  };
  return std::any_of(std::begin(kPrivate), std::end(kPrivate), [&](const wire::Endpoint& block) {
    return network.port >= block.port && wire::contains(block, network);
  });
}

}  // namespace

Node::State::State(Node& node_, NodeOptions options_)
    : node(node_),
      options(std::move(options_)),
      paths(options.limits.paths, fresh_key()),
      sizes(options.limits.paths, fresh_key()),
      topology(options.limits.peers, fresh_key()),
      replies(options.limits.requests, fresh_key()),
      probes(fresh_key()),
      introductions(options.limits.introductions, fresh_key()),
      strangers(options.limits.prefixes, options.limits.strangers, fresh_key()),
      echoes(options.limits.echoes, fresh_key()),
      unknown_probes(options.limits.echoes, fresh_key()),
      seen(options.limits.seen, fresh_key()),
      nonces(options.nonce_lane, options.nonce_floor, permutation_key(options.identity)),
      own_armorer(options.armorer == nullptr ? std::make_unique<crypto::Armorer>() : nullptr),
      armorer(options.armorer == nullptr ? *own_armorer : *options.armorer),
      schedules(options.limits.schedules, fresh_key()),
      reassembler({options.limits.reassembly / 4 * 3, options.limits.reassembly_bytes / 4 * 3},
                  fresh_key()),
      stranger_reassembler({options.limits.reassembly / 4, options.limits.reassembly_bytes / 4},
                           fresh_key()),
      sends(options.limits.outgoing),
      receives(options.limits.waiting),
      lookups(16, KeyedHash{fresh_key()}),
      unproven(16, KeyedHash{fresh_key()}),
      cache(16, KeyedHash{fresh_key()}),
      pins(options.pins),
      accepted(options.identity_accepted),
      reassembly_key(fresh_key()) {
  for (auto& [address, bytes] : options.cached_peers) cache.emplace(address, std::move(bytes));
  options.cached_peers.clear();
  const auto load = [&](Bytes bytes, const char* what) {
    Reader reader(bytes);
    const auto world = wire::read_world(reader);
    if (world && worlds.load(*world) == Worlds::Verdict::kAccepted) {
      if (!signs_itself(*world)) {
        pending_notices.push_back(
            {Notice::Level::kWarning, std::string(what) + " is not signed by its own key"});
      }
    } else {
      pending_notices.push_back({Notice::Level::kAlarm, std::string(what) + " cannot be used"});
    }
  };
  for (PhysicalNetwork& network : options.physical) {
    if (network.trusted_path_id == 0) continue;
    const bool open = !is_private_throughout(network.network);
    if (open) network.trusted_path_id = 0;
    pending_notices.push_back(
        {open ? Notice::Level::kAlarm : Notice::Level::kWarning,
         "trusted path " + wire::to_string(network.network) +
             (open ? " is not private throughout and is ignored"
                   : ": packets there are neither encrypted nor authenticated")});
  }
  if (!options.planet.empty()) load(options.planet, "the planet file");
  for (const ByteVector& moon : options.moons) load(moon, "a moon file");
}

SipKey Node::State::fresh_key() {
  return {random_u64(), random_u64()};
}

std::uint64_t Node::State::random_u64() {
  std::uint8_t bytes[8];
  options.entropy(bytes);
  return load_be64(bytes);
}

void Node::State::notice(Now now, Notice::Level level, std::string text, Effects& out) {
  if (notice_budget.take(now.mono)) out.notices.push_back({level, std::move(text)});
}

void Node::State::start(Now now, Effects& out) {
  if (started) return;
  started = true;
  started_at = now.mono;
  for (Notice& early : pending_notices) out.notices.push_back(std::move(early));
  pending_notices.clear();
  nonces.keep_ahead(now, out);
  refresh_upstreams(now, out);
  if (options.strict && topology.upstreams().size() < 2) {
    notice(now, Notice::Level::kWarning,
           "two roots must agree on who is who, and there are not two: nobody is found by address",
           out);
  }
}

Node::Node(NodeOptions options) : state_(std::make_unique<State>(*this, std::move(options))) {}

Node::~Node() = default;

void Node::attach(NetworkRole* networks, ControllerRole* controller) {
  state_->networks = networks;
  state_->controller = controller;
}

void Node::on_datagram(Now now, const fib::PathKey& via, Bytes datagram, Effects& out) {
  state_->start(now, out);
  state_->counters.begin();
  state_->datagram(now, via, datagram, out);
  state_->counters.end();
}

void Node::on_packet(Now now, const fib::PathKey& via, Bytes packet, Effects& out) {
  state_->start(now, out);
  ByteVector copy(packet.begin(), packet.end());
  state_->counters.begin();
  state_->packet(now, via, copy, packet.size(), false, out);
  state_->counters.end();
}

void Node::on_authenticated(Now now, const fib::PathKey& via, Bytes packet, std::size_t wire_size,
                            Effects& out) {
  state_->start(now, out);
  ByteVector copy(packet.begin(), packet.end());
  state_->counters.begin();
  state_->packet(now, via, copy, wire_size, true, out);
  state_->counters.end();
}

void Node::on_frame(Now now, wire::NetworkId network, Bytes ethernet_frame, Effects& out) {
  state_->start(now, out);
  if (state_->networks != nullptr) state_->networks->on_frame(now, network, ethernet_frame, out);
}

void Node::on_event(Now now, const fib::Event& event, Effects& out) {
  state_->start(now, out);
  if (const auto* received = std::get_if<fib::Received>(&event)) {
    if (Peer* peer = state_->topology.find(received->peer)) {
      state_->received_step(now, *peer, received->via, received->hops,
                            static_cast<wire::Verb>(received->verb & wire::kVerbMask),
                            static_cast<bool>(received->network), false, out);
      if (wire::is_frame(static_cast<wire::Verb>(received->verb & wire::kVerbMask)))
        state_->frame_passed(now, *peer);
    }
  }
  if (const auto* sent = std::get_if<fib::Sent>(&event)) {
    if (Peer* peer = state_->topology.find(sent->peer)) state_->frame_passed(now, *peer);
  }
  if (const auto* relayed = std::get_if<fib::Relayed>(&event)) state_->relayed(now, *relayed, out);
  if (const auto* sent = std::get_if<fib::FullSizeSent>(&event)) {
    if (Peer* peer = state_->topology.find(sent->peer)) state_->full_size(now, *peer, true);
  }
  if (state_->networks != nullptr) state_->networks->on_event(now, event, out);
}

void Node::on_identity_validated(Now now, const wire::Identity& identity, bool valid,
                                 Effects& out) {
  state_->start(now, out);
  state_->identity_validated(now, identity, valid, out);
  state_->check_next(out);
}

void Node::on_validation_refused(Now now, const wire::Identity& identity, Effects& out) {
  state_->start(now, out);
  state_->validation_refused(identity);
}

void Node::on_local_endpoints(Now now, std::vector<LocalEndpoint> endpoints, Effects& out) {
  state_->start(now, out);
  state_->locals = std::move(endpoints);
  std::set<fib::LocalSocket> present;
  for (const LocalEndpoint& local : state_->locals) present.insert(local.socket);
  state_->surface.forget_others(present);
  state_->leave_lost_sockets(now, out);
  state_->next_ping = now.mono;
}

bool Node::wants_tunnel(Now now, bool open) const {
  constexpr Millis kSilence = 60'000;  // before it is worth a try
  constexpr Millis kWorks = 30'000;    // so long UDP is believed to work
  const State& s = *state_;
  const auto& roots = s.topology.upstreams();
  const bool reaches = std::any_of(roots.begin(), roots.end(), [](const Upstream& root) {
    return root.anywhere ||
           std::any_of(root.endpoints.begin(), root.endpoints.end(), tunnel_reaches);
  });
  if (!reaches || !s.started) return false;
  if (open) return s.last_global == 0 || now.mono - s.last_global >= kWorks;
  return now.mono - std::max(s.last_global, s.started_at) >= kSilence;
}

void Node::on_port_mappings(Now, std::vector<wire::Endpoint> external) {
  state_->mapped = std::move(external);
  // Who talks with us hears of it with his next packet.
  state_->topology.for_each([](Peer& peer) { peer.last_push_sent = 0; });
}

bool Node::on_save_failed(Now now, const SaveState& save, Effects& out) {
  if (save.kind != StateKind::kNonce || save.bytes.size() != 8) return true;
  if (state_->nonces.save_failed(now, load_be64(save.bytes.data()))) return true;
  state_->withhold(now, out);
  return false;
}

void Node::tick(Now now, Effects& out) {
  state_->start(now, out);
  state_->tick(now, out);
}

Millis Node::next_deadline() const {
  const State& s = *state_;
  Millis next = std::min(s.next_ping, s.next_housekeeping);
  if (s.next_queue != 0) next = std::min(next, s.next_queue);
  for (const Walk* walk : {&s.ping_walk, &s.housekeeping_walk, &s.path_walk}) {
    if (walk->next() != 0) next = std::min(next, walk->next());
  }
  next = std::min(next, std::max(s.sizes.next(), s.sizes_wait));
  for (const auto* waiting : {&s.introduced, &s.predictions}) {
    if (!waiting->empty()) next = std::min(next, waiting->front().due);
  }
  if (!s.watched.empty()) next = std::min(next, s.watched.begin()->first);
  if (s.nonces.retry_at() != 0) next = std::min(next, s.nonces.retry_at());
  if (s.networks != nullptr) next = std::min(next, s.networks->next_deadline());
  if (s.controller != nullptr) next = std::min(next, s.controller->next_deadline());
  return next;
}

void Node::orbit(Now now, std::uint64_t moon, wire::Address seed,
                 const std::optional<Fingerprint>& fingerprint, Effects& out) {
  state_->start(now, out);
  if (seed && fingerprint) state_->pin_by_hand(now, seed, *fingerprint, out);
  if (!seed || state_->worlds.moons().contains(moon)) return;
  state_->worlds.wish({moon, seed});
  state_->next_ping = now.mono;
}

bool Node::add_moon(Now now, std::uint64_t moon, Bytes file, Effects& out) {
  state_->start(now, out);
  Reader reader(file);
  const auto world = wire::read_world(reader);
  if (!world || world->type != wire::World::Type::kMoon || world->id != moon ||
      state_->worlds.load(*world) != Worlds::Verdict::kAccepted) {
    return false;
  }
  state_->world_accepted(now, *world, out);
  return true;
}

std::size_t Node::check_roots(Now now, std::uint64_t world, Effects& out) {
  state_->start(now, out);
  return state_->check_roots(now, world, out);
}

void Node::pin(Now now, wire::Address address, const Fingerprint& fingerprint, Effects& out) {
  state_->start(now, out);
  state_->pin_by_hand(now, address, fingerprint, out);
}

bool Node::unpin(Now now, wire::Address address, Effects& out) {
  state_->start(now, out);
  return state_->unpin(now, address, out);
}

const std::map<wire::Address, Fingerprint>& Node::pins() const {
  return state_->pins;
}

const Alarms& Node::alarms() const {
  return state_->alarms;
}

std::vector<RootStatus> Node::root_status(Now now) const {
  return state_->root_status(now);
}

bool Node::strict() const {
  return state_->options.strict;
}

void Node::deorbit(Now now, std::uint64_t moon, Effects& out) {
  state_->start(now, out);
  if (!state_->worlds.deorbit(moon)) return;
  out.saves.push_back({StateKind::kMoon, moon, {}, true});
  state_->refresh_upstreams(now, out);
}

void Node::save_all(Now now, Effects& out) {
  state_->topology.for_each([&](Peer& peer) { state_->save_peer(now, peer, out); });
}

NodeStatus Node::status(Now now) const {
  const State& s = *state_;
  NodeStatus status;
  status.identity = s.options.identity.identity();
  status.online = self_is_root();
  for (const Upstream& root : s.topology.upstreams()) {
    const Peer* peer = s.topology.find(root.identity.address);
    status.online |= peer != nullptr && peer->identity == root.identity && peer->alive(now.mono);
  }
  status.planet_id = s.worlds.planet().id;
  status.planet_timestamp = static_cast<std::int64_t>(s.worlds.planet().timestamp);
  status.surface = s.surface.endpoints();
  status.mapped = s.mapped;
  return status;
}

std::vector<PeerStatus> Node::peers(Now now) const {
  std::vector<PeerStatus> all;
  state_->topology.for_each([&](const Peer& peer) { all.push_back(state_->status_of(now, peer)); });
  std::sort(all.begin(), all.end(), [](const PeerStatus& a, const PeerStatus& b) {
    return a.identity.address < b.identity.address;
  });
  return all;
}

std::vector<MoonStatus> Node::moons() const {
  std::vector<MoonStatus> all;
  for (const auto& [id, moon] : state_->worlds.moons())
    all.push_back({id, false, {}, wire::encode_world(moon)});
  for (const Worlds::Wish& wish : state_->worlds.wishes())
    all.push_back({wish.id, true, wish.seed, {}});
  return all;
}

std::vector<std::pair<const char*, std::uint64_t>> Node::counters() const {
  return {{"packets", state_->counters.packets()},
          {"handled", state_->counters.handled()},
#define ORRERY_NODE_COUNTER_ROW(name, label, class) {label, state_->counters.get(Count::name)},
          ORRERY_FOR_EACH_NODE_COUNTER(ORRERY_NODE_COUNTER_ROW)
#undef ORRERY_NODE_COUNTER_ROW
  };
}

const VerbCounts& Node::received() const {
  return state_->verbs_received;
}

const VerbCounts& Node::sent() const {
  return state_->verbs_sent;
}

TableSizes Node::table_sizes() const {
  const State& s = *state_;
  return {s.topology.size(), s.paths.size(),   s.receives.size(), s.sends.size(),
          s.lookups.size(),  s.replies.size(), s.pins.size()};
}

const crypto::SecretIdentity& Node::self() const {
  return state_->options.identity;
}

void Node::send(Now now, wire::Address to, wire::Verb verb, Bytes payload,
                const SendOptions& options, Effects& out) {
  state_->send_or_wait(now, to, verb, payload, options, out);
}

void Node::reply(Now now, const Incoming& to, wire::Verb verb, Bytes payload, Effects& out) {
  state_->reply(now, to, verb, payload, out);
}

const wire::Identity* Node::identity_of(wire::Address address) const {
  const State& s = *state_;
  if (address == s.options.identity.address()) return &s.options.identity.identity();
  const Peer* peer = s.topology.find(address);
  return peer != nullptr && peer->established() ? &peer->identity : nullptr;
}

std::optional<std::array<std::uint8_t, 16>> Node::authenticate(wire::Address address,
                                                               Bytes message) const {
  const Peer* peer = state_->topology.find(address);
  if (peer == nullptr || !peer->established()) return std::nullopt;
  // A key of its own: the cipher keys have the labels '0' and '1'.
  crypto::Sha384 key = crypto::kbkdf_hmac_sha384(peer->keys.secret().bytes(), 'B', 0, 0);
  const crypto::Sha384 full = crypto::hmac_sha384(key, message);
  burn(key);
  std::array<std::uint8_t, 16> tag;
  std::copy_n(full.begin(), tag.size(), tag.begin());
  return tag;
}

void Node::request_identity(Now now, wire::Address address, Effects& out) {
  if (state_->peer_of(now, address, out) == nullptr)
    state_->request_identity(now, address, false, out);
}

std::vector<wire::Address> Node::roots() const {
  std::vector<wire::Address> all;
  for (const Upstream& root : state_->topology.upstreams()) all.push_back(root.identity.address);
  return all;
}

wire::Address Node::best_root(Now now) const {
  const Peer* root = state_->topology.best_root(now.mono);
  return root == nullptr ? wire::Address{} : root->address();
}

bool Node::is_root(wire::Address address) const {
  const Peer* peer = state_->topology.find(address);
  return peer != nullptr && state_->topology.is_upstream(*peer);
}

bool Node::self_is_root() const {
  return state_->topology.self_is_root();
}

int Node::direct_latency(Now now, wire::Address address) const {
  const Peer* peer = state_->topology.find(address);
  if (peer == nullptr || !peer->alive(now.mono)) return -1;
  const PeerPath* best = peer->best(now.mono, false);
  return best == nullptr ? -1 : best->path->measured.latency_ms();
}

bool Node::path_confirmed(const Incoming& in) const {
  if (in.hops > 0) return true;
  const Peer* peer = state_->topology.find(in.source);
  // Confirmed at any time by the very path; the clock only matters for neighbours of it.
  return peer != nullptr && peer->confirmed(in.via, peer->last_receive);
}

void Node::random(MutableBytes out) {
  state_->options.entropy(out);
}

std::uint64_t Node::random_u64() {
  return state_->random_u64();
}

}  // namespace orrery::control
