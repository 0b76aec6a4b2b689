#include "service/local_api.h"

#include "base/bytes.h"
#include "control/controller/api_v1_records.h"
#include "control/controller/json_text.h"
#include "control/path_watch.h"
#include "service/path_json.h"
#include "service/web_files.h"
#include "wire/world.h"

namespace orrery::service {
namespace {

using nlohmann::json;

HttpResponse answer(const json& value, int status = 200) {
  return {status, control::json_text(value), "application/json"};
}

HttpResponse bad_request(const std::string& text) {
  return answer({{"error", text}}, 400);
}

HttpResponse not_found() {
  return {404, "", "application/json"};
}

HttpResponse stopping() {
  return {503, "{\"error\":\"the daemon is stopping\"}", "application/json"};
}

/// These paths have tokens of their own, beside the daemon's.
bool is_v1(const std::string& path) {
  return path == "/api/v1" || path.starts_with("/api/v1/");
}

/// An empty token of ours is none.
bool is_token(const std::string& ours, const std::string& given) {
  return !ours.empty() && constant_time_equal(bytes_of(given), bytes_of(ours));
}

/// The object in the body; an empty one when there is none, as stock takes it.
json body_of(const HttpRequest& request) {
  return control::parse_api_body(request.body).value_or(json::object());
}

/// The part of `path` behind `prefix`, when it is there.
std::optional<std::string> behind(const std::string& path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  return path.substr(prefix.size());
}

const json* find_by(const json& array, const char* key, const std::string& value) {
  for (const json& element : array) {
    if (element.value(key, "") == value) return &element;
  }
  return nullptr;
}

const char* state_name(control::NetworkState state) {
  using control::NetworkState;
  switch (state) {
    case NetworkState::kRequestingConfiguration:
      return "REQUESTING_CONFIGURATION";
    case NetworkState::kOk:
      return "OK";
    case NetworkState::kAccessDenied:
      return "ACCESS_DENIED";
    case NetworkState::kNotFound:
      return "NOT_FOUND";
    case NetworkState::kPortError:
      return "PORT_ERROR";
    case NetworkState::kClientTooOld:
      return "CLIENT_TOO_OLD";
    case NetworkState::kAuthenticationRequired:
      return "AUTHENTICATION_REQUIRED";
  }
  return "REQUESTING_CONFIGURATION";
}

}  // namespace

nlohmann::json to_json(const control::NodeStatus& node, const DaemonFacts& facts) {
  const auto texts = [](const std::vector<wire::Endpoint>& endpoints) {
    json list = json::array();
    for (const wire::Endpoint& e : endpoints) list.push_back(wire::to_string(e));
    return list;
  };
  const std::string version = std::to_string(wire::kSoftwareMajor) + "." +
                              std::to_string(wire::kSoftwareMinor) + "." +
                              std::to_string(wire::kSoftwareRevision);
  return {{"address", wire::to_string(node.identity.address)},
          {"publicIdentity", wire::to_string(node.identity)},
          {"online", node.online},
          {"tcpFallbackActive", facts.tunneled},
          {"version", version},
          {"versionMajor", wire::kSoftwareMajor},
          {"versionMinor", wire::kSoftwareMinor},
          {"versionRev", wire::kSoftwareRevision},
          {"versionBuild", 0},
          {"orreryVersion", ORRERY_VERSION},
          {"clock", facts.wall},
          {"planetWorldId", node.planet_id},
          {"planetWorldTimestamp", node.planet_timestamp},
          {"config",
           {{"settings",
             {{"allowTcpFallbackRelay", facts.allow_tcp},
              {"forceTcpRelay", facts.force_tcp},
              {"homeDir", facts.home},
              {"interfacePrefixBlacklist", facts.interface_blacklist},
              {"listeningOn", texts(facts.listening)},
              {"portMappingEnabled", facts.port_mapping},
              {"primaryPort", facts.port},
              {"secondaryPort", 0},
              {"softwareUpdate", "disable"},
              {"softwareUpdateChannel", "release"},
              {"surfaceAddresses", texts(node.surface)},
              {"mappedAddresses", texts(node.mapped)},
              {"tcpFallbackRelay", wire::to_string(facts.relay)},
              {"tertiaryPort", 0}}}}}};
}

nlohmann::json to_json(const control::NetworkStatus& network, const std::string& device) {
  json addresses = json::array();
  for (const wire::Endpoint& a : network.addresses) addresses.push_back(wire::to_string(a));
  json routes = json::array();
  for (const auto& r : network.routes) {
    routes.push_back({{"target", wire::to_string(r.target)},
                      {"via", r.via ? json(wire::ip_to_string(r.via)) : json(nullptr)},
                      {"flags", 0},
                      {"metric", r.metric}});
  }
  json groups = json::array();
  for (const wire::MulticastGroup& g : network.subscriptions) {
    groups.push_back({{"mac", wire::to_string(g.mac)}, {"adi", g.adi}});
  }
  json lan_ports = json::array();
  for (const auto& port : network.lan_ports) {
    json bridges = json::array();
    for (const wire::Address bridge : port.neighbours) bridges.push_back(wire::to_string(bridge));
    lan_ports.push_back({{"port", port.port},
                         {"blocked", port.blocked},
                         {"reason", port.reason},
                         {"bridges", bridges}});
  }
  json servers = json::array();
  for (const wire::Endpoint& s : network.dns_servers) servers.push_back(wire::ip_to_string(s));
  json result = {{"id", wire::to_string(network.id)},
                 {"nwid", wire::to_string(network.id)},
                 {"mac", wire::to_string(network.mac)},
                 {"name", network.name},
                 {"status", state_name(network.state)},
                 {"type", network.is_public ? "PUBLIC" : "PRIVATE"},
                 {"mtu", network.mtu},
                 {"dhcp", false},
                 {"bridge", network.bridge},
                 {"broadcastEnabled", network.broadcast},
                 {"portError", network.port_error},
                 {"netconfRevision", network.revision},
                 {"portDeviceName", device},
                 {"allowManaged", network.settings.allow_managed},
                 {"allowGlobal", network.settings.allow_global},
                 {"allowDefault", network.settings.allow_default},
                 {"allowDNS", network.settings.allow_dns},
                 {"assignedAddresses", addresses},
                 {"routes", routes},
                 {"multicastSubscriptions", groups},
                 {"dns", {{"domain", network.dns_domain}, {"servers", servers}}}};
  if (!network.relays.empty()) {
    json relays = json::array();
    for (const wire::Address relay : network.relays) relays.push_back(wire::to_string(relay));
    result["networkRelays"] = relays;
  }
  if (!network.lan_ports.empty()) {
    result["lanPorts"] = lan_ports;
    result["remoteStations"] = network.remote_stations;
  }
  return result;
}

nlohmann::json to_json(const control::PeerStatus& peer, Millis now_mono, Millis now_wall) {
  json paths = json::array();
  for (const control::PathStatus& p : peer.paths) {
    paths.push_back(to_json(p, now_mono, now_wall));
    if (!peer.bond) continue;
    const auto age = [&](Millis at) { return at == 0 ? Millis{-1} : now_mono - at; };
    paths.back().update(
        {{"latencyMean", p.latency_ms},
         {"latencyVariance", p.jitter_ms},
         {"packetLossRatio", p.loss_permille / 1'000.0},
         {"packetErrorRatio", 0.0},
         {"assignedFlowCount", p.flow_share},
         {"lastInAge", age(p.last_in)},
         {"lastOutAge", age(p.last_out)},
         {"bonded", p.bonded},
         {"eligible", !p.expired && p.state != control::PathStatus::State::kFailed},
         {"givenLinkSpeed", 0},
         {"relativeQuality", p.loss_permille > 0 ? 1.0 - p.loss_permille / 1'000.0 : 1.0}});
  }
  static constexpr const char* kRoles[] = {"LEAF", "MOON", "PLANET"};
  const std::string version = std::to_string(peer.version_major) + "." +
                              std::to_string(peer.version_minor) + "." +
                              std::to_string(peer.version_revision);
  json result = {
      {"address", wire::to_string(peer.identity.address)},
      {"versionMajor", peer.version_major},
      {"versionMinor", peer.version_minor},
      {"versionRev", peer.version_revision},
      {"version", version},
      {"latency", peer.latency_ms},
      {"role", kRoles[static_cast<std::size_t>(peer.role)]},
      {"isBonded", peer.bond.has_value()},
      {"tunneled", false},
      {"cipher", peer.suite == wire::Suite::kAesGmacSiv ? "AES-GMAC-SIV" : "SALSA20/12-POLY1305"},
      {"paths", paths}};
  if (peer.bond) {
    result["bondingPolicyCode"] = static_cast<int>(peer.bond->policy);
    result["bondingPolicyStr"] = name_of(peer.bond->policy);
    result["numAliveLinks"] = peer.bond->alive;
    result["numTotalLinks"] = peer.bond->links;
    result["failoverInterval"] = control::PathWatch::kDead;
    result["upDelay"] = control::PathWatch::kLeastTrial;
    result["downDelay"] = 0;
    result["packetsPerLink"] = -1;
  }
  return result;
}

nlohmann::json to_json(const control::MoonStatus& moon) {
  json result = {{"id", wire::to_string(wire::NetworkId{moon.id})},
                 {"timestamp", 0},
                 {"signature", nullptr},
                 {"updatesMustBeSignedBy", nullptr},
                 {"roots", json::array()},
                 {"waiting", moon.waiting}};
  Reader reader(moon.world);
  const auto world = moon.waiting ? std::nullopt : wire::read_world(reader);
  if (!world) return result;
  result["timestamp"] = world->timestamp;
  result["signature"] = to_hex(world->signature);
  result["updatesMustBeSignedBy"] = to_hex(world->update_key);
  for (const wire::WorldRoot& root : world->roots) {
    json endpoints = json::array();
    for (const wire::Endpoint& e : root.endpoints) endpoints.push_back(wire::to_string(e));
    result["roots"].push_back(
        {{"identity", wire::to_string(root.identity)}, {"stableEndpoints", endpoints}});
  }
  return result;
}

HttpResponse LocalApi::handle(const HttpRequest& request) const {
  const bool local = is_token(tokens_.all, request.token);
  const bool open = request.path == "/health" || is_v1(request.path) ||
                    (request.path == "/metrics" && is_token(tokens_.metrics, request.token));
  if (request.method == "GET" && !request.token_in_url) {
    if (auto page = web_file(request.path)) return std::move(*page);
  }
  if (request.token_in_url || (!open && !local)) {
    return {401, "{}", "application/json"};
  }
  try {
    if (!is_v1(request.path)) return route(request);
    HttpResponse response;
    const bool ran = invoke_([&](ApiTarget& target) { response = target.api_v1(request, local); });
    return ran ? response : stopping();
  } catch (const std::exception& e) {
    const bool v1 = is_v1(request.path);
    return {500, v1 ? control::api_error(500, e.what()).body : control::bad_body(e.what()).body,
            "application/json"};
  }
}

/// A long list is put together here, so that it holds up control for a piece at a time only.
HttpResponse LocalApi::controller(const HttpRequest& request) const {
  HttpResponse response;
  std::optional<control::MemberList> rest;
  do {
    const bool ran = invoke_([&](ApiTarget& target) {
      HttpResponse piece = target.controller(request, rest);
      response.body += piece.body;
      piece.body = std::move(response.body);
      response = std::move(piece);
    });
    if (!ran) return stopping();
  } while (rest);
  return response;
}

HttpResponse LocalApi::route(const HttpRequest& request) const {
  const std::string& path = request.path;
  const bool get = request.method == "GET" || request.method == "HEAD";
  const bool post = request.method == "POST" || request.method == "PUT";
  const bool remove = request.method == "DELETE";
  if (!get && !post && !remove) return {405, "{}", "application/json"};

  if (post && capture_ && path == "/orrery/capture") return capture_(request.body);
  if (path.starts_with("/controller") || path.starts_with("/unstable/controller"))
    return controller(request);

  HttpResponse response = not_found();
  const bool ran = invoke_([&](ApiTarget& target) {
    if (get && path == "/status") {
      response = answer(target.status());
    } else if (get && path == "/health") {
      const json status = target.status();
      json health = json::object();
      for (const char* key : {"online", "version", "versionMajor", "versionMinor", "versionRev",
                              "versionBuild", "clock"}) {
        health[key] = status.at(key);
      }
      response = answer(health);
    } else if (get && path == "/metrics") {
      response = {200, target.metrics(), "text/plain"};
    } else if (get && path == "/config") {
      response = answer(target.status().at("config"));
    } else if (get && path == "/network") {
      response = answer(target.networks());
    } else if (const auto id_text = behind(path, "/network/")) {
      const auto id = wire::parse_network_id(*id_text);
      if (!id) return;
      if (post) {
        target.join(*id, body_of(request));
      } else if (remove) {
        response = answer(target.leave(*id) ? json{{"result", true}} : json::object());
        return;
      }
      const json networks = target.networks();
      const json* found = find_by(networks, "id", wire::to_string(*id));
      response = found != nullptr ? answer(*found) : answer(json::object(), 404);
    } else if (get && path == "/peer") {
      response = answer(target.peers());
    } else if (const auto peer_text = behind(path, "/peer/"); get && peer_text) {
      const auto address = wire::parse_address(*peer_text);
      if (!address) return;
      const json peers = target.peers();
      const json* found = find_by(peers, "address", wire::to_string(*address));
      response = answer(found != nullptr ? *found : json::object());
    } else if (get && path == "/moon") {
      response = answer(target.moons());
    } else if (const auto moon_text = behind(path, "/moon/")) {
      const auto short_id = wire::parse_address(*moon_text);
      const auto long_id = wire::parse_network_id(*moon_text);
      if (!short_id && !long_id) return;
      const std::uint64_t id = short_id ? short_id->value : long_id->value;
      if (post) {
        const json body = body_of(request);
        const auto text_of = [&](const char* key) {
          return body.contains(key) && body[key].is_string() ? body[key].get<std::string>()
                                                             : std::string();
        };
        std::optional<control::Fingerprint> fingerprint;
        if (body.contains("fingerprint")) {
          // Without it the seed would be trusted as it comes, which was not asked for.
          fingerprint = parse_fingerprint(text_of("fingerprint"));
          if (!fingerprint) {
            response = bad_request("\"fingerprint\" is not 96 hexadecimal digits");
            return;
          }
        }
        target.orbit(id, wire::parse_address(text_of("seed")).value_or(wire::Address{}),
                     fingerprint);
      } else if (remove) {
        target.deorbit(id);
        response = answer(json{{"result", true}});
        return;
      }
      const json moons = target.moons();
      const json* found = find_by(moons, "id", wire::to_string(wire::NetworkId{id}));
      response = answer(found != nullptr ? *found : json::object());
    } else if (const auto shown = behind(path, "/bond/show/"); get && shown) {
      const json peers = target.peers();
      const json* found = find_by(peers, "address", *shown);
      const bool bonded = found != nullptr && found->value("isBonded", false);
      response = bonded ? answer(*found) : answer(json::object(), 400);
    } else if (const auto rotated = behind(path, "/bond/rotate/"); post && rotated) {
      const auto address = wire::parse_address(*rotated);
      response = answer(json::object(), address && target.rotate_bond(*address) ? 200 : 400);
    } else if (post && path.starts_with("/bond/setmtu/")) {
      response = answer(json::object(), 400);  // what links carry is found out by probes
    } else if (const auto pinged = behind(path, "/orrery/ping/"); post && pinged) {
      const auto address = wire::parse_address(*pinged);
      if (address) response = answer(target.ping(*address));
    } else if (post && path == "/orrery/pins") {
      const auto pins = parse_pins(request.body);
      if (!pins) {
        response = bad_request("the body " + pins.error().text);
        return;
      }
      target.pin(*pins);
      response = answer({{"pinned", pins->size()}});
    } else if (const auto pin_text = behind(path, "/orrery/pins/"); remove && pin_text) {
      const auto address = wire::parse_address(*pin_text);
      if (!address) return;
      response = target.unpin(*address) ? answer({{"result", true}}) : answer(json::object(), 404);
    } else if (post && path == "/orrery/roots/check") {
      const json body = body_of(request);
      const auto world = wire::parse_network_id(body.contains("world") && body["world"].is_string()
                                                    ? body["world"].get<std::string>()
                                                    : std::string("0000000000000000"));
      if (!world) {
        response = bad_request("\"world\" is not 16 hexadecimal digits");
        return;
      }
      response = answer({{"asked", target.check_roots(world->value)}});
    } else if (const auto what = behind(path, "/orrery/"); get && what) {
      const json value = target.inspect(*what);
      if (!value.is_null()) response = answer(value);
    }
  });
  return ran ? response : stopping();
}

}  // namespace orrery::service
