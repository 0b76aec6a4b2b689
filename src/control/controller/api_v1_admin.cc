// /api/v1: tokens, webhooks, the audit log.
#include <charconv>
#include <limits>

#include "control/controller/api_v1.h"
#include "control/controller/api_v1_records.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::int64_t kPage = 100;

}  // namespace

void ApiV1::note(const Context& context, const char* type, const std::string& name) {
  controller_.events().add(
      context.now.wall, {0, 0, type, context.caller.name, {}, {}, json{{"name", {{"to", name}}}}},
      controller_.records());
}

ApiAnswer ApiV1::list_tokens(Context&) {
  return api_answer(200, {{"data", tokens_.list()}});
}

ApiAnswer ApiV1::create_token(Context& context) {
  const json& fields = context.body;
  if (fields["role"] == "admin" && fields.value("networks", json()).is_array())
    return api_error(400, "a token of role admin cannot be limited to networks", "$.networks");
  if (tokens_.size() >= AccessTokens::kMost)
    return api_error(409, "there are " + std::to_string(AccessTokens::kMost) + " tokens already");
  std::array<std::uint8_t, AccessTokens::kRandom> random;
  controller_.transport().random(random);
  const json token = tokens_.create(context.now.wall, fields, random, controller_.records());
  note(context, "token.created", fields["name"]);
  ApiAnswer answer = api_answer(201, token);
  answer.location = "/api/v1/tokens/" + token["id"].get<std::string>();
  return answer;
}

ApiAnswer ApiV1::delete_token(Context& context) {
  const auto name = tokens_.remove(context.id, controller_.records());
  if (!name) return api_error(404, "there is no such token");
  note(context, "token.deleted", *name);
  return {204, {}, {}, {}};
}

json ApiV1::with_deliveries(json hook) const {
  if (deliveries_) {
    if (const json known = deliveries_(hook["id"]); known.is_object()) hook.update(known);
  }
  return hook;
}

ApiAnswer ApiV1::list_webhooks(Context&) {
  json all = json::array();
  for (const json& hook : webhooks_.list()) all.push_back(with_deliveries(hook));
  return api_answer(200, {{"data", std::move(all)}});
}

ApiAnswer ApiV1::create_webhook(Context& context) {
  if (webhooks_.size() >= Webhooks::kMost)
    return api_error(409, "there are " + std::to_string(Webhooks::kMost) + " webhooks already");
  std::array<std::uint8_t, Webhooks::kRandom> random;
  controller_.transport().random(random);
  const json hook = webhooks_.create(context.now.wall, context.body, random, controller_.records());
  note(context, "webhook.created", hook["name"]);
  ApiAnswer answer = api_answer(201, hook);
  answer.location = "/api/v1/webhooks/" + hook["id"].get<std::string>();
  return answer;
}

ApiAnswer ApiV1::change_webhook(Context& context) {
  const auto hook = webhooks_.change(context.id, context.body, controller_.records());
  if (!hook) return api_error(404, "there is no such webhook");
  note(context, "webhook.changed", (*hook)["name"]);
  return api_answer(200, with_deliveries(*hook));
}

ApiAnswer ApiV1::delete_webhook(Context& context) {
  if (!webhooks_.remove(context.id, controller_.records()))
    return api_error(404, "there is no such webhook");
  note(context, "webhook.deleted", context.id);
  return {204, {}, {}, {}};
}

ApiAnswer ApiV1::list_audit(Context& context) {
  if (context.caller.networks && !context.query.contains("network"))
    return api_error(403, "this token is limited to networks: ask for one of them");
  json network;
  if (const auto it = context.query.find("network"); it != context.query.end()) {
    const auto id = *wire::parse_network_id(it->second.get<std::string>());
    if (!context.caller.sees(id)) return api_error(404, "there is no such network", "network");
    network = wire::to_string(id);
  }
  std::uint64_t before = std::numeric_limits<std::uint64_t>::max();
  if (const auto it = context.query.find("after"); it != context.query.end()) {
    const auto& text = it->second.get_ref<const std::string&>();
    const auto read = std::from_chars(text.data(), text.data() + text.size(), before);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
      return api_error(400, "expected the `next` of another page", "after");
  }
  const auto limit = context.query.find("limit");
  const auto most = static_cast<std::size_t>(
      limit == context.query.end() ? kPage : limit->second.get<std::int64_t>());
  std::vector<json> page = controller_.events().audit(before, most + 1, [&](const json& entry) {
    return network.is_null() || entry["network"] == network;
  });
  json next;
  if (page.size() > most) {
    page.resize(most);
    next = std::to_string(page.back()["id"].get<std::uint64_t>());
  }
  return api_answer(200, {{"data", page}, {"next", next}});
}

}  // namespace orrery::control
