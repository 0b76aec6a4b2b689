// /api/v1/networks/{network}/members: lists, records, many at once.
#include <algorithm>

#include "control/controller/api_v1.h"
#include "control/controller/api_v1_records.h"
#include "control/controller/json_text.h"
#include "control/controller/records.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::int64_t kPage = 100;

/// What a list is to have; null: whatever.
struct MemberFilter {
  const json* authorized = nullptr;
  const json* online = nullptr;
  const json* bridge = nullptr;
  const json* name = nullptr;

  [[nodiscard]] bool wants(const RegisteredMember& member, Now now) const {
    return (authorized == nullptr || *authorized == member.view.authorized) &&
           (online == nullptr || *online == member.online(now.mono, Controller::kOnline)) &&
           (bridge == nullptr || *bridge == member.view.active_bridge) &&
           (name == nullptr || has_name_part(member.record, *name));
  }
};

}  // namespace

ApiAnswer ApiV1::list_members(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const auto parameter = [&](const char* key) -> const json* {
    const auto it = context.query.find(key);
    return it == context.query.end() ? nullptr : &it->second;
  };
  wire::Address cursor;
  if (const json* after = parameter("after")) {
    const auto address = wire::parse_address(after->get<std::string>());
    if (!address) return api_error(400, "expected the `next` of another page", "after");
    cursor = *address;
  }
  const json* limit = parameter("limit");
  const auto most = static_cast<std::size_t>(limit == nullptr ? kPage : limit->get<std::int64_t>());
  const MemberFilter filter{parameter("authorized"), parameter("online"), parameter("activeBridge"),
                            parameter("name")};
  json data = json::array();
  const auto show = [&](wire::Address address, const RegisteredMember& member) {
    data.push_back(api_member(context.network, member, context.now));
    controller_.keep(context.network, address);
  };
  json next;
  if (const json* ip = parameter("ip")) {
    const auto endpoint = wire::parse_endpoint(ip->get<std::string>())->with_port(0);
    for (const wire::Address owner : net->addresses.owners(endpoint)) {
      const RegisteredMember& member = net->members.at(owner);
      if (owner > cursor && filter.wants(member, context.now)) show(owner, member);
    }
  } else {
    std::size_t looks = kLooksPerCall;
    auto it = net->members.upper_bound(cursor);
    for (; it != net->members.end() && looks > 0 && data.size() < most; ++it, --looks) {
      cursor = it->first;
      if (filter.wants(it->second, context.now)) show(it->first, it->second);
    }
    if (it != net->members.end()) next = wire::to_string(cursor);
  }
  return api_answer(200,
                    {{"data", std::move(data)}, {"next", next}, {"total", net->members.size()}});
}

ApiAnswer ApiV1::read_member(Context& context) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const auto it = net->members.find(context.member);
  if (it == net->members.end()) return api_error(404, "there is no such member");
  controller_.keep(context.network, context.member);
  const std::string etag = etag_of(it->second.record);
  if (names_etag(context.call.if_none_match, etag)) return {304, {}, etag, {}};
  return api_answer(200, api_member(context.network, it->second, context.now), etag);
}

ApiAnswer ApiV1::change_member(Context& context) {
  return store_member(context, context.member, context.body, context.call.if_match);
}

ApiAnswer ApiV1::delete_member(Context& context) {
  return forget_member(context, context.member, context.call.if_match);
}

ApiAnswer ApiV1::store_member(Context& context, wire::Address address, const json& fields,
                              std::string_view if_match) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const auto it = net->members.find(address);
  const RegisteredMember* before = it == net->members.end() ? nullptr : &it->second;
  if (!if_match.empty() && (before == nullptr || !names_etag(if_match, etag_of(before->record)))) {
    return api_error(412, before == nullptr
                              ? "there is no such member"
                              : "the member has another revision: " + etag_of(before->record));
  }
  if (fields.contains("ipAssignments")) {
    const json& ips = fields["ipAssignments"];
    for (std::size_t i = 0; i < ips.size(); ++i) {
      const auto ip = wire::parse_endpoint(ips[i].get<std::string>())->with_port(0);
      for (const wire::Address owner : net->addresses.owners(ip)) {
        if (owner != address) {
          return api_error(409, wire::to_string(owner) + " has this address",
                           path_to("$.ipAssignments", i));
        }
      }
    }
  }
  json record = before == nullptr ? json::object() : before->record;
  fill_member(record, context.network, address, context.now.wall);
  apply_member_fields(record, fields, context.now.wall);
  controller_.put_member(context.now, context.network, address, std::move(record),
                         context.caller.name, context.out);
  const RegisteredMember& member = net->members.at(address);
  return api_answer(200, api_member(context.network, member, context.now), etag_of(member.record));
}

ApiAnswer ApiV1::forget_member(Context& context, wire::Address address, std::string_view if_match) {
  const NetworkEntry* net = controller_.registry().find(context.network);
  if (net == nullptr) return api_error(404, "there is no such network");
  const auto it = net->members.find(address);
  if (it == net->members.end()) return api_error(404, "there is no such member");
  const std::string etag = etag_of(it->second.record);
  if (!if_match.empty() && !names_etag(if_match, etag))
    return api_error(412, "the member has another revision: " + etag);
  controller_.remove_member(context.now, context.network, address, context.caller.name,
                            context.out);
  return {204, {}, {}, {}};
}

ApiAnswer ApiV1::bulk_members(Context& context) {
  if (controller_.registry().find(context.network) == nullptr)
    return api_error(404, "there is no such network");
  const json& operations = context.body["operations"];
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const bool removes = operations[i].value("delete", false);
    if (removes == operations[i].contains("set"))
      return api_error(400, "expected either set, or delete with true", path_to("$.operations", i));
  }
  json results = json::array();
  std::size_t failed = 0;
  for (const json& operation : operations) {
    const std::string text = operation["member"];
    const std::string if_match = operation.value("ifMatch", "");
    const wire::Address address = *wire::parse_address(text);
    const ApiAnswer answer = operation.contains("set")
                                 ? store_member(context, address, operation["set"], if_match)
                                 : forget_member(context, address, if_match);
    json& result = results.emplace_back(json{{"member", text}, {"status", answer.status}});
    if (answer.status < 300) {
      if (!answer.etag.empty()) result["etag"] = answer.etag;
      continue;
    }
    ++failed;
    result["error"] = json::parse(answer.body)["error"]["message"];
  }
  return api_answer(200, {{"results", std::move(results)}, {"failed", failed}});
}

}  // namespace orrery::control
