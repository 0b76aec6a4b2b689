// What happens at the controller, for those who want to know: a stream of events, webhooks, and the
// audit log, which is what operators changed.
//
// Events have ids that rise, also across restarts, as they follow the wall clock. They are taken
// out by the driver once the records of the same input are durable, so nobody hears of what a crash
// would undo. The newest kAuditMost entries of the audit log are kept in memory and in the store.
// Fields that are secrets, or larger than a KiB, are named and not shown.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/controller/registry.h"

namespace orrery::control {

struct ControllerEvent {
  std::uint64_t id = 0;
  Millis time = 0;          // wall
  std::string type;         // as in openapi.json
  std::string actor;        // name of a token, "local" or "member"
  wire::NetworkId network;  // 0: none
  wire::Address member;     // 0: none
  nlohmann::json changes;   // field -> {"from", "to"}; null: none
};

[[nodiscard]] nlohmann::json to_json(const ControllerEvent& event);

/// Fields in which two records differ, but for revision and what only counts.
[[nodiscard]] nlohmann::json changes_between(const nlohmann::json& before,
                                             const nlohmann::json& after);

class EventLog {
 public:
  static constexpr std::size_t kAuditMost = 10'000;
  /// No event at this time or later has a lower id.
  [[nodiscard]] std::uint64_t next_id(Millis wall) const;
  /// Events that nobody has taken: a driver that does not is none of ours.
  static constexpr std::size_t kPendingMost = 65'536;

  /// The member itself is the cause of an event.
  static constexpr const char* kMember = "member";

  /// An entry of the audit log, from the store. False: none.
  bool load(const StoreWrite& record);

  /// Gives the event its id. What an operator caused goes into the audit log.
  void add(Millis wall, ControllerEvent event, Registry& registry);

  /// Those since the last call.
  [[nodiscard]] std::vector<ControllerEvent> take() { return std::exchange(pending_, {}); }

  /// Of the audit log, newest first: up to `most` entries with ids below `before`, as JSON.
  template <typename Wanted>
  [[nodiscard]] std::vector<nlohmann::json> audit(std::uint64_t before, std::size_t most,
                                                  Wanted wanted) const {
    std::vector<nlohmann::json> page;
    for (auto it = audit_.rbegin(); it != audit_.rend() && page.size() < most; ++it) {
      if (it->at("id") < before && wanted(*it)) page.push_back(*it);
    }
    return page;
  }

  [[nodiscard]] std::size_t audit_size() const { return audit_.size(); }

  /// Events of a type since the start.
  [[nodiscard]] std::uint64_t count_of(const std::string& type) const {
    const auto it = counts_.find(type);
    return it == counts_.end() ? 0 : it->second;
  }

 private:
  std::uint64_t last_id_ = 0;
  std::vector<ControllerEvent> pending_;
  std::deque<nlohmann::json> audit_;  // ids rise
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace orrery::control
