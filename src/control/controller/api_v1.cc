#include "control/controller/api_v1.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "control/controller/api_v1_records.h"
#include "control/controller/json_text.h"

namespace orrery::control {

extern const std::string_view kOpenApi;  // openapi.json

namespace {

using nlohmann::json;

constexpr int kVersion = 1;

/// The parts of a path between slashes.
std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t slash = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return parts;
}

/// What stands in place of the {names} of a path; nothing when it is another path.
std::optional<std::map<std::string_view, std::string_view>> match(std::string_view pattern,
                                                                  std::string_view path) {
  const auto wanted = parts_of(pattern), given = parts_of(path);
  if (wanted.size() != given.size()) return std::nullopt;
  std::map<std::string_view, std::string_view> names;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].starts_with('{')) {
      names[wanted[i].substr(1, wanted[i].size() - 2)] = given[i];
      if (given[i].empty()) return std::nullopt;
    } else if (wanted[i] != given[i]) {
      return std::nullopt;
    }
  }
  return names;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// A parameter's text as its schema wants it; the text itself when it is none of that.
json value_of(const std::string& text, const json& schema) {
  const std::string type = schema.value("type", "");
  if (type == "boolean" && (text == "true" || text == "false")) return text == "true";
  if (type == "integer") {
    std::int64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec == std::errc{} && read.ptr == text.data() + text.size()) return number;
  }
  return text;
}

}  // namespace

ApiV1::ApiV1(Controller& controller) : controller_(controller) {
  (void)schema();  // takes its time, which no call should
}

const JsonSchema& ApiV1::schema() {
  static const JsonSchema kSchema(parse_json(kOpenApi).value(), api_formats());
  return kSchema;
}

const std::vector<ApiV1::Route>& ApiV1::routes() {
  static const std::vector<Route> kRoutes = {
      {"get", "/api/v1/openapi.json", &ApiV1::show_document},
      {"get", "/api/v1/status", &ApiV1::show_status},
      {"get", "/api/v1/networks", &ApiV1::list_networks},
      {"post", "/api/v1/networks", &ApiV1::create_network},
      {"get", "/api/v1/networks/{network}", &ApiV1::read_network},
      {"patch", "/api/v1/networks/{network}", &ApiV1::change_network},
      {"delete", "/api/v1/networks/{network}", &ApiV1::delete_network},
      {"get", "/api/v1/networks/{network}/addresses", &ApiV1::list_addresses},
      {"post", "/api/v1/rules/compile", &ApiV1::compile_source},
      {"get", "/api/v1/networks/{network}/members", &ApiV1::list_members},
      {"post", "/api/v1/networks/{network}/members/bulk", &ApiV1::bulk_members},
      {"get", "/api/v1/networks/{network}/members/{member}", &ApiV1::read_member},
      {"patch", "/api/v1/networks/{network}/members/{member}", &ApiV1::change_member},
      {"delete", "/api/v1/networks/{network}/members/{member}", &ApiV1::delete_member},
      {"get", "/api/v1/tokens", &ApiV1::list_tokens},
      {"post", "/api/v1/tokens", &ApiV1::create_token},
      {"delete", "/api/v1/tokens/{id}", &ApiV1::delete_token},
      {"get", "/api/v1/webhooks", &ApiV1::list_webhooks},
      {"post", "/api/v1/webhooks", &ApiV1::create_webhook},
      {"patch", "/api/v1/webhooks/{id}", &ApiV1::change_webhook},
      {"delete", "/api/v1/webhooks/{id}", &ApiV1::delete_webhook},
      {"get", "/api/v1/audit", &ApiV1::list_audit},
      {"get", "/api/v1/events", &ApiV1::open_events},
  };
  return kRoutes;
}

