#include "service/api_service.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "control/controller/api_v1_records.h"
#include "service/metrics.h"
#include "service/observation_json.h"
#include "service/path_json.h"
#include "service/trust_json.h"

namespace orrery::service {

using nlohmann::json;

namespace {

dataplane::Traffic sum_of(dataplane::Traffic workers, const control::FrameCounts& control) {
  workers.rx_packets += control.in.packets;
  workers.rx_bytes += control.in.bytes;
  workers.rx_refused += control.in.refused;
  workers.tx_packets += control.out.packets;
  workers.tx_bytes += control.out.bytes;
  workers.tx_refused += control.out.refused;
  return workers;
}

}  // namespace

template <typename Call>
auto ApiService::with_records(Call call) {
  const std::uint64_t before = controller_->written();
  auto answer = call();
  const bool changed = controller_->written() != before;
  // While the store refuses, what could not be kept is to be seen all the same.
  if (controller_->durable() != controller_->written() && !controller_->suspended())
    awaited_ = {driver_->ticket(), changed};
  return answer;
}

json ApiService::status() {
  const TcpFallbackConfig& tcp = config_.tcp_fallback;
  return to_json(
      node_.status(now_),
      {now_.wall, config_.port, config_.home, loop_.listening(), config_.interface_blacklist,
       config_.maps_port(), tcp.usable(), tcp.replaces_udp(), tcp.relay, loop_.tunneled()});
}

json ApiService::peers() {
  json all = json::array();
  for (const auto& p : node_.peers(now_)) {
    all.push_back(to_json(p, now_.mono, now_.wall));
    all.back()["tunneled"] = loop_.tunneled();
  }
  return all;
}

json ApiService::moons() {
  json all = json::array();
  for (const auto& m : node_.moons()) all.push_back(to_json(m));
  return all;
}

json ApiService::networks() {
  json all = json::array();
  for (const auto& n : networks_.list()) all.push_back(to_json(n, loop_.hosts().device_of(n.id)));
  return all;
}

void ApiService::join(wire::NetworkId id, const json& body) {
  control::NetworkSettings settings;
  bool joined = false;
  for (const auto& n : networks_.list()) {
    if (n.id != id) continue;
    settings = n.settings;
    joined = true;
  }
  bool changed = false;
  const auto take = [&](const char* key, bool& value) {
    if (!body.is_object() || !body.contains(key) || !body[key].is_boolean()) return;
    value = body[key].get<bool>();
    changed = true;
  };
  take("allowManaged", settings.allow_managed);
  take("allowGlobal", settings.allow_global);
  take("allowDefault", settings.allow_default);
  take("allowDNS", settings.allow_dns);
  // At once with what is asked for: a crash in between must not leave it joined with defaults.
  if (!joined) {
    networks_.join(now_, id, settings, {}, *effects_);
  } else if (changed) {
    networks_.set(now_, id, settings, *effects_);
  }
}

bool ApiService::leave(wire::NetworkId id) {
  for (const auto& n : networks_.list()) {
    if (n.id != id) continue;
    networks_.leave(now_, id, *effects_);
    return true;
  }
  return false;
}

void ApiService::orbit(std::uint64_t moon, wire::Address seed,
                       const std::optional<control::Fingerprint>& fingerprint) {
  const std::vector<control::MoonStatus> moons = node_.moons();
  const bool held = std::any_of(moons.begin(), moons.end(), [&](const control::MoonStatus& m) {
    return m.id == moon && !m.waiting;
  });
  if (!held) {
    // A file that the operator has put there is his word.
    const auto file = home_.world("moons.d/" + wire::to_string(wire::NetworkId{moon}) + ".moon");
    if (file && *file && node_.add_moon(now_, moon, (*file)->bytes, *effects_)) return;
  }
  node_.orbit(now_, moon, seed, fingerprint, *effects_);
}

void ApiService::deorbit(std::uint64_t moon) {
  node_.deorbit(now_, moon, *effects_);
}

json ApiService::ping(wire::Address peer) {
  if (const auto sequence = node_.ping(now_, peer, *effects_)) return {{"sequence", *sequence}};
  return {{"error", "the peer is not known, there is no way to it, or ten were sent this second"}};
}

bool ApiService::rotate_bond(wire::Address peer) {
  return node_.rotate_bond(now_, peer, *effects_);
}

json ApiService::workers_json() const {
  json all = json::array();
  for (unsigned i = 0; i < workers_.size(); ++i) {
    const dataplane::WorkerCounters& c = workers_.counters(i);
    json one = {{"worker", i}};
#define ORRERY_WORKER_COUNT_JSON(field, label) one[label] = c.field.value();
    ORRERY_FOR_EACH_WORKER_COUNT(ORRERY_WORKER_COUNT_JSON)
#undef ORRERY_WORKER_COUNT_JSON
    one["dropped"] = dataplane::total(c.drops);
    const dataplane::WorkerView view = workers_.view(i);
    one["stages"] = to_json(*view.stages);
    one["latency"] = to_json(*view.latency);
    all.push_back(std::move(one));
  }
  return all;
}

json ApiService::rules_json() const {
  json all = json::array();
  for (const auto& n : networks_.list()) {
    json one = to_json(loop_.publisher().hits_of(n.id));
    one["id"] = wire::to_string(n.id);
    all.push_back(std::move(one));
  }
  return all;
}

json ApiService::drops_json() const {
  json drops = json::object();  // of all workers
  for (std::size_t reason = 1; reason < static_cast<std::size_t>(dataplane::Drop::kCount);
       ++reason) {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < workers_.size(); ++i) sum += workers_.counters(i).drops[reason];
    drops[dataplane::drop_label(static_cast<dataplane::Drop>(reason))] = sum;
  }
  json control = json::object();
  for (const auto& [label, count] : node_.counters()) control[label] = count;
  json networks = json::object();
  for (const auto& [label, count] : networks_.counters().all()) networks[label] = count;
  json controller = json::object();
  if (controller_ != nullptr) {
    controller_->counters().for_each(
        [&](const char* label, std::uint64_t count) { controller[label] = count; });
  }
  json relay = json::object();
  if (relay_ != nullptr) {
    for (const auto& [label, value] : relay_->counters()) relay[label] = value;
    relay["connections"] = relay_->connections();
  }
  return {{"worker", drops},
          {"control", control},
          {"networks", networks},
          {"controller", controller},
          {"tcp_relay", relay},
          {"rings", {{"to_worker_full", loop_.ring_drops()}}},
          {"tables", {{"full", loop_.refused_records()}}}};
}

