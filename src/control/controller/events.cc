#include "control/controller/events.h"

#include <algorithm>
#include <array>

#include "control/controller/json_text.h"

namespace orrery::control {
namespace {

using nlohmann::json;

/// So that ids rise across restarts without being kept: no controller has a thousand events in
/// every millisecond of its life. Below 2^53 for five centuries.
constexpr std::uint64_t kIdsPerMilli = 1'000;

constexpr std::size_t kLargest = 1'024;  // bytes of a value that is kept with a change

constexpr std::array kSecretFields = {"authTokens", "lastAuthorizedCredential", "secret"};
constexpr std::array kUncountedFields = {"revision", "id", "nwid", "address", "objtype"};

template <std::size_t N>
bool is_in(const std::array<const char*, N>& names, const std::string& name) {
  return std::any_of(names.begin(), names.end(), [&](const char* one) { return name == one; });
}

/// A list of rules, say, of which the log would be full.
bool is_large(const json& value) {
  return (value.is_structured() || value.is_string()) && json_text(value).size() > kLargest;
}

}  // namespace

json to_json(const ControllerEvent& event) {
  return {{"id", event.id},
          {"time", event.time},
          {"type", event.type},
          {"actor", event.actor},
          {"network", event.network ? json(wire::to_string(event.network)) : json()},
          {"member", event.member ? json(wire::to_string(event.member)) : json()},
          {"changes", event.changes}};
}

json changes_between(const json& before, const json& after) {
  json changes;
  const auto note = [&](const std::string& key, const json& from, const json& to) {
    if (from == to || is_in(kUncountedFields, key)) return;
    if (is_in(kSecretFields, key) || is_large(from) || is_large(to)) {
      changes[key] = json::object();
    } else {
      changes[key] = {{"from", from}, {"to", to}};
    }
  };
  if (after.is_object()) {
    for (const auto& [key, value] : after.items())
      note(key, before.is_object() && before.contains(key) ? before[key] : json(), value);
  }
  if (before.is_object()) {
    for (const auto& [key, value] : before.items()) {
      if (!after.is_object() || !after.contains(key)) note(key, value, json());
    }
  }
  return changes;
}

bool EventLog::load(const StoreWrite& record) {
  if (record.kind != RecordKind::kAudit) return false;
  auto entry = parse_json(record.json);
  if (!entry || !entry->is_object() || !entry->contains("id") || (*entry)["id"] != record.id)
    return false;
  const auto at =
      std::upper_bound(audit_.begin(), audit_.end(), record.id,
                       [](std::uint64_t id, const json& other) { return other["id"] > id; });
  audit_.insert(at, std::move(*entry));
  last_id_ = std::max(last_id_, record.id);
  return true;
}

std::uint64_t EventLog::next_id(Millis wall) const {
  return std::max(last_id_ + 1, static_cast<std::uint64_t>(wall) * kIdsPerMilli);
}

void EventLog::add(Millis wall, ControllerEvent event, Registry& registry) {
  ++counts_[event.type];
  last_id_ = next_id(wall);
  event.id = last_id_;
  event.time = wall;
  if (event.actor != kMember) {
    json entry = to_json(event);
    registry.write({{}, {}, json_text(entry), RecordKind::kAudit, event.id});
    audit_.push_back(std::move(entry));
    if (audit_.size() > kAuditMost) {
      registry.write({{}, {}, {}, RecordKind::kAudit, audit_.front()["id"].get<std::uint64_t>()});
      audit_.pop_front();
    }
  }
  if (pending_.size() < kPendingMost) pending_.push_back(std::move(event));
}

}  // namespace orrery::control
