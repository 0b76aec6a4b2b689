// The facade of the joined networks: joining, leaving, settings, timers, and what the API shows.
#include "control/network.h"

#include <algorithm>

#include "control/network_state.h"
#include "wire/verbs/ok.h"

namespace orrery::control {

Networks::Networks(Transport& transport, ControllerRole* controller)
    : state_(std::make_unique<State>(transport, controller)) {}

Networks::~Networks() = default;

Joined* Networks::State::find(wire::NetworkId id) {
  const auto it = joined.find(id);
  return it == joined.end() ? nullptr : &it->second;
}

Joined* Networks::State::find_configured(wire::NetworkId id) {
  Joined* net = find(id);
  if (net != nullptr && net->config) return net;
  counters.add(net == nullptr ? NetworkCount::kUnknownNetwork : NetworkCount::kNotConfigured);
  return nullptr;
}

PeerRates& Networks::State::rates(Now now, wire::Address peer) {
  const auto known = peers.find(peer);
  if (known != peers.end()) {
    known->second.used = now.mono;
    peers_by_use.splice(peers_by_use.end(), peers_by_use, known->second.place);
    return known->second;
  }
  if (peers.size() >= kMaxPeers) {
    peers.erase(peers_by_use.front());
    peers_by_use.pop_front();
  }
  PeerRates& fresh = peers[peer];
  fresh.used = now.mono;
  fresh.place = peers_by_use.insert(peers_by_use.end(), peer);
  return fresh;
}

void Networks::join(Now now, wire::NetworkId id, const NetworkSettings& settings, Bytes cached,
                    Effects& out) {
  if (!id || state_->joined.contains(id)) return;
  Joined& net =
      state_->joined.try_emplace(id, state_->fresh_key(), state_->station_limits).first->second;
  net.id = id;
  net.mac = wire::mac_of(state_->self(), id);
  net.settings = settings;
  state_->guard_loops(net);
  state_->configure_port(net, out);
  out.saves.push_back({StateKind::kNetworkLocal, id.value, encode_settings(settings), false});
  if (cached.empty() || !state_->accept_config(now, net, cached, true, out)) {
    if (!id.is_adhoc()) out.saves.push_back({StateKind::kNetwork, id.value, {'\n'}, false});
  }
  net.last_config = 0;  // from disk: refreshed at once
  state_->request_config(now, net, out);
  if (state_->next_tick == 0) state_->next_tick = now.mono + kHousekeeping;
}

void Networks::set_station_limits(std::size_t per_bridge, std::size_t per_network) {
  state_->station_limits = {per_bridge, per_network};
}

void Networks::set_refuse_nested(bool on) {
  state_->refuse_nested = on;
}

void Networks::set_clamp_mss(bool on) {
  state_->clamp_mss = on;
}

void Networks::set_match_tags(wire::NetworkId id) {
  state_->match_tags.insert(id);
}

void Networks::set_rate_rules(wire::NetworkId id, std::vector<RateRule> rules) {
  state_->rate_rules[id] = std::move(rules);
}

void Networks::leave(Now, wire::NetworkId id, Effects& out) {
  Joined* net = state_->find(id);
  if (net == nullptr) return;
  if (net->guard) {
    for (const LoopGuard::Status& port : net->guard->status()) {
      if (port.blocked) out.blocks.push_back({id, port.port, false, "the network was left"});
    }
  }
  ConfigurePort port;
  port.network = id;
  port.mac = net->mac;
  port.remove = true;
  out.ports.push_back(port);
  out.updates.push_back(fib::RemoveNetwork{id});
  out.saves.push_back({StateKind::kNetwork, id.value, {}, true});
  out.saves.push_back({StateKind::kNetworkLocal, id.value, {}, true});
  state_->joined.erase(id);
  // What a controller or a root keeps of the network's groups must not go with the membership.
  if (id.controller() != state_->self() && !state_->transport.self_is_root()) {
    state_->groups.remove_network(id);
  }
}

void Networks::set(Now, wire::NetworkId id, const NetworkSettings& settings, Effects& out) {
  Joined* net = state_->find(id);
  if (net == nullptr) return;
  net->settings = settings;
  out.saves.push_back({StateKind::kNetworkLocal, id.value, encode_settings(settings), false});
  state_->configure_port(*net, out);
}

void Networks::on_subscriptions(Now now, wire::NetworkId id,
                                std::vector<wire::MulticastGroup> groups, Effects& out) {
  Joined* net = state_->find(id);
  if (net == nullptr) return;
  constexpr std::size_t kMaxSubscriptions = 1'024;
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  if (groups.size() > kMaxSubscriptions) groups.resize(kMaxSubscriptions);
  std::vector<wire::MulticastGroup> fresh;
  std::set_difference(groups.begin(), groups.end(), net->subscriptions.begin(),
                      net->subscriptions.end(), std::back_inserter(fresh));
  net->subscriptions = std::move(groups);
  state_->announce_new(now, *net, fresh, out);
}

void Networks::on_port_error(Now, wire::NetworkId id, int error, Effects&) {
  if (Joined* net = state_->find(id)) net->port_error = error;
}

void Networks::on_local_config(Now now, wire::NetworkId id, Bytes dictionary, Effects& out) {
  if (Joined* net = state_->find(id)) state_->accept_config(now, *net, dictionary, true, out);
}

std::vector<NetworkStatus> Networks::list() const {
  std::vector<NetworkStatus> all;
  for (const auto& [id, net] : state_->joined) {
    NetworkStatus status;
    status.id = id;
    status.mac = net.mac;
    status.settings = net.settings;
    status.subscriptions = state_->all_groups(net);
    status.port_error = net.port_error;
    if (net.guard) status.lan_ports = net.guard->status();
    status.remote_stations = net.bridges.size();
    if (net.config) status.relays = state_->specialists(net, wire::Specialist::kNetworkRelay);
    status.state = net.port_error != 0                ? NetworkState::kPortError
                   : net.failure != NetworkState::kOk ? net.failure
                   : net.config                       ? NetworkState::kOk
                                                      : NetworkState::kRequestingConfiguration;
    if (net.config) {
      const wire::NetworkConfig& config = *net.config;
      status.name = config.name;
      status.is_public = config.is_public;
      status.mtu = config.mtu;
      status.bridge = net.record.active_bridge;
      status.broadcast = net.record.broadcast;
      status.revision = config.revision;
      status.addresses = config.static_ips;
      for (const wire::Route& route : config.routes) {
        status.routes.push_back({route.target, route.via, route.metric});
      }
      status.dns_domain = config.dns_domain;
      status.dns_servers = config.dns_servers;
    }
    all.push_back(std::move(status));
  }
  return all;
}

FrameCounts Networks::carried(wire::NetworkId id) const {
  const auto net = state_->joined.find(id);
  return net == state_->joined.end() ? FrameCounts{} : net->second.carried;
}

FrameCounts Networks::carried(wire::NetworkId id, wire::Address member) const {
  const auto net = state_->joined.find(id);
  if (net == state_->joined.end()) return {};
  const auto known = net->second.members.find(member);
  return known == net->second.members.end() ? FrameCounts{} : known->second.carried;
}

const NetworkCounters& Networks::counters() const {
  return state_->counters;
}

Handled Networks::on_packet(Now now, const Incoming& in, const Answered* answered, Effects& out) {
  switch (in.verb) {
    case wire::Verb::kFrame:
      return state_->on_frame_packet(now, in, out);
    case wire::Verb::kExtFrame:
      return state_->on_ext_frame(now, in, out);
    case wire::Verb::kMulticastLike:
      return state_->on_like(now, in, out);
    case wire::Verb::kNetworkCredentials:
      return state_->on_credentials(now, in, out);
    case wire::Verb::kNetworkConfig:
      return state_->on_config(now, in, in.payload, false, 0, out);
    case wire::Verb::kMulticastGather:
      return state_->on_gather(now, in, out);
    case wire::Verb::kMulticastFrame:
      return state_->on_multicast_frame(now, in, out);
    case wire::Verb::kOk: {
      const auto ok = wire::decode_ok(in.payload);
      if (!ok) return state_->refuse(NetworkCount::kMalformedAnswer, Handled::kIgnored);
      if (answered == nullptr) {
        return state_->refuse(NetworkCount::kUnsolicited, Handled::kIgnored);
      }
      switch (static_cast<wire::Verb>(ok->in_re_verb)) {
        case wire::Verb::kNetworkConfigRequest:
          return state_->on_config(now, in, ok->rest, true, answered->context, out);
        case wire::Verb::kMulticastGather:
          if (const auto result = wire::decode_gather_ok(ok->rest)) {
            return state_->on_gathered(now, *result, *answered, out);
          }
          return state_->refuse(NetworkCount::kMalformedAnswer);
        case wire::Verb::kMulticastFrame:
          if (const auto result = wire::decode_multicast_frame_ok(ok->rest)) {
            return state_->on_gathered(now, result->gathered, *answered, out);
          }
          return state_->refuse(NetworkCount::kMalformedAnswer);
        default:
          return Handled::kDone;
      }
    }
    case wire::Verb::kError: {
      const auto error = wire::decode_error(in.payload);
      if (!error) return state_->refuse(NetworkCount::kMalformedError);
      const auto code = static_cast<wire::ErrorCode>(error->code);
      switch (code) {
        case wire::ErrorCode::kObjectNotFound:
        case wire::ErrorCode::kUnsupportedOperation:
        case wire::ErrorCode::kNetworkAccessDenied:
        case wire::ErrorCode::kNetworkAuthenticationRequired:
          return state_->on_config_error(in, answered, error->rest, code);
        case wire::ErrorCode::kNeedMembershipCertificate:
          if (const auto about = wire::decode_network_error(error->rest)) {
            Joined* net = state_->find_configured(about->network);
            if (net != nullptr && net->config->com) {
              state_->push_credentials(now, *net, in.source, true, out);
            }
            return Handled::kDone;
          }
          return state_->refuse(NetworkCount::kMalformedError);
        case wire::ErrorCode::kUnwantedMulticast: {
          Reader r(error->rest);
          const wire::NetworkId id{r.u64()};
          const Bytes mac = r.bytes(6);
          const std::uint32_t adi = r.u32();
          if (!r.ok()) return state_->refuse(NetworkCount::kMalformedError);
          Joined* net = state_->find_configured(id);
          if (net == nullptr) return Handled::kDone;
          if (!state_->passes(now, *net, in.source, out))
            return state_->refuse(NetworkCount::kGate);
          state_->groups.remove(id, {wire::Mac::load(mac.data()), adi}, in.source);
          return Handled::kDone;
        }
        default:
          return Handled::kDone;
      }
    }
    default:
      return Handled::kDone;
  }
}

void Networks::on_frame(Now now, wire::NetworkId network, Bytes ethernet_frame, Effects& out) {
  if (Joined* net = state_->find(network)) state_->on_host_frame(now, *net, ethernet_frame, out);
}

void Networks::on_event(Now now, const fib::Event& event, Effects& out) {
  if (const auto* stale = std::get_if<fib::CredentialsStale>(&event)) {
    Joined* net = state_->find(stale->network);
    if (net != nullptr && net->config) {
      state_->push_credentials(now, *net, stale->peer, false, out);
    }
  } else if (const auto* learned = std::get_if<fib::BridgeLearned>(&event)) {
    Joined* net = state_->find(learned->network);
    if (net != nullptr && net->config) {
      state_->learn(now, *net, learned->mac, learned->behind, out);
    }
  } else if (const auto* received = std::get_if<fib::Received>(&event)) {
    // Passing the gate has a side effect: our groups are announced to the sender.
    Joined* net = state_->find(received->network);
    if (net != nullptr) (void)state_->passes(now, *net, received->peer, out);
  } else if (const auto* used = std::get_if<fib::GroupUsed>(&event)) {
    Joined* net = state_->find(used->network);
    if (net != nullptr && net->config) state_->on_group_used(now, *net, *used, out);
  } else if (const auto* rest = std::get_if<fib::MulticastRest>(&event)) {
    Joined* net = state_->find(rest->network);
    if (net != nullptr && net->config) state_->on_multicast_rest(now, *net, *rest, out);
  }
}

void Networks::on_identity(Now now, const wire::Identity& identity, Effects& out) {
  for (auto& [id, net] : state_->joined) {
    const auto it = net.members.find(identity.address);
    if (it != net.members.end()) {
      state_->refresh_member(now, net, identity.address, it->second, out);
    }
  }
}

void Networks::State::tick(Now now, Effects& out) {
  for (auto& [id, net] : joined) {
    if (!net.config || net.last_config == 0 || now.mono - net.last_config >= kRefresh) {
      request_config(now, net, out);
    }
    if (net.config) announce_periodically(now, net, out);
    refresh_groups(now, net, out);
    std::erase_if(net.queue, [&](const QueuedMulticast& q) { return now.mono >= q.until; });
    std::erase_if(net.bridged_groups,
                  [&](const auto& g) { return now.mono - g.second >= kBridgedGroupAge; });
    const auto& bridges = net.record.active_bridges;
    for (const wire::Mac mac : net.bridges.expire(now.mono, [&](wire::Address behind) {
           return std::binary_search(bridges.begin(), bridges.end(), behind);
         })) {
      out.updates.push_back(fib::RemoveBridgeRoute{id, mac});
    }
  }
  constexpr Millis kExpiry = 30'000;
  if (now.mono - last_expiry >= kExpiry) {
    last_expiry = now.mono;
    groups.expire(now.mono);
    while (!peers_by_use.empty()) {
      const auto oldest = peers.find(peers_by_use.front());
      if (now.mono - oldest->second.used < kRefresh) break;
      peers.erase(oldest);
      peers_by_use.pop_front();
    }
  }
}

void Networks::tick(Now now, Effects& out) {
  state_->watch_loops(now, out);
  if (state_->next_tick != 0 && now.mono < state_->next_tick) return;
  state_->next_tick = now.mono + kHousekeeping;
  state_->tick(now, out);
}

Millis Networks::next_deadline() const {
  Millis next = state_->next_tick;
  for (const auto& [id, net] : state_->joined) {
    if (net.guard) next = std::min(next, net.guard->next_deadline());
  }
  return next;
}

namespace {

/// Whether an address is in the subnet of one of ours (prefix length in its port field).
bool beside(const wire::Endpoint& own, const wire::Endpoint& ip) {
  if (own.family != ip.family || own.port > own.ip_size() * 8) return false;
  const std::size_t whole = own.port / 8;
  if (!std::equal(own.ip.begin(), own.ip.begin() + static_cast<std::ptrdiff_t>(whole),
                  ip.ip.begin())) {
    return false;
  }
  return own.port % 8 == 0 || ((own.ip[whole] ^ ip.ip[whole]) >> (8 - own.port % 8)) == 0;
}

}  // namespace

bool Networks::is_managed_ip(const wire::Endpoint& ip) const {
  return std::any_of(state_->joined.begin(), state_->joined.end(), [&](const auto& entry) {
    const auto& config = entry.second.config;
    return config && std::any_of(config->static_ips.begin(), config->static_ips.end(),
                                 [&](const wire::Endpoint& own) { return beside(own, ip); });
  });
}

std::vector<wire::Address> Networks::always_contact() const {
  std::vector<wire::Address> all;
  for (const auto& [id, net] : state_->joined) {
    const auto some =
        state_->specialists(net, wire::Specialist::kAnchor | wire::Specialist::kReplicator);
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace orrery::control
