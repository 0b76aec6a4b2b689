// The paths of the stock controller: reading and writing records.
#include "control/controller/access.h"
#include "control/controller/controller.h"
#include "control/controller/json_text.h"
#include "control/controller/lenient.h"
#include "control/controller/records.h"

namespace orrery::control {

using nlohmann::json;

HttpAnswer Controller::handle(Now now, std::string_view method, std::string_view path,
                              std::string_view body, Effects& out) {
  const auto parsed = parse_api_path(path);
  if (!parsed) return empty_answer(404);
  if (suspended_ && method != "GET" && method != "HEAD") {
    return {503, R"({"description":"the store takes no writes at present; nothing was changed"})"};
  }
  try {
    HttpAnswer answer = route(now, method, *parsed, body, out);
    follow_up(now, out);
    return answer;
  } catch (const json::exception& e) {
    return bad_body(e.what());  // a field of a type that cannot be taken: nothing was stored
  }
}

HttpAnswer Controller::route(Now now, std::string_view method, const ApiPath& path,
                             std::string_view body, Effects& out) {
  using Kind = ApiPath::Kind;
  const bool get = method == "GET" || method == "HEAD";
  if (path.unstable) {
    if (get && path.kind == Kind::kNetworks) return list_networks(true);
    return get && path.kind == Kind::kMembers ? list_members(path.network, true)
                                              : empty_answer(404);
  }
  if (get) {
    switch (path.kind) {
      case Kind::kStatus: {
        const nlohmann::ordered_json status = {
            {"controller", true}, {"apiVersion", 4}, {"clock", now.wall}, {"databaseReady", true}};
        return {200, status.dump(1, '\t') + "\n"};
      }
      case Kind::kNetworks:
        return list_networks(false);
      case Kind::kNewNetwork:
        return empty_answer(404);
      case Kind::kNetwork: {
        const NetworkEntry* net = registry_.find(path.network);
        return net == nullptr ? empty_answer(404) : json_answer(net->record);
      }
      case Kind::kMembers:
        return list_members(path.network, false);
      case Kind::kMember:
        return read_member(path.network, path.member);
    }
  }
  if (method == "POST" || method == "PUT") {
    switch (path.kind) {
      case Kind::kNewNetwork:
        return path.member == transport_.self().address() ? create_network(now, body)
                                                          : empty_answer(400);
      case Kind::kNetworks:
        return create_network(now, body);
      case Kind::kNetwork:
        return write_network(now, path.network, body);
      case Kind::kMember:
        return write_member(now, path.network, path.member, body, out);
      case Kind::kStatus:
      case Kind::kMembers:
        return empty_answer(404);
    }
  }
  if (method == "DELETE" && path.kind == Kind::kNetwork) return delete_network(now, path.network);
  if (method == "DELETE" && path.kind == Kind::kMember)
    return delete_member(now, path.network, path.member, out);
  return empty_answer(404);
}

HttpAnswer Controller::list_networks(bool unstable) const {
  json list = json::array();
  for (const auto& [id, net] : registry_.networks()) {
    if (!net.record.is_object()) continue;  // members without their network
    if (!unstable) {
      list.push_back(wire::to_string(id));
      continue;
    }
    json& network = list.emplace_back(net.record);
    network["meta"] = {{"totalMemberCount", net.members.size()},
                       {"authorizedMemberCount", net.authorized}};
  }
  if (!unstable) return json_answer(list);
  const std::size_t count = list.size();
  return json_answer({{"data", std::move(list)}, {"meta", {{"networkCount", count}}}});
}

HttpAnswer Controller::create_network(Now now, std::string_view body) {
  const auto id = free_network_id();
  return id ? write_network(now, *id, body) : empty_answer(503);
}

HttpAnswer Controller::write_network(Now now, wire::NetworkId id, std::string_view body) {
  const auto fields = parse_api_body(body);
  if (!fields) return bad_body("the body is not valid JSON, or nested too deep");
  const NetworkEntry* net = registry_.find(id);
  json record = net == nullptr ? json::object() : net->record;
  fill_network(record, id, now.wall);
  apply_network_body(record, *fields);
  put_network(now, id, std::move(record), kLocalCaller);
  return json_answer(registry_.find(id)->record);
}

HttpAnswer Controller::delete_network(Now now, wire::NetworkId id) {
  const NetworkEntry* net = registry_.find(id);
  if (net == nullptr) return empty_answer(404);
  const HttpAnswer answer = json_answer(net->record);
  remove_network(now, id, kLocalCaller);
  return answer;
}

HttpAnswer Controller::list_members(wire::NetworkId id, bool unstable) {
  if (registry_.find(id) == nullptr) return empty_answer(404);
  HttpAnswer answer = go_on({id, {}, unstable});
  answer.body.insert(0, unstable ? R"({"data":[)" : "{");
  return answer;
}

HttpAnswer Controller::go_on(MemberList list) {
  HttpAnswer answer;
  std::string& text = answer.body;
  NetworkEntry* net = registry_.find(list.network);  // null: deleted in between
  if (net != nullptr) {
    std::size_t left = list.records ? kRecordsPerTurn : kIdsPerTurn;
    auto it = net->members.upper_bound(list.after);
    for (; it != net->members.end() && left > 0; ++it, --left) {
      const auto& [address, member] = *it;
      if (!member.stored) registry_.keep(list.network, address);
      if (list.after) text += ',';
      list.after = address;
      if (list.records) {
        text += json_text(member.record);
      } else {
        text += '"' + wire::to_string(address) + "\":" + std::to_string(member.view.revision);
      }
    }
    if (it != net->members.end()) {
      answer.rest = list;
      return answer;
    }
  }
  if (!list.records) {
    text += '}';
    return answer;
  }
  const json meta = {{"totalCount", net == nullptr ? 0 : net->members.size()},
                     {"authorizedCount", net == nullptr ? 0 : net->authorized}};
  text += R"(],"meta":)" + json_text(meta) + '}';
  return answer;
}

HttpAnswer Controller::read_member(wire::NetworkId id, wire::Address address) {
  const RegisteredMember* member = registry_.find(id, address);
  if (member == nullptr) return empty_answer(404);
  registry_.keep(id, address);
  return json_answer(member->record);
}

HttpAnswer Controller::write_member(Now now, wire::NetworkId id, wire::Address address,
                                    std::string_view body, Effects& out) {
  const NetworkEntry* net = registry_.find(id);
  if (net == nullptr) return empty_answer(404);
  const auto fields = parse_api_body(body);
  if (!fields) return bad_body("the body is not valid JSON, or nested too deep");
  const RegisteredMember* before = registry_.find(id, address);
  json record = before == nullptr ? json::object() : before->record;
  fill_member(record, id, address, now.wall);
  apply_member_body(record, *fields, now.wall);
  put_member(now, id, address, std::move(record), kLocalCaller, out);
  return json_answer(registry_.find(id, address)->record);
}

HttpAnswer Controller::delete_member(Now now, wire::NetworkId id, wire::Address address,
                                     Effects& out) {
  const RegisteredMember* member = registry_.find(id, address);
  if (member == nullptr) return empty_answer(404);
  const HttpAnswer answer = json_answer(member->record);
  remove_member(now, id, address, kLocalCaller, out);
  return answer;
}

}  // namespace orrery::control
