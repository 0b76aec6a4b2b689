// Places, hosts, networks, and time; what happens in a step is scene_steps.cc's.
#include "sim/scene.h"

#include "control/controller/controller.h"
#include "control/network.h"
#include "wire/world.h"

namespace orrery::sim {

namespace {

constexpr std::uint32_t kFirstPublic = 0x1f000001;     // 31.0.0.1, one in each /24 from there on
constexpr std::uint32_t kFirstInLan = 0xc0a8010a;      // 192.168.1.10
constexpr std::uint32_t kFirstInCarrier = 0x64400001;  // 100.64.0.1
constexpr std::uint16_t kUdpPort = 9'993;
constexpr std::uint64_t kPlanetId = 0x51'0000'0001;
constexpr LinkProfile kLan{.delay = 0};
constexpr std::size_t kMostSteps =
    64;  // in a turn: what two threads do in a fifth of a millisecond

std::uint64_t pair_of(HostId from, HostId at) {
  return std::uint64_t{from} << 32 | at;
}

}  // namespace

Scene::Scene(std::uint64_t seed, const SceneOptions& options)
    : options_(options),
      random_(seed),
      internet_(queue_, random_.fork()),
      frames_(random_.fork()),
      watch_(options.strangers),
      crew_(options.crew),
      transcript_({[this](HostId id) { return hosts_[id].name; },
                   [this](const wire::Endpoint& at) { return internet_.whose(at); },
                   [this](wire::Address address) -> const crypto::SecretIdentity* {
                     const auto known = by_address_.find(address.value);
                     return known == by_address_.end() ? nullptr : &hosts_[known->second].identity;
                   }}) {
  crypto::init();
  const unsigned members = crew_ == nullptr ? 1 : crew_->members();
  for (unsigned i = 0; i < members; ++i) armorers_.push_back(std::make_unique<crypto::Armorer>());
  if (members == 1) crew_ = nullptr;
  if (crew_ != nullptr) steps_.resize(kMostSteps);
  internet_.observe = [this](const Flight& flight, Fate fate, HostId at) {
    transcript_.datagram(now_, flight, fate, at);
  };
}

Scene::~Scene() = default;

// --- places

wire::Endpoint Scene::fresh_address() {
  return wire::Endpoint::v4(kFirstPublic + 256 * next_public_++, kUdpPort);
}

Place Scene::on_internet() {
  return {kInternet, fresh_address(), {}, {}, Firewall::kOpen};
}

Place Scene::behind(NatId nat) {
  if (in_lan_.size() <= nat) in_lan_.resize(nat + 1);
  return {internet_.inside_of(nat), wire::Endpoint::v4(kFirstInLan + in_lan_[nat]++, kUdpPort),
          kLan, kLan, Firewall::kOpen};
}

NatId Scene::add_nat(const NatBehaviour& behaviour, std::optional<NatId> outer) {
  if (!outer) return internet_.add_nat(kInternet, fresh_address(), behaviour, {}, {});
  if (in_lan_.size() <= *outer) in_lan_.resize(*outer + 1);
  return internet_.add_nat(internet_.inside_of(*outer),
                           wire::Endpoint::v4(kFirstInCarrier + in_lan_[*outer]++, 0), behaviour,
                           kLan, kLan);
}

// --- hosts

HostId Scene::place_host(std::string name, const Place& place, const HostOptions& options) {
  const auto id = static_cast<HostId>(hosts_.size());
  crypto::SecretIdentity identity = make_identity(random_);
  Host& made = hosts_.emplace_back(std::move(name), std::move(identity), options, random_.fork());
  made.mono_offset = 1'000'000 + random_.between(0, 1'000'000);
  by_address_[made.address().value] = id;
  add_line(id, place);
  return id;
}

HostId Scene::add(std::string name, const Place& place, const HostOptions& options) {
  return place_host(std::move(name), place, options);
}

HostId Scene::add_root(std::string name, const Place& place, const HostOptions& options) {
  const HostId id = place_host(std::move(name), place, options);
  roots_.emplace_back(id, place.at);
  return id;
}

HostId Scene::add_hand(std::string name, const Place& place, Host::Hand hand) {
  const HostId id = place_host(std::move(name), place, {});
  alone_ = true;
  hosts_[id].hand = hand ? std::move(hand) : [](const Flight&) {};
  return id;
}

HostId Scene::add_false_root(std::string name, const Place& place) {
  const HostId id = add_hand(std::move(name), place);
  roots_.emplace_back(id, place.at);
  return id;
}

void Scene::add_line(HostId host, const Place& place) {
  Host& h = hosts_[host];
  const AttachmentId line = internet_.attach(host, place.realm, place.at, place.up, place.down);
  internet_.set_firewall(line, place.firewall);
  alone_ |= !h.sockets.empty();
  h.sockets.push_back({{h.next_socket++, place.at, place.up.mtu}, line});
  if (h.on()) announce_sockets(host);
}

const ByteVector& Scene::planet() {
  if (planet_.empty()) {
    wire::World world;
    world.type = wire::World::Type::kPlanet;
    world.id = kPlanetId;
    world.timestamp = 1;
    for (const auto& [id, at] : roots_)
      world.roots.push_back({hosts_[id].identity.identity(), {at}});
    planet_ = wire::encode_world(world);
  }
  return planet_;
}

void Scene::start(Millis apart) {
  Millis when = 0;
  for (HostId id = 0; id < hosts_.size(); ++id) {
    if (hosts_[id].on() || hosts_[id].hand) continue;
    if (when == 0) {
      power_on(id);
    } else {
      after(when, [this, id] {
        if (!hosts_[id].on()) power_on(id);
      });
    }
    when += apart;
  }
}

void Scene::power_on(HostId id) {
  Host& h = hosts_[id];
  ++h.run;
  control::NodeOptions options{.identity = copy_of(h.identity)};
  options.identity_accepted = h.disk.accepted;
  options.planet = h.disk.planet.empty() ? planet() : h.disk.planet;
  for (const auto& [number, moon] : h.disk.moons) options.moons.push_back(moon);
  for (const auto& [address, record] : h.disk.peers)
    options.cached_peers.emplace_back(address, record);
  options.pins = h.disk.pins;
  options.physical = h.options.physical;
  options.hints = h.options.hints;
  options.nonce_floor = h.disk.nonce;
  options.low_bandwidth = h.options.low_bandwidth;
  options.port_prediction = h.options.port_prediction;
  options.limits = h.options.limits;
  options.entropy = [&h](MutableBytes out) { h.random.fill(out); };
  const AttachmentId group = internet_.group_of(h.sockets.front().line);
  options.armorer = armorers_[member_of(group)].get();
  options.agree = [this, &h](const wire::PublicKey& theirs, crypto::SharedSecret& out) {
    return agreements_.agree(h.identity, theirs, out);
  };
  h.given_pins = h.disk.pins.size();
  h.node = std::make_unique<control::Node>(std::move(options));
  if (h.options.controller) {
    h.controller = std::make_unique<control::Controller>(*h.node);
    for (const auto& [key, json] : h.disk.records)
      h.controller->load({key.first, key.second, json});
  }
  if (h.options.networks)
    h.networks = std::make_unique<control::Networks>(*h.node, h.controller.get());
  if (h.controller && h.networks) {
    h.controller->set_local_delivery([&h](Now at, wire::NetworkId network, wire::Verb verb,
                                          Bytes payload, control::Effects& out) {
      if (verb == wire::Verb::kNetworkConfig) {
        h.networks->on_local_config(at, network, payload, out);
        return;
      }
      control::Incoming in;
      in.source = h.address();
      in.verb = verb;
      in.payload = payload;
      h.networks->on_packet(at, in, nullptr, out);
    });
  }
  h.node->attach(h.networks.get(), h.controller.get());
  transcript_.event(now_, id, "starts");
  announce_sockets(id);
  for (const wire::NetworkId network : h.joined) {
    const auto cached = h.disk.networks.find(network);
    const bool sound = cached != h.disk.networks.end() && cached->second.size() > 1;
    h.networks->join(now_of(id), network, {}, sound ? Bytes(cached->second) : Bytes(), effects_);
    settle(id, {});
  }
}

void Scene::power_off(HostId id) {
  Host& h = hosts_[id];
  if (!h.on()) return;
  transcript_.event(now_, id, "stops");
  h.networks.reset();
  h.controller.reset();
  h.node.reset();
  h.timer_at = 0;
  h.proofs = 0;
}

void Scene::shut_down(HostId id) {
  if (!hosts_[id].on()) return;
  with_node(id, [](control::Node& node, Now at, control::Effects& out) { node.save_all(at, out); });
  power_off(id);
}

void Scene::announce_sockets(HostId id) {
  Host& h = hosts_[id];
  std::vector<control::LocalEndpoint> all;
  for (const Host::Socket& socket : h.sockets) all.push_back(socket.local);
  h.node->on_local_endpoints(now_of(id), std::move(all), effects_);
  settle(id, {});
}

void Scene::move(HostId id, const Place& place) {
  Host& h = hosts_[id];
  alone_ = true;
  transcript_.event(now_, id, "moves to " + wire::to_string(place.at));
  for (const Host::Socket& socket : h.sockets) internet_.detach(socket.line);
  h.sockets.clear();
  add_line(id, place);
}

void Scene::readdress(NatId nat) {
  const wire::Endpoint fresh = fresh_address();
  transcript_.event(now_, kNobody,
                    "NAT " + std::to_string(nat) + " is at " + wire::to_string(fresh) + " now");
  internet_.readdress(nat, fresh);
}

void Scene::set_side(HostId id, std::uint8_t side) {
  for (const Host::Socket& socket : hosts_[id].sockets)
    internet_.set_side(internet_.outermost(socket.line), side);
}

// --- networks

wire::NetworkId Scene::add_network(HostId controller, std::string_view settings) {
  Host& h = hosts_[controller];
  const wire::NetworkId network{h.address().value << 24 | next_network_++};
  const control::HttpAnswer answer =
      h.controller->handle(now_of(controller), "POST",
                           "/controller/network/" + wire::to_string(network), settings, effects_);
  settle(controller, {});
  if (answer.status != 200) throw std::runtime_error("controller: " + answer.body);
  return network;
}

void Scene::join(HostId id, wire::NetworkId network) {
  Host& h = hosts_[id];
  h.joined.push_back(network);
  std::vector<HostId>& members = members_[network.value];
  members.insert(std::lower_bound(members.begin(), members.end(), id), id);
  if (!h.on()) return;
  h.networks->join(now_of(id), network, {}, {}, effects_);
  settle(id, {});
}

void Scene::leave(HostId id, wire::NetworkId network) {
  Host& h = hosts_[id];
  std::erase(h.joined, network);
  std::erase(members_[network.value], id);
  if (!h.on()) return;
  h.networks->leave(now_of(id), network, effects_);
  settle(id, {});
}

bool Scene::is_member(HostId id, wire::NetworkId network) const {
  const auto known = members_.find(network.value);
  return known != members_.end() &&
         std::binary_search(known->second.begin(), known->second.end(), id);
}

bool Scene::configured(HostId id, wire::NetworkId network) const {
  const Host& h = hosts_[id];
  if (!h.on() || h.networks == nullptr) return false;
  for (const control::NetworkStatus& status : h.networks->list()) {
    if (status.id == network) return status.state == control::NetworkState::kOk;
  }
  return false;
}

// --- frames

FrameId Scene::say(HostId from, HostId to, wire::NetworkId network, std::size_t size) {
  Host& h = hosts_[from];
  FrameId id = 0;
  const ByteVector frame = frames_.make(now_, network, from, wire::mac_of(h.address(), network),
                                        wire::mac_of(hosts_[to].address(), network), size, id);
  if (!h.on()) return id;
  h.node->on_frame(now_of(from), network, frame, effects_);
  settle(from, {});
  return id;
}

void Scene::talk(HostId a, HostId b, wire::NetworkId network, Millis every, std::size_t size) {
  chatter(a, b, network, every, size, talk_);
}

void Scene::chatter(HostId a, HostId b, wire::NetworkId network, Millis every, std::size_t size,
                    std::uint32_t talk) {
  if (talk != talk_) return;
  say(a, b, network, size);
  say(b, a, network, size);
  after(every, [=, this] { chatter(a, b, network, every, size, talk); });
}

Scene::Heard Scene::heard(HostId from, HostId at) const {
  const auto known = heard_.find(pair_of(from, at));
  return known == heard_.end() ? Heard{} : known->second;
}

bool Scene::direct(HostId a, HostId b, Millis within) const {
  return connected(a, b, within) && heard(a, b).direct && heard(b, a).direct;
}

bool Scene::connected(HostId a, HostId b, Millis within) const {
  const auto fresh = [&](const Heard& newest) {
    return newest.sent >= 0 && now_ - newest.sent <= micros(within);
  };
  return fresh(heard(a, b)) && fresh(heard(b, a));
}

// --- time

Now Scene::now_of(HostId id, Micros at) const {
  constexpr Millis kEpoch = 1'700'000'000'000;
  const Host& h = hosts_[id];
  const Millis ms = at / 1'000;
  return {ms + h.mono_offset, kEpoch + ms + h.wall_offset};
}

void Scene::run_for(Millis duration) {
  const Micros end = now_ + micros(duration);
  while (!queue_.empty() && queue_.next_at() <= end) take_turn(end);
  now_ = end;
}

std::optional<Millis> Scene::run_until(Millis bound, const std::function<bool()>& so, Millis step) {
  for (Millis passed = 0;; passed += step) {
    if (so()) return passed;
    if (passed >= bound) return std::nullopt;
    run_for(step);
  }
}

Millis Scene::must(Millis bound, const std::string& what, const std::function<bool()>& so,
                   Millis step) {
  const std::optional<Millis> took = run_until(bound, so, step);
  if (!took) {
    throw Breach("at " + std::to_string(now_ / 1'000) + " ms: not within " + std::to_string(bound) +
                 " ms: " + what);
  }
  return *took;
}

void Scene::must_stay(Millis duration, const std::string& what, const std::function<bool()>& so,
                      Millis step) {
  for (Millis passed = 0; passed < duration; passed += step) {
    run_for(step);
    if (!so()) throw Breach("at " + std::to_string(now_ / 1'000) + " ms: no longer so: " + what);
  }
}

void Scene::after(Millis delay, std::function<void()> action) {
  queue_.push(now_ + micros(delay), Event::Kind::kAction, actions_.put(std::move(action)));
}

bool Scene::told(HostId id, std::string_view words) const {
  return std::any_of(
      hosts_[id].notices.begin(), hosts_[id].notices.end(),
      [&](const control::Notice& notice) { return notice.text.find(words) != std::string::npos; });
}

}  // namespace orrery::sim
