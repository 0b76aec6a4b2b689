// What the local API asks of the running parts: the node, its networks, the controller, the loop
// and the workers, as JSON and answers.
//
// Lives as long as the daemon serves; every call is on the control thread, between begin() and the
// end of the command that it is part of. What the controller answers is true as soon as
// what is awaited() is durable, and not told before.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "control/controller/api_v1.h"
#include "control/controller/controller.h"
#include "service/control_loop.h"
#include "service/controller_driver.h"
#include "service/event_hub.h"
#include "service/local_api.h"
#include "service/tcp_relay.h"

namespace orrery::service {

class ApiService final : public ApiTarget {
 public:
  /// `controller`, `driver` and `api`: null where this node is none, and so `relay`. All outlive
  /// it.
  ApiService(const Config& config, const Home& home, control::Node& node,
             control::Networks& networks, control::Controller* controller, ControllerDriver* driver,
             control::ApiV1* api, EventHub& hub, ControlLoop& loop, const WorkerTeam& workers,
             const TcpRelay* relay)
      : config_(config),
        home_(home),
        node_(node),
        networks_(networks),
        controller_(controller),
        driver_(driver),
        api_(api),
        hub_(hub),
        loop_(loop),
        workers_(workers),
        relay_(relay) {}

  /// A command begins; its effects go into `effects`.
  void begin(Now now, control::Effects& effects) {
    now_ = now;
    effects_ = &effects;
    awaited_.reset();
  }

  /// What the answers since begin() depend on.
  struct Awaited {
    Committer::Ticket ticket;
    bool changed = false;  // something that is to be kept; else it was only looked at
  };

  [[nodiscard]] std::optional<Awaited> awaited() const { return awaited_; }

  nlohmann::json status() override;
  nlohmann::json peers() override;
  nlohmann::json moons() override;
  nlohmann::json networks() override;
  void join(wire::NetworkId id, const nlohmann::json& body) override;
  bool leave(wire::NetworkId id) override;
  void orbit(std::uint64_t moon, wire::Address seed,
             const std::optional<control::Fingerprint>& fingerprint) override;
  void deorbit(std::uint64_t moon) override;
  nlohmann::json ping(wire::Address peer) override;
  bool rotate_bond(wire::Address peer) override;
  nlohmann::json inspect(const std::string& what) override;
  void pin(const Pins& pins) override;
  bool unpin(wire::Address address) override;
  std::size_t check_roots(std::uint64_t world) override;
  std::string metrics() override;
  HttpResponse controller(const HttpRequest& request,
                          std::optional<control::MemberList>& rest) override;
  HttpResponse api_v1(const HttpRequest& request, bool local) override;

 private:
  /// Runs a call of the controller; its answer shows records that may have to be awaited.
  template <typename Call>
  auto with_records(Call call);
  [[nodiscard]] nlohmann::json workers_json() const;
  [[nodiscard]] nlohmann::json rules_json() const;
  /// Of all workers, of control, and what did not fit between them.
  [[nodiscard]] nlohmann::json drops_json() const;
  [[nodiscard]] nlohmann::json paths_json() const;
  /// Frames of a network, or of one of its members, that workers and control have carried.
  [[nodiscard]] dataplane::Traffic traffic_of(wire::NetworkId network) const;
  [[nodiscard]] dataplane::Traffic traffic_of(wire::NetworkId network, wire::Address member) const;
  /// What workers carried, by peer, and both by network.
  [[nodiscard]] nlohmann::json traffic_json() const;
  /// The same by member of one network.
  [[nodiscard]] nlohmann::json traffic_json(wire::NetworkId network) const;

  const Config& config_;
  const Home& home_;
  control::Node& node_;
  control::Networks& networks_;
  control::Controller* controller_;
  ControllerDriver* driver_;
  control::ApiV1* api_;
  EventHub& hub_;
  ControlLoop& loop_;
  const WorkerTeam& workers_;
  const TcpRelay* relay_;  // null: none is offered
  Now now_;
  control::Effects* effects_ = nullptr;
  std::optional<Awaited> awaited_;
};

}  // namespace orrery::service
