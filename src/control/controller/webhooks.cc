#include "control/controller/webhooks.h"

#include "control/controller/json_text.h"

namespace orrery::control {
namespace {

using nlohmann::json;

StoreWrite write_of(const json& record) {
  const auto number = from_hex(record["id"].get<std::string>());
  return {{}, {}, json_text(record), RecordKind::kWebhook, load_be64(number->data())};
}

std::optional<std::set<wire::NetworkId>> networks_of(const json& list) {
  if (!list.is_array()) return std::nullopt;
  std::set<wire::NetworkId> networks;
  for (const json& text : list) {
    if (const auto id = wire::parse_network_id(text.get<std::string>())) networks.insert(*id);
  }
  return networks;
}

}  // namespace

bool Webhooks::load(const StoreWrite& record) {
  if (record.kind != RecordKind::kWebhook) return false;
  auto parsed = parse_json(record.json);
  if (!parsed || !parsed->is_object()) return false;
  for (const char* text : {"id", "name", "url", "secret"}) {
    if (!parsed->contains(text) || !(*parsed)[text].is_string()) return false;
  }
  std::string id = (*parsed)["id"];
  const auto number = from_hex(id);
  if (!number || number->size() != 8) return false;
  hooks_[std::move(id)] = std::move(*parsed);
  ++generation_;
  return true;
}

json Webhooks::shown(json record) {
  record.erase("secret");
  return record;
}

json Webhooks::list() const {
  json all = json::array();
  for (const auto& [id, record] : hooks_) all.push_back(shown(record));
  return all;
}

std::vector<Webhook> Webhooks::all() const {
  std::vector<Webhook> all;
  for (const auto& [id, record] : hooks_) {
    all.push_back({id,
                   record["url"],
                   record["secret"],
                   record.value("enabled", true),
                   {record.value("types", std::set<std::string>()),
                    networks_of(record.value("networks", json()))}});
  }
  return all;
}

json Webhooks::create(Millis wall, const json& fields, MutableBytes random, Registry& registry) {
  const json record = {{"id", to_hex(random.first(8))},
                       {"name", fields.at("name")},
                       {"url", fields.at("url")},
                       {"types", fields.value("types", json::array())},
                       {"networks", fields.value("networks", json())},
                       {"enabled", fields.value("enabled", true)},
                       {"created", wall},
                       {"secret", to_hex(random.subspan(8))}};
  hooks_[record["id"]] = record;
  ++generation_;
  registry.write(write_of(record));
  return record;
}

std::optional<json> Webhooks::change(const std::string& id, const json& fields,
                                     Registry& registry) {
  const auto it = hooks_.find(id);
  if (it == hooks_.end()) return std::nullopt;
  it->second.update(fields);
  ++generation_;
  registry.write(write_of(it->second));
  return shown(it->second);
}

bool Webhooks::remove(const std::string& id, Registry& registry) {
  const auto it = hooks_.find(id);
  if (it == hooks_.end()) return false;
  StoreWrite gone = write_of(it->second);
  gone.json.clear();
  registry.write(std::move(gone));
  hooks_.erase(it);
  ++generation_;
  return true;
}

}  // namespace orrery::control
