// The local API under any request, for a node whose networks, peers and moons hold what the input
// says, names from the network among them.
//
// Input: [1] method, [1] path, [1] bits, [2] length of what others told us, that, body.
// Invariants: no exception leaves handle(); without the token nothing but /health, the page and
// what has tokens of its own is answered; an answer that claims to be JSON is JSON; nothing runs on
// the control thread for a refused request.
#include "fuzz/wire/verb_fuzz.h"
#include "service/local_api.h"
#include "service/metrics.h"
#include "service/path_json.h"

namespace {

using namespace orrery;
using fuzz::check;
using nlohmann::json;

constexpr const char* kToken = "0123456789abcdefghijklmn";
constexpr wire::NetworkId kNetwork{0x74139a3ce3000001};

class Target final : public service::ApiTarget {
 public:
  explicit Target(Bytes told) : told_(told) {}

  json status() override {
    return {{"online", true},     {"version", "1.14.1"},     {"versionMajor", 1},
            {"versionMinor", 14}, {"versionRev", 1},         {"versionBuild", 0},
            {"clock", 1},         {"config", json::object()}};
  }

  json peers() override {
    control::PeerStatus peer;
    peer.identity.address = wire::Address{0x171ed924fb};
    Reader r(told_);
    peer.version_major = r.u8();
    peer.latency_ms = static_cast<int>(r.u32());
    peer.paths.push_back(path(r));
    return json::array({service::to_json(peer, 1, 1'700'000'000'000)});
  }

  json ping(wire::Address peer) override { return {{"sequence", peer.value}}; }

  bool rotate_bond(wire::Address peer) override { return peer.value == 1; }

  json moons() override {
    control::MoonStatus moon;
    moon.id = 0x171ed924fb;
    moon.world.assign(told_.begin(), told_.end());
    return json::array({service::to_json(moon)});
  }

  json networks() override {
    control::NetworkStatus network;
    network.id = kNetwork;
    network.name.assign(told_.begin(), told_.end());
    network.dns_domain = network.name;
    return json::array({service::to_json(network, "ztfuzz")});
  }

  void join(wire::NetworkId, const json& settings) override {
    if (settings.is_object()) settings_ = settings.size();
  }

  bool leave(wire::NetworkId id) override { return id == kNetwork; }

  void orbit(std::uint64_t, wire::Address, const std::optional<control::Fingerprint>&) override {}

  void deorbit(std::uint64_t) override {}

  void pin(const service::Pins&) override {}

  bool unpin(wire::Address address) override { return address.value == 1; }

  std::size_t check_roots(std::uint64_t) override { return 0; }

  json inspect(const std::string& what) override {
    if (what.starts_with("why/")) return service::to_json(route(), 1'000, 1'700'000'000'000);
    if (what.starts_with("ping/")) {
      Reader r(told_);
      return service::to_json(std::vector<control::PingStatus>{
          {r.u32(), r.u16(), r.u16(), {1, wire::Endpoint::v4(r.u32(), r.u16())}, r.u8() != 0}});
    }
    return what == "drops" ? json::object() : json();
  }

  std::string metrics() override {
    Reader r(told_);
    service::Metrics m;
    m.ports = {{std::string(text_of(r.bytes(r.u8() % 8))), r.u64(), r.u64(), r.u64(), r.u64()}};
    return service::to_text(std::move(m));
  }

  service::HttpResponse controller(const service::HttpRequest&,
                                   std::optional<control::MemberList>&) override {
    return {200, "[]", "application/json"};
  }

  service::HttpResponse api_v1(const service::HttpRequest& request, bool local) override {
    check(local == (request.token == kToken) && request.path.starts_with("/api/v1"));
    return {local ? 200 : 401, "{}", "application/json"};
  }

 private:
  static control::PathStatus path(Reader& r) {
    control::PathStatus path;
    path.key = {1, wire::Endpoint::v4(r.u32(), r.u16())};
    path.last_in = r.u16();
    path.preferred = (r.u8() & 1) != 0;
    path.state = static_cast<control::PathStatus::State>(r.u8() % 6);
    path.latency_ms = r.u16();
    path.cost = r.u32();
    path.trial_ms = r.u16();
    return path;
  }

  [[nodiscard]] control::RouteStatus route() const {
    Reader r(told_);
    control::RouteStatus route;
    route.kind = static_cast<control::RouteStatus::Kind>(r.u8() % 4);
    route.peer.identity.address = route.relay = wire::Address{r.u40()};
    if ((r.u8() & 1) != 0) route.reason = static_cast<control::ChoiceReason>(r.u8() % 6);
    for (int i = r.u8() % 4; i > 0; --i) route.peer.paths.push_back(path(r));
    for (int i = r.u8() % 4; i > 0; --i) {
      route.candidates.push_back({wire::Endpoint::v4(r.u32(), r.u16()),
                                  static_cast<control::CandidateSource>(r.u8() % 5),
                                  static_cast<control::CandidateVerdict>(r.u8() % 7), r.u16()});
    }
    return route;
  }

  Bytes told_;
  std::size_t settings_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* kMethods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
  static constexpr const char* kPaths[] = {"/status",
                                           "/health",
                                           "/config",
                                           "/network",
                                           "/network/74139a3ce3000001",
                                           "/network/",
                                           "/peer",
                                           "/peer/",
                                           "/moon",
                                           "/moon/000000171ed924fb",
                                           "/peer/171ed924fb",
                                           "/orrery/",
                                           "/controller",
                                           "/",
                                           "",
                                           "/api/v1",
                                           "/ui/",
                                           "/orrery/why/171ed924fb",
                                           "/orrery/ping/171ed924fb",
                                           "/metrics"};
  Reader r(Bytes(data, size));
  service::HttpRequest request;
  request.method = kMethods[r.u8() % std::size(kMethods)];
  request.path = kPaths[r.u8() % std::size(kPaths)];
  const std::uint8_t bits = r.u8();
  const Bytes told = r.bytes(std::min<std::size_t>(r.u16(), r.remaining()));
  const Bytes rest = r.rest();
  if ((bits & 1) != 0) request.path += std::string(text_of(told));
  request.body = std::string(text_of(rest));
  request.token_in_url = (bits & 2) != 0;
  request.token = (bits & 4) != 0 ? request.body.substr(0, 24) : kToken;
  bool ran = false;
  Target target(told);
  const service::LocalApi api({kToken, {}},
                              [&](const std::function<void(service::ApiTarget&)>& command) {
                                if ((bits & 8) != 0) return false;
                                ran = true;
                                command(target);
                                return true;
                              });
  const service::HttpResponse response = api.handle(request);
  const bool page = request.method == "GET" && (request.path == "/" || request.path == "/ui" ||
                                                request.path.starts_with("/ui/"));
  const bool v1 = request.path == "/api/v1" || request.path.starts_with("/api/v1/");
  const bool admitted =
      !request.token_in_url && (request.path == "/health" || page || v1 || request.token == kToken);
  check(admitted || (response.status == 401 && !ran));
  check(response.status >= 200 && response.status < 600);
  check(response.body.empty() || response.type != "application/json" ||
        json::accept(response.body));
  return 0;
}
