// /api/v1/networks: lists, records, addresses.
#include <algorithm>

#include "control/controller/api_v1.h"
#include "control/controller/api_v1_records.h"
#include "control/controller/records.h"
#include "control/rules/compiler.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::int64_t kPage = 100;

const json* find(const std::map<std::string, json>& query, const char* key) {
  const auto it = query.find(key);
  return it == query.end() ? nullptr : &it->second;
}

}  // namespace

ApiAnswer ApiV1::list_networks(Context& context) {
  const json* limit = find(context.query, "limit");
  const json* after = find(context.query, "after");
  const json* name = find(context.query, "name");
  const json* is_private = find(context.query, "private");
  wire::NetworkId cursor;
  if (after != nullptr) {
    const auto id = wire::parse_network_id(after->get<std::string>());
    if (!id) return api_error(400, "expected the `next` of another page", "after");
    cursor = *id;
  }
  const auto most = limit == nullptr ? kPage : limit->get<std::int64_t>();
  const auto& networks = controller_.registry().networks();
  std::size_t total = 0, looks = kLooksPerCall;
  for (const auto& [id, net] : networks)
    total += net.record.is_object() && context.caller.sees(id) ? 1 : 0;
  json data = json::array();
  auto it = networks.upper_bound(cursor);
  for (; it != networks.end() && looks > 0; ++it, --looks) {
    const auto& [id, net] = *it;
    if (static_cast<std::int64_t>(data.size()) >= most) break;
    cursor = id;
    if (!net.record.is_object() || !context.caller.sees(id)) continue;
    if (is_private != nullptr && net.view->is_private != *is_private) continue;
    if (name != nullptr && !has_name_part(net.record, *name)) continue;
    data.push_back(api_network(net, context.caller.role >= Role::kWrite));
  }
  return api_answer(200, {{"data", std::move(data)},
                          {"next", it == networks.end() ? json() : json(wire::to_string(cursor))},
                          {"total", total}});
}

ApiAnswer ApiV1::create_network(Context& context) {
  if (context.caller.networks)
    return api_error(403, "this token is limited to networks that exist");
  const auto id = controller_.free_network_id();
  if (!id) return api_error(503, "no free network id was found");
  return store_network(context, *id, 201);
}

ApiAnswer ApiV1::read_network(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const std::string etag = etag_of(net->record);
  if (names_etag(context.call.if_none_match, etag)) return {304, {}, etag, {}};
  return api_answer(200, api_network(*net, context.caller.role >= Role::kWrite), etag);
}

ApiAnswer ApiV1::change_network(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  const bool make = !context.call.if_none_match.empty();
  if (net == nullptr && !make) return api_error(404, "there is no such network");
  if (net != nullptr) {
    const std::string etag = etag_of(net->record);
    if (names_etag(context.call.if_none_match, etag) ||
        (!context.call.if_match.empty() && !names_etag(context.call.if_match, etag)))
      return api_error(412, "the network has another revision: " + etag);
  } else if (context.network.controller() != controller_.transport().self().address()) {
    return api_error(400, "the id of a network begins with the controller's address", "network");
  } else if (!context.call.if_match.empty()) {
    return api_error(412, "there is no such network");
  }
  return store_network(context, context.network, net == nullptr ? 201 : 200);
}

ApiAnswer ApiV1::store_network(Context& context, wire::NetworkId id, int status) {
  if (const auto wrong = complaint_about_network(context.body))
    return api_error(400, wrong->text, wrong->path);
  const NetworkEntry* net = controller_.registry().find(id);
  json record = net == nullptr ? json::object() : net->record;
  fill_network(record, id, context.now.wall);
  apply_network_fields(record, context.body);
  controller_.put_network(context.now, id, std::move(record), context.caller.name);
  net = controller_.registry().find(id);
  ApiAnswer answer = api_answer(status, api_network(*net, true), etag_of(net->record));
  if (status == 201) answer.location = "/api/v1/networks/" + wire::to_string(id);
  return answer;
}

ApiAnswer ApiV1::delete_network(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const std::string etag = etag_of(net->record);
  if (!context.call.if_match.empty() && !names_etag(context.call.if_match, etag))
    return api_error(412, "the network has another revision: " + etag);
  controller_.remove_network(context.now, context.network, context.caller.name);
  return {204, {}, {}, {}};
}

ApiAnswer ApiV1::list_addresses(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const json* limit = find(context.query, "limit");
  const json* after = find(context.query, "after");
  wire::Endpoint cursor;
  if (after != nullptr) {
    const auto ip = wire::parse_endpoint(after->get<std::string>());
    if (!ip || !*ip) return api_error(400, "expected the `next` of another page", "after");
    cursor = ip->with_port(0);
  }
  const auto most = static_cast<std::size_t>(limit == nullptr ? kPage : limit->get<std::int64_t>());
  const auto page = net->addresses.page(cursor, most + 1);
  json data = json::array();
  for (std::size_t i = 0; i < std::min(most, page.size()); ++i) {
    json members = json::array();
    for (const wire::Address owner : net->addresses.owners(page[i]))
      members.push_back(wire::to_string(owner));
    data.push_back({{"ip", wire::ip_to_string(page[i])}, {"members", std::move(members)}});
  }
  const json next = page.size() > most ? json(wire::ip_to_string(page[most - 1])) : json();
  return api_answer(200,
                    {{"data", std::move(data)}, {"next", next}, {"total", net->addresses.size()}});
}

ApiAnswer ApiV1::compile_source(Context& context) {
  const auto to_json = [](const Diagnostic& d) {
    return json{{"line", d.at.line}, {"column", d.at.column}, {"message", d.text}};
  };
  const auto compiled = compile_rules(context.body["source"].get<std::string>());
  if (!compiled) return api_answer(200, {{"error", to_json(compiled.error())}});
  json answer = control::to_json(*compiled)["config"];
  answer["warnings"] = json::array();
  for (const Diagnostic& warning : compiled->warnings)
    answer["warnings"].push_back(to_json(warning));
  return api_answer(200, answer);
}

}  // namespace orrery::control