std::string ApiService::metrics() {
  Metrics m;
  m.online = node_.status(now_).online;
  m.received = node_.received();
  m.sent = node_.sent();
  const dataplane::Publisher& publisher = loop_.publisher();
  constexpr wire::Verb kCarriers[] = {wire::Verb::kFrame, wire::Verb::kExtFrame,
                                      wire::Verb::kMulticastFrame};
  for (std::size_t i = 0; i < std::size(kCarriers); ++i) {
    m.received.packets[static_cast<std::size_t>(kCarriers[i])] += publisher.frames_in()[i];
    m.sent.packets[static_cast<std::size_t>(kCarriers[i])] += publisher.frames_out()[i];
  }
  for (const auto& n : networks_.list()) {
    m.networks.push_back({n.id, n.subscriptions.size(), traffic_of(n.id), publisher.hits_of(n.id)});
  }
  for (const auto& p : node_.peers(now_)) {
    const auto alive = static_cast<std::uint64_t>(
        std::ranges::count_if(p.paths, [](const auto& path) { return path.active; }));
    m.peers.push_back({p.identity.address, alive, p.paths.size() - alive, p.received, p.sent,
                       p.refused, publisher.traffic_of(p.identity.address), p.round_trips});
  }
  for (const auto& [name, underlay, counts] : loop_.port_counts()) {
    m.ports.push_back(
        {name, counts.rx_packets, counts.rx_bytes, counts.tx_packets, counts.tx_bytes});
    if (!underlay) continue;
    m.underlay_rx += counts.rx_bytes;
    m.underlay_tx += counts.tx_bytes;
  }
  const json drops = drops_json();
  for (const auto& [part, reasons] : drops.items()) {
    for (const auto& [reason, count] : reasons.items())
      m.drops.push_back({part, reason, count.get<std::uint64_t>()});
  }
  m.alarms = node_.alarms().all();
  m.alarms_raised = node_.alarms().raised();
  if (controller_ == nullptr) return to_text(std::move(m));
  ControllerMetrics& c = m.controller.emplace();
  const control::EventLog& events = std::as_const(*controller_).events();
  const auto count = [&](std::initializer_list<const char*> types) {
    std::uint64_t sum = 0;
    for (const char* type : types) sum += events.count_of(type);
    return sum;
  };
  c.networks = controller_->registry().networks().size();
  for (const auto& [id, network] : controller_->registry().networks())
    c.members += network.members.size();
  c.network_changes = count({"network.created", "network.changed", "network.deleted"});
  c.authorized = count({"member.authorized"});
  c.deauthorized = count({"member.deauthorized"});
  c.member_changes =
      c.authorized + c.deauthorized + count({"member.created", "member.changed", "member.deleted"});
  c.requests = controller_->requests();
  c.outstanding = controller_->outstanding();
  c.signers = driver_->signers();
  return to_text(std::move(m));
}

