// A node as the API sees it, without a node: one root as a peer, networks and moons that only
// stand in lists.
#pragma once

#include <stdexcept>

#include "service/local_api.h"
#include "service/path_json.h"
#include "wire/world.h"

namespace orrery::test {

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
    control::PathStatus path;
    path.key = {1, *wire::parse_endpoint("198.51.100.1/9993")};
    path.active = path.preferred = true;
    peer.paths.push_back(path);
    nlohmann::json all = nlohmann::json::array({service::to_json(peer, 1, 1'700'000'000'000)});
    if (joined.empty()) return all;
    peer.identity.address = wire::Address{0x92afc1f423};  // its member
    peer.role = control::PeerStatus::Role::kLeaf;
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
    for (const auto& network : joined) all.push_back(service::to_json(network, "zttest"));
    return all;
  }

  void join(wire::NetworkId id, const nlohmann::json& settings) override {
    auto it = joined.begin();
    while (it != joined.end() && it->id != id) ++it;
    if (it == joined.end()) {
      it = joined.insert(it, control::NetworkStatus{});
      it->id = id;
    }
    if (settings.contains("allowGlobal") && settings["allowGlobal"].is_boolean())
      it->settings.allow_global = settings["allowGlobal"];
  }

  bool leave(wire::NetworkId id) override {
    return std::erase_if(joined, [&](const auto& n) { return n.id == id; }) != 0;
  }

  void orbit(std::uint64_t moon, wire::Address seed) override {
    if (!seed) return;
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

  nlohmann::json inspect(const std::string& what) override {
    if (what == "drops" || what == "ports" || what == "workers" || what == "traffic" ||
        what == "paths" || what == "rules")
      return nlohmann::json::object({{"what", what}});
    if (what == "ping/" + root_text())
      return service::to_json(std::vector<control::PingStatus>{
          {pinged, 100, answers ? 112 : 0, {1, *wire::parse_endpoint("198.51.100.1/9993")}}});
    if (what == "why/" + root_text()) return service::to_json(route, 1'000'000, 1'700'000'000'000);
    return nullptr;
  }

  service::HttpResponse controller(const service::HttpRequest& request) override {
    return {200, request.path.ends_with("missing") ? "null" : "[]", "application/json"};
  }

  wire::Identity self, root;
  bool online = true;
  std::string failure;  // thrown by status() unless empty
  unsigned pinged = 0;
  bool answers = true;         // to pings
  control::RouteStatus route;  // to the root
  std::vector<control::NetworkStatus> joined;
  std::vector<control::MoonStatus> orbited;
};

}  // namespace orrery::test
