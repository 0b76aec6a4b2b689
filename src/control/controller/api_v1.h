// /api/v1: networks, members, tokens, webhooks and the audit log as openapi.json describes them.
//
// The document is not about this code, it is part of it: paths, methods, roles, parameters and
// bodies are looked up in it and checked by it before a handler runs, so what it does not allow
// does not happen, and a complaint names the place in the body ("$.routes[0].target"). What a
// schema cannot say (a gateway of the route's family, a rule's own fields) the handlers check.
//
// Beside the paths of the stock controller, on the same records: their writes and events are the
// same. Has the duties of controller.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "control/controller/access.h"
#include "control/controller/controller.h"
#include "control/controller/json_schema.h"
#include "control/controller/webhooks.h"

namespace orrery::control {

struct ApiCall {
  std::string method;  // upper case
  std::string path;    // without query
  std::map<std::string, std::string> query;
  std::string body;
  std::string if_match, if_none_match;  // header fields as they came
  std::string token;
  bool local = false;  // it is the daemon's own
};

struct ApiAnswer {
  int status = 200;
  std::string body;      // JSON, or empty
  std::string etag;      // with its quotes; empty: none
  std::string location;  // path of what was made; empty: none
  /// Instead of a body: events as they happen, those that are wanted.
  std::optional<EventFilter> events = std::nullopt;
};

class ApiV1 {
 public:
  /// Entries that a call looks at in search of what its filters want: a page may be shorter than
  /// its limit, or empty, and yet not the last. 100,000 members of a network in six calls.
  static constexpr std::size_t kLooksPerCall = 20'000;

  /// What the service knows of a webhook's deliveries: fields of the schema Webhook, or nothing.
  using Deliveries = std::function<nlohmann::json(const std::string& id)>;

  explicit ApiV1(Controller& controller);

  /// A token or webhook from the store. False: not one of these.
  bool load(const StoreWrite& record) { return tokens_.load(record) || webhooks_.load(record); }

  void set_deliveries(Deliveries deliveries) { deliveries_ = std::move(deliveries); }

  ApiAnswer handle(Now now, const ApiCall& call, Effects& out);

  [[nodiscard]] const Webhooks& webhooks() const { return webhooks_; }

  /// Of the document; one for the process, made by the first of us.
  [[nodiscard]] static const JsonSchema& schema();

 private:
  struct Context {
    Now now;
    const ApiCall& call;
    Caller caller;
    wire::NetworkId network{};  // of the path
    wire::Address member{};
    std::string id{};
    std::map<std::string, nlohmann::json> query{};
    nlohmann::json body{};
    Effects& out;
  };

  using Handler = ApiAnswer (ApiV1::*)(Context&);

  struct Route {
    std::string_view method;  // as in the document
    std::string_view path;
    Handler handler;
  };

  static const std::vector<Route>& routes();

  // api_v1.cc
  ApiAnswer carry_out(Context& context, const Route& route);
  std::optional<ApiAnswer> read_query(Context& context, const nlohmann::json& operation) const;
  ApiAnswer show_document(Context& context);
  ApiAnswer show_status(Context& context);
  ApiAnswer open_events(Context& context);

  // api_v1_networks.cc
  ApiAnswer list_networks(Context& context);
  ApiAnswer create_network(Context& context);
  ApiAnswer read_network(Context& context);
  ApiAnswer change_network(Context& context);
  ApiAnswer delete_network(Context& context);
  ApiAnswer list_addresses(Context& context);
  ApiAnswer compile_source(Context& context);
  ApiAnswer store_network(Context& context, wire::NetworkId id, int status);

  // api_v1_members.cc
  ApiAnswer list_members(Context& context);
  ApiAnswer read_member(Context& context);
  ApiAnswer change_member(Context& context);
  ApiAnswer delete_member(Context& context);
  ApiAnswer bulk_members(Context& context);
  /// Sets fields, already checked by the schema, of one member.
  ApiAnswer store_member(Context& context, wire::Address address, const nlohmann::json& fields,
                         std::string_view if_match);
  ApiAnswer forget_member(Context& context, wire::Address address, std::string_view if_match);

  // api_v1_admin.cc
  ApiAnswer list_tokens(Context& context);
  ApiAnswer create_token(Context& context);
  ApiAnswer delete_token(Context& context);
  ApiAnswer list_webhooks(Context& context);
  ApiAnswer create_webhook(Context& context);
  ApiAnswer change_webhook(Context& context);
  ApiAnswer delete_webhook(Context& context);
  ApiAnswer list_audit(Context& context);
  void note(const Context& context, const char* type, const std::string& name);
  /// A webhook with what is known of its deliveries.
  [[nodiscard]] nlohmann::json with_deliveries(nlohmann::json hook) const;

  Controller& controller_;
  AccessTokens tokens_;
  Webhooks webhooks_;
  Deliveries deliveries_;
};

}  // namespace orrery::control