json ApiService::paths_json() const {
  json all = json::array();
  for (const auto& p : node_.peers(now_)) {
    const json peer = to_json(p, now_.mono, now_.wall);
    all.push_back(
        {{"address", peer["address"]}, {"cipher", peer["cipher"]}, {"paths", peer["paths"]}});
  }
  return all;
}

json ApiService::inspect(const std::string& what) {
  if (what == "workers") return workers_json();
  if (what == "traffic") return traffic_json();
  if (what.starts_with("traffic/")) {
    const auto network = wire::parse_network_id(what.substr(8));
    return network ? traffic_json(*network) : json(nullptr);
  }
  if (what == "rules") return rules_json();
  if (what == "drops") return drops_json();
  if (what == "pins") {
    json all = json::object();
    for (const auto& [address, hash] : node_.pins()) all[wire::to_string(address)] = to_hex(hash);
    return all;
  }
  if (what == "trust") return trust_json(node_);
  if (what == "roots") {
    json all = json::array();
    for (const auto& root : node_.root_status(now_)) all.push_back(to_json(root, now_.mono));
    return all;
  }
  if (what == "ports") return loop_.ports();
  if (what == "paths") return paths_json();
  if (what.starts_with("why/")) {
    const auto address = wire::parse_address(what.substr(4));
    const auto route = address ? node_.route_of(now_, *address) : std::nullopt;
    return route ? to_json(*route, now_.mono, now_.wall) : json(nullptr);
  }
  if (what.starts_with("ping/")) {
    const auto address = wire::parse_address(what.substr(5));
    return address ? to_json(node_.pings(*address)) : json(nullptr);
  }
  return nullptr;
}

void ApiService::pin(const Pins& pins) {
  for (const auto& [address, fingerprint] : pins) node_.pin(now_, address, fingerprint, *effects_);
}

bool ApiService::unpin(wire::Address address) {
  return node_.unpin(now_, address, *effects_);
}

std::size_t ApiService::check_roots(std::uint64_t world) {
  return node_.check_roots(now_, world, *effects_);
}

HttpResponse ApiService::controller(const HttpRequest& request,
                                    std::optional<control::MemberList>& rest) {
  if (controller_ == nullptr) return {404, "", "application/json"};
  auto answer = with_records([&] {
    return rest ? controller_->go_on(*rest)
                : controller_->handle(now_, request.method, request.path, request.body, *effects_);
  });
  rest = answer.rest;
  if (rest) awaited_.reset();  // the last piece waits for them all
  return {answer.status, std::move(answer.body), "application/json"};
}

HttpResponse ApiService::api_v1(const HttpRequest& request, bool local) {
  if (api_ == nullptr) {
    const auto none = control::api_error(404, "this node is no controller");
    return {none.status, none.body};
  }
  const auto answer = with_records([&] {
    return api_->handle(now_,
                        {request.method, request.path, request.query, request.body,
                         request.if_match, request.if_none_match, request.token, local},
                        *effects_);
  });
  HttpResponse response{answer.status, answer.body};
  if (!answer.etag.empty()) response.headers["ETag"] = answer.etag;
  if (!answer.location.empty()) response.headers["Location"] = answer.location;
  if (!answer.events) return response;
  const std::uint64_t last = std::strtoull(request.last_event_id.c_str(), nullptr, 10);
  response.stream = hub_.open(*answer.events, last);
  if (response.stream != nullptr) {
    response.type = "text/event-stream";
    return response;
  }
  const auto full = control::api_error(503, "as many listen to events as can");
  return {full.status, full.body};
}

dataplane::Traffic ApiService::traffic_of(wire::NetworkId network) const {
  return sum_of(loop_.publisher().traffic_of(network), networks_.carried(network));
}

dataplane::Traffic ApiService::traffic_of(wire::NetworkId network, wire::Address member) const {
  return sum_of(loop_.publisher().traffic_of(network, member), networks_.carried(network, member));
}

json ApiService::traffic_json() const {
  json peers = json::array(), networks = json::array();
  for (const auto& p : node_.peers(now_)) {
    json one = to_json(loop_.publisher().traffic_of(p.identity.address));
    one["address"] = wire::to_string(p.identity.address);
    peers.push_back(std::move(one));
  }
  for (const auto& n : networks_.list()) {
    json one = to_json(traffic_of(n.id));
    one["id"] = wire::to_string(n.id);
    networks.push_back(std::move(one));
  }
  return {{"peers", peers}, {"networks", networks}};
}

json ApiService::traffic_json(wire::NetworkId network) const {
  json members = json::array();
  for (const wire::Address member : loop_.publisher().members_of(network)) {
    json one = to_json(traffic_of(network, member));
    one["address"] = wire::to_string(member);
    members.push_back(std::move(one));
  }
  return {{"id", wire::to_string(network)}, {"members", members}};
}

}  // namespace orrery::service
