// What webhooks there are: addresses to which events are posted, as records. Who posts is the
// service (service/webhook_sender.h).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/controller/registry.h"

namespace orrery::control {

/// Which events somebody wants.
struct EventFilter {
  std::set<std::string> types;                        // empty: all
  std::optional<std::set<wire::NetworkId>> networks;  // none: all, and those of no network

  [[nodiscard]] bool wants(const std::string& type, wire::NetworkId network) const {
    return (types.empty() || types.contains(type)) && (!networks || networks->contains(network));
  }
};

struct Webhook {
  std::string id;
  std::string url;
  std::string secret;
  bool enabled = true;
  EventFilter filter;
};

class Webhooks {
 public:
  static constexpr std::size_t kMost = 16;
  /// Random bytes of a new one: its id, and its secret.
  static constexpr std::size_t kRandom = 8 + 32;

  /// A record from the store. False: not one of these.
  bool load(const StoreWrite& record);

  /// As the API shows them: without secrets.
  [[nodiscard]] nlohmann::json list() const;
  [[nodiscard]] std::vector<Webhook> all() const;
  /// `fields`: WebhookFields of openapi.json, already checked. The answer holds the secret.
  /// REQUIRES: size() < kMost.
  nlohmann::json create(Millis wall, const nlohmann::json& fields, MutableBytes random,
                        Registry& registry);
  /// Nothing: there is none.
  std::optional<nlohmann::json> change(const std::string& id, const nlohmann::json& fields,
                                       Registry& registry);
  bool remove(const std::string& id, Registry& registry);

  [[nodiscard]] std::size_t size() const { return hooks_.size(); }

  /// Rises with every change: whoever posts looks again.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  [[nodiscard]] static nlohmann::json shown(nlohmann::json record);

  std::map<std::string, nlohmann::json> hooks_;  // by id
  std::uint64_t generation_ = 0;
};

}  // namespace orrery::control
