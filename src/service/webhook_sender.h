// Posts the controller's events to webhooks: one thread for each, so that none waits for another.
//
// A delivery is one event, as JSON (schema Event of openapi.json), with the headers
//   X-Orrery-Event: its type      X-Orrery-Delivery: its id
//   X-Orrery-Signature: sha384=<hex of HMAC-SHA384 under the webhook's secret>
// Any answer 2xx is a receipt. What else comes, or nothing within ten seconds, is tried again after
// 1, 5, 25 s and then every two minutes; the events behind it wait, in order, up to kWaitingMost,
// of which the oldest are lost and counted. What waits when the daemon ends is lost, too: the audit
// log has it. Redirects are not followed; https is verified against the system's certificates.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "control/controller/events.h"
#include "control/controller/webhooks.h"

namespace orrery::service {

class WebhookSender {
 public:
  static constexpr std::size_t kWaitingMost = 1'000;

  WebhookSender();
  ~WebhookSender();
  WebhookSender(const WebhookSender&) = delete;
  WebhookSender& operator=(const WebhookSender&) = delete;

  /// From now on these; what waits for one that stays goes on.
  void set(const std::vector<control::Webhook>& hooks);
  void publish(const std::vector<control::ControllerEvent>& events);
  /// delivered, failed, lost, waiting, lastError of one; null: not known.
  [[nodiscard]] nlohmann::json deliveries(const std::string& id) const;

 private:
  class Hook;
  std::map<std::string, std::unique_ptr<Hook>> hooks_;  // by id; of the control thread alone
  std::vector<std::unique_ptr<Hook>> retired_;          // whose threads are still about to end
};

/// The value of X-Orrery-Signature.
[[nodiscard]] std::string webhook_signature(const std::string& secret, const std::string& body);

}  // namespace orrery::service
