// A node as the API sees it, without a node: one root as a peer, networks and moons that only
// stand in lists.
#pragma once

#include <stdexcept>

#include "service/local_api.h"
#include "service/metrics.h"
#include "service/path_json.h"
#include "wire/world.h"

namespace orrery::test {

/// The network that the recordings of local_api.json and cli.json have joined, configured.
inline control::NetworkStatus recorded_network() {
  control::NetworkStatus n;
  n.id = wire::NetworkId{0x3401ba0b9a000077};
  n.mac = wire::Mac{0x7660a6220594};
  n.name = "local api";
  n.state = control::NetworkState::kOk;
  n.broadcast = true;
  n.revision = 1;
  n.settings.allow_dns = true;
  n.addresses = {*wire::parse_endpoint("fd34:1ba:b9a:0:7799:9360:a6b8:e2e/88"),
                 *wire::parse_endpoint("10.55.0.41/24")};
  n.routes = {{*wire::parse_endpoint("10.55.0.0/24"), {}, 0},
              {*wire::parse_endpoint("10.66.0.0/16"), *wire::parse_endpoint("10.55.0.1/0"), 0}};
  for (const std::uint64_t mac : {0x01005e000001u, 0x333300000001u, 0x3333ff220594u})
    n.subscriptions.push_back({wire::Mac{mac}, 0});
  n.dns_domain = "loc.example";
  n.dns_servers = {*wire::parse_endpoint("10.55.0.53/0")};
  return n;
}

class FakeTarget : public service::ApiTarget {
 public:
  FakeTarget() {
    self.address = wire::Address{0x60a6b80e2e};
    root.address = wire::Address{0x3401ba0b9a};
  }

  [[nodiscard]] std::string root_text() const { return wire::to_string(root.address); }

  nlohmann::json status() override {
    if (!failure.empty()) throw std::runtime_error(failure);
    control::NodeStatus node;
    node.identity = self;
    node.online = online;
    return service::to_json(node, {1'700'000'000'000, 9993, "/tmp", {}, {"zt", "lo"}});
  }

  nlohmann::json peers() override {
    control::PeerStatus peer;
    peer.identity = root;
    peer.role = control::PeerStatus::Role::kPlanet;
    peer.version_major = 1;
    peer.version_minor = 14;
    peer.version_revision = 1;
    peer.latency_ms = 23;
    if (bonded) peer.bond = control::BondStatus{control::BondPolicy::kActiveBackup, 2, 1};
    control::PathStatus path;
    path.key = {1, root_at};
    path.active = path.preferred = true;
    peer.paths.push_back(path);
    nlohmann::json all = nlohmann::json::array({service::to_json(peer, 1, 1'700'000'000'000)});
    if (joined.empty()) return all;
    peer.identity.address = wire::Address{0x92afc1f423};  // its member
    peer.role = control::PeerStatus::Role::kLeaf;
    peer.latency_ms = 0;
    all.push_back(service::to_json(peer, 1, 1'700'000'000'000));
    return all;
  }

  nlohmann::json moons() override {
    nlohmann::json all = nlohmann::json::array();
    for (const auto& moon : orbited) all.push_back(service::to_json(moon));
    return all;
  }

  nlohmann::json networks() override {
    nlohmann::json all = nlohmann::json::array();
    for (const auto& network : joined) all.push_back(service::to_json(network, device));
    return all;
  }

  void join(wire::NetworkId id, const nlohmann::json& settings) override {
    auto it = joined.begin();
    while (it != joined.end() && it->id != id) ++it;
    if (it == joined.end()) {
      it = joined.insert(it, control::NetworkStatus{});
      it->id = id;
    }
    const auto take = [&](const char* key, bool& value) {
      if (settings.contains(key) && settings[key].is_boolean()) value = settings[key];
    };
    take("allowManaged", it->settings.allow_managed);
    take("allowGlobal", it->settings.allow_global);
    take("allowDefault", it->settings.allow_default);
    take("allowDNS", it->settings.allow_dns);
  }

