#include "control/controller/access.h"

#include <algorithm>

#include "control/controller/json_text.h"

namespace orrery::control {
namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "orr_";
constexpr std::size_t kIdDigits = 16;

}  // namespace

const char* role_name(Role role) {
  return role == Role::kAdmin ? "admin" : role == Role::kWrite ? "write" : "read";
}

Role role_of(std::string_view name) {
  return name == "admin" ? Role::kAdmin : name == "write" ? Role::kWrite : Role::kRead;
}

bool AccessTokens::load(const StoreWrite& record) {
  if (record.kind != RecordKind::kToken) return false;
  const auto parsed = parse_json(record.json);
  if (!parsed || !parsed->is_object()) return false;
  try {
    Token token;
    const auto hash = from_hex(parsed->at("hash").get<std::string>());
    if (!hash || hash->size() != token.hash.size()) return false;
    std::copy(hash->begin(), hash->end(), token.hash.begin());
    token.record = *parsed;
    token.caller.name = parsed->at("name").get<std::string>();
    token.caller.role = role_of(parsed->at("role").get<std::string>());
    token.expires = parsed->at("expires").get<Millis>();
    if (const json& networks = parsed->at("networks"); networks.is_array()) {
      token.caller.networks.emplace();
      for (const json& id : networks) {
        if (const auto network = wire::parse_network_id(id.get<std::string>()))
          token.caller.networks->insert(*network);
      }
    }
    tokens_[parsed->at("id").get<std::string>()] = std::move(token);
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::optional<Caller> AccessTokens::find(Millis wall, std::string_view token) {
  if (!token.starts_with(kPrefix) || token.size() < kPrefix.size() + kIdDigits) return std::nullopt;
  const auto it = tokens_.find(std::string(token.substr(kPrefix.size(), kIdDigits)));
  if (it == tokens_.end()) return std::nullopt;
  Token& found = it->second;
  const crypto::Sha384 hash = crypto::sha384(bytes_of(token));
  if (!constant_time_equal(hash, found.hash)) return std::nullopt;
  if (found.expires != 0 && found.expires <= wall) return std::nullopt;
  found.last_used = wall;
  return found.caller;
}

json AccessTokens::shown(const Token& token) {
  json entry = token.record;
  entry.erase("hash");
  entry["lastUsed"] = token.last_used == 0 ? json() : json(token.last_used);
  return entry;
}

json AccessTokens::list() const {
  json all = json::array();
  for (const auto& [id, token] : tokens_) all.push_back(shown(token));
  return all;
}

json AccessTokens::create(Millis wall, const json& fields, MutableBytes random,
                          Registry& registry) {
  const std::string id = to_hex(random.first(8));
  const std::string text = std::string(kPrefix) + id + "_" + to_hex(random.subspan(8));
  const json record = {{"id", id},
                       {"name", fields.at("name")},
                       {"role", fields.at("role")},
                       {"networks", fields.value("networks", json())},
                       {"expires", fields.value("expires", Millis{0})},
                       {"created", wall},
                       {"hash", to_hex(crypto::sha384(bytes_of(text)))}};
  const StoreWrite write{{}, {}, json_text(record), RecordKind::kToken, load_be64(random.data())};
  (void)load(write);
  registry.write(write);
  json answer = shown(tokens_.at(id));
  answer["token"] = text;
  return answer;
}

std::optional<std::string> AccessTokens::remove(const std::string& id, Registry& registry) {
  const auto it = tokens_.find(id);
  if (it == tokens_.end()) return std::nullopt;
  const auto number = from_hex(id);
  std::string name = it->second.caller.name;
  registry.write({{}, {}, {}, RecordKind::kToken, load_be64(number->data())});
  tokens_.erase(it);
  return name;
}

}  // namespace orrery::control