ApiAnswer ApiV1::handle(Now now, const ApiCall& call, Effects& out) {
  Context context{.now = now, .call = call, .caller = {}, .out = out};
  if (call.local) {
    context.caller = {kLocalCaller, Role::kAdmin, std::nullopt};
  } else if (auto caller = tokens_.find(now.wall, call.token)) {
    context.caller = std::move(*caller);
  } else {
    return api_error(401, "a token is needed, in X-ZT1-Auth or as Authorization: Bearer");
  }
  const std::string method = call.method == "HEAD" ? "get" : lower(call.method);
  std::string allowed;
  for (const Route& route : routes()) {  // paths that are written out come before those with names
    const auto names = match(route.path, call.path);
    if (!names) continue;
    if (route.method != method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    if (const auto id = names->find("id"); id != names->end()) context.id = id->second;
    if (const auto text = names->find("network"); text != names->end()) {
      const auto network = wire::parse_network_id(text->second);
      if (!network || !*network) return api_error(400, "expected 16 hex digits", "network");
      context.network = *network;
    }
    if (const auto text = names->find("member"); text != names->end()) {
      const auto member = wire::parse_address(text->second);
      if (!member || member->is_reserved())
        return api_error(400, "expected 10 hex digits", "member");
      context.member = *member;
    }
    return carry_out(context, route);
  }
  if (!allowed.empty()) return api_error(405, "expected one of " + allowed + " here");
  return api_error(404, "there is no such path; /api/v1/openapi.json has them all");
}

ApiAnswer ApiV1::carry_out(Context& context, const Route& route) {
  const json& operation =
      schema().document().at("paths").at(std::string(route.path)).at(std::string(route.method));
  const Role needed = role_of(operation.at("x-role").get<std::string>());
  if (context.caller.role < needed)
    return api_error(403, std::string("this takes a token of role ") + role_name(needed));
  if (context.network && !context.caller.sees(context.network))
    return api_error(404, "there is no such network");
  if (auto refused = read_query(context, operation)) return *refused;
  if (operation.contains("requestBody")) {
    auto body = parse_json(context.call.body);
    if (!body) return api_error(400, "the body is not valid JSON, or nested too deep", "$");
    const json& wanted = operation["requestBody"]["content"]["application/json"]["schema"];
    if (const auto wrong = schema().check(wanted, *body))
      return api_error(400, wrong->text, wrong->path);
    context.body = std::move(*body);
  }
  if (route.method != "get" && controller_.suspended())
    return api_error(503, "the store takes no writes at present; nothing was changed");
  ApiAnswer answer = (this->*route.handler)(context);
  controller_.follow_up(context.now, context.out);
  return answer;
}

std::optional<ApiAnswer> ApiV1::read_query(Context& context, const json& operation) const {
  static const json kNone = json::array();
  const json& parameters = operation.contains("parameters") ? operation["parameters"] : kNone;
  for (const auto& [name, text] : context.call.query) {
    const auto parameter = std::find_if(parameters.begin(), parameters.end(), [&](const json& p) {
      return p["in"] == "query" && p["name"] == name;
    });
    if (parameter == parameters.end()) {
      std::string known;
      for (const json& p : parameters) {
        if (p["in"] == "query") known += (known.empty() ? "" : ", ") + p["name"].get<std::string>();
      }
      return api_error(400, "unknown parameter; expected " + (known.empty() ? "none" : known),
                       name);
    }
    json value = value_of(text, (*parameter)["schema"]);
    if (const auto wrong = schema().check((*parameter)["schema"], value))
      return api_error(400, wrong->text, name);
    context.query[name] = std::move(value);
  }
  return std::nullopt;
}

ApiAnswer ApiV1::show_document(Context&) {
  return {200, std::string(kOpenApi), {}, {}};
}

ApiAnswer ApiV1::show_status(Context& context) {
  std::size_t networks = 0, members = 0;
  for (const auto& [id, net] : controller_.registry().networks()) {
    if (!net.record.is_object() || !context.caller.sees(id)) continue;
    ++networks;
    members += net.members.size();
  }
  json limits;
  if (context.caller.networks) {
    limits = json::array();
    for (const wire::NetworkId id : *context.caller.networks) limits.push_back(wire::to_string(id));
  }
  return api_answer(200, {{"controller", wire::to_string(controller_.transport().self().address())},
                          {"apiVersion", kVersion},
                          {"clock", context.now.wall},
                          {"writable", !controller_.suspended()},
                          {"networks", networks},
                          {"members", members},
                          {"signaturesOutstanding", controller_.outstanding()},
                          {"caller",
                           {{"name", context.caller.name},
                            {"role", role_name(context.caller.role)},
                            {"networks", limits}}}});
}

ApiAnswer ApiV1::open_events(Context& context) {
  EventFilter filter;
  filter.networks = context.caller.networks;
  if (const auto network = context.query.find("network"); network != context.query.end()) {
    const auto id = *wire::parse_network_id(network->second.get<std::string>());
    if (!context.caller.sees(id)) return api_error(404, "there is no such network", "network");
    filter.networks = {{id}};
  }
  if (const auto types = context.query.find("types"); types != context.query.end()) {
    const json& known = schema().named("Event")["properties"]["type"]["enum"];
    std::string rest = types->second;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string type = rest.substr(0, comma);
      if (std::find(known.begin(), known.end(), type) == known.end())
        return api_error(400, "unknown type \"" + type + "\"; expected some of " + json_text(known),
                         "types");
      filter.types.insert(type);
      rest.erase(0, comma + 1);
    }
  }
  return {200, {}, {}, {}, std::move(filter)};
}

}  // namespace orrery::control