  bool leave(wire::NetworkId id) override {
    return std::erase_if(joined, [&](const auto& n) { return n.id == id; }) != 0;
  }

  void orbit(std::uint64_t moon, wire::Address seed,
             const std::optional<control::Fingerprint>& fingerprint) override {
    if (!seed) return;
    if (fingerprint) pins[seed] = *fingerprint;
    for (const auto& known : orbited) {
      if (known.id == moon) return;
    }
    orbited.push_back({moon, true, seed, {}});
  }

  void deorbit(std::uint64_t moon) override {
    std::erase_if(orbited, [&](const auto& m) { return m.id == moon; });
  }

  /// A moon that has arrived, with `identity` (text) as its only root.
  void add_moon(const std::string& identity) {
    wire::World world;
    world.type = wire::World::Type::kMoon;
    world.roots.push_back(
        {wire::parse_identity(identity)->identity, {*wire::parse_endpoint("198.51.100.1/9993")}});
    world.id = world.roots[0].identity.address.value;
    orbited.push_back({world.id, false, {}, wire::encode_world(world)});
  }

  nlohmann::json ping(wire::Address peer) override {
    if (peer != root.address) return {{"error", "no such peer"}};
    ++pinged;
    return {{"sequence", pinged}};
  }

  bool rotate_bond(wire::Address peer) override { return bonded && peer == root.address; }

  nlohmann::json inspect(const std::string& what) override {
    if (what == "pins") return nlohmann::json::parse(service::pins_text(pins));
    if (what == "drops" || what == "ports" || what == "workers" || what == "traffic" ||
        what == "paths" || what == "rules" || what == "traffic/3401ba0b9a000077")
      return nlohmann::json::object({{"what", what}});
    if (what == "ping/" + root_text())
      return service::to_json(std::vector<control::PingStatus>{
          {pinged, 100, answers ? 112 : 0, {1, *wire::parse_endpoint("198.51.100.1/9993")}}});
    if (what == "why/" + root_text()) return service::to_json(route, 1'000'000, 1'700'000'000'000);
    return nullptr;
  }

  std::string metrics() override { return service::to_text(metrics_now); }

  void pin(const service::Pins& more) override {
    for (const auto& [address, fingerprint] : more) pins[address] = fingerprint;
  }

  bool unpin(wire::Address address) override { return pins.erase(address) != 0; }

  std::size_t check_roots(std::uint64_t world) override {
    checked.push_back(world);
    return 1;
  }

  service::HttpResponse controller(const service::HttpRequest& request,
                                   std::optional<control::MemberList>& rest) override {
    if (request.path.ends_with("/long")) {
      const std::uint64_t piece = rest ? rest->after.value : 0;
      rest.reset();
      if (piece < 3) rest = control::MemberList{{}, wire::Address{piece + 1}};
      return {200, std::to_string(piece)};
    }
    return {200, request.path.ends_with("missing") ? "null" : "[]", "application/json"};
  }

  service::HttpResponse api_v1(const service::HttpRequest& request, bool local) override {
    last_v1 = request;
    return local ? v1 : service::HttpResponse{401, "{}"};
  }

  service::HttpRequest last_v1;
  service::HttpResponse v1{200, "{}"};
  wire::Identity self, root;
  std::string device = "zttest";
  wire::Endpoint root_at = *wire::parse_endpoint("198.51.100.1/9993");
  bool online = true;
  service::Metrics metrics_now;
  std::string failure;  // thrown by status() unless empty
  unsigned pinged = 0;
  bool bonded = false;         // the root, for tests of bonds
  bool answers = true;         // to pings
  control::RouteStatus route;  // to the root
  std::vector<control::NetworkStatus> joined;
  std::vector<control::MoonStatus> orbited;
  service::Pins pins;
  std::vector<std::uint64_t> checked;
};

}  // namespace orrery::test
