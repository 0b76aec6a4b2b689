// The local HTTP API: paths, access, and the JSON of status, networks, peers and moons.
//
// Requests arrive on the server's threads; what touches the node runs on the control thread through
// `Invoke`, which waits for the result. Source: docs/protocol/12-local-service.md section 5;
// docs/interop.md lists what differs on purpose (no tokens in URLs, no JSONP).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "control/controller/http.h"
#include "control/network.h"
#include "control/node.h"
#include "service/http_server.h"
#include "service/pin_text.h"

namespace orrery::service {

/// What the API needs of the running daemon. All of these run on the control thread.
class ApiTarget {
 public:
  virtual ~ApiTarget() = default;
  [[nodiscard]] virtual nlohmann::json status() = 0;
  [[nodiscard]] virtual nlohmann::json peers() = 0;
  [[nodiscard]] virtual nlohmann::json moons() = 0;
  [[nodiscard]] virtual nlohmann::json networks() = 0;
  virtual void join(wire::NetworkId id, const nlohmann::json& settings) = 0;
  /// False when it was not joined.
  virtual bool leave(wire::NetworkId id) = 0;
  /// The fingerprint, if any, is that of the seed.
  virtual void orbit(std::uint64_t moon, wire::Address seed,
                     const std::optional<control::Fingerprint>& fingerprint) = 0;
  virtual void deorbit(std::uint64_t moon) = 0;
  /// Sends one ECHO: its `sequence`, or an `error`.
  [[nodiscard]] virtual nlohmann::json ping(wire::Address peer) = 0;
  /// False: no active-backup bond, or no other link that works.
  virtual bool rotate_bond(wire::Address peer) = 0;
  /// Orrery's own: drops by reason, ports, workers, traffic, paths, why/PEER, ping/PEER, pins,
  /// roots, trust. Null: no such thing.
  [[nodiscard]] virtual nlohmann::json inspect(const std::string& what) = 0;
  virtual void pin(const Pins& pins) = 0;
  /// False when there was no pin.
  virtual bool unpin(wire::Address address) = 0;
  /// Asks the roots of a world (0: of all) for a sign of life; how many.
  virtual std::size_t check_roots(std::uint64_t world) = 0;
  /// What GET /metrics gives.
  [[nodiscard]] virtual std::string metrics() = 0;
  /// Paths under /controller and /unstable/controller. `rest`: what is left of the answer; it is
  /// handed in again until nothing is, and the bodies are one.
  virtual HttpResponse controller(const HttpRequest& request,
                                  std::optional<control::MemberList>& rest) = 0;
  /// Paths under /api/v1, whoever asks. `local`: with the daemon's own token.
  virtual HttpResponse api_v1(const HttpRequest& request, bool local) = 0;
};

class LocalApi {
 public:
  /// Runs a function on the control thread and returns when it is done and what it has changed is
  /// kept; false when the daemon is stopping. May throw what the function throws, and when
  /// something could not be kept.
  using Invoke = std::function<bool(const std::function<void(ApiTarget&)>&)>;

  /// Answers POST /orrery/capture with this body; none: there is no such path. Runs on the server's
  /// threads.
  using StartCapture = std::function<HttpResponse(const std::string& body)>;

  struct Tokens {
    std::string all;      // everything
    std::string metrics;  // only /metrics
  };

  LocalApi(Tokens tokens, Invoke invoke, StartCapture capture = {})
      : tokens_(std::move(tokens)), invoke_(std::move(invoke)), capture_(std::move(capture)) {}

  /// Never throws for what a request or the network holds: an exception becomes an answer 500.
  HttpResponse handle(const HttpRequest& request) const;

 private:
  [[nodiscard]] HttpResponse route(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse controller(const HttpRequest& request) const;

  Tokens tokens_;
  Invoke invoke_;
  StartCapture capture_;
};

/// What /status says of the daemon beside the node's own state.
struct DaemonFacts {
  Millis wall = 0;
  std::uint16_t port = 0;
  std::string home;
  std::vector<wire::Endpoint> listening;
  std::vector<std::string> interface_blacklist;
  bool port_mapping = false;
  bool allow_tcp = false;  // a relay may be used where UDP does not pass
  bool force_tcp = false;  // and is, always
  wire::Endpoint relay{};  // nil: none is known
  bool tunneled = false;   // it is in use now
};

/// JSON of one object each, with stock's field names. Names and domains stand in it as they came
/// from the network: write it with control::json_text.
[[nodiscard]] nlohmann::json to_json(const control::NodeStatus& node, const DaemonFacts& facts);
[[nodiscard]] nlohmann::json to_json(const control::NetworkStatus& network,
                                     const std::string& device);
[[nodiscard]] nlohmann::json to_json(const control::PeerStatus& peer, Millis now_mono,
                                     Millis now_wall);
[[nodiscard]] nlohmann::json to_json(const control::MoonStatus& moon);

}  // namespace orrery::service
