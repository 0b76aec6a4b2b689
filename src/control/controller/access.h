// Who may do what over /api/v1: the daemon's own token, and scoped ones that an operator makes.
//
// Of a token its hash is kept, never itself: "orr_<16 hex: id>_<48 hex: 192 random bits>". The id
// finds the record, the hash is compared in constant time. A token reads, or writes, or
// administers; the first two may be limited to some networks, of which alone it then knows.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "base/time.h"
#include "control/controller/registry.h"
#include "crypto/kdf.h"

namespace orrery::control {

enum class Role : std::uint8_t { kRead, kWrite, kAdmin };

[[nodiscard]] const char* role_name(Role role);
[[nodiscard]] Role role_of(std::string_view name);  // kRead for what is none

struct Caller {
  std::string name;
  Role role = Role::kRead;
  std::optional<std::set<wire::NetworkId>> networks;  // none: all

  [[nodiscard]] bool sees(wire::NetworkId network) const {
    return !networks || networks->contains(network);
  }
};

/// Whoever has the daemon's own token.
inline constexpr const char* kLocalCaller = "local";

class AccessTokens {
 public:
  static constexpr std::size_t kMost = 1'024;

  /// A record from the store. False: not one of these.
  bool load(const StoreWrite& record);

  /// Whose token this is; nothing: nobody's, or it has ended.
  [[nodiscard]] std::optional<Caller> find(Millis wall, std::string_view token);

  /// As the API shows them, by id.
  [[nodiscard]] nlohmann::json list() const;
  /// `fields`: TokenFields of openapi.json, already checked. The answer holds the token itself,
  /// which is nowhere else. REQUIRES: size() < kMost.
  nlohmann::json create(Millis wall, const nlohmann::json& fields, MutableBytes random,
                        Registry& registry);
  /// The name of the one that was removed; nothing: there is none.
  std::optional<std::string> remove(const std::string& id, Registry& registry);

  [[nodiscard]] std::size_t size() const { return tokens_.size(); }

  /// Random bytes of a new token: its id, and itself.
  static constexpr std::size_t kRandom = 8 + 24;

 private:
  struct Token {
    nlohmann::json record;  // TokenFields, id, created, hash
    Caller caller;
    Millis expires = 0;  // wall; 0: never
    crypto::Sha384 hash{};
    Millis last_used = 0;  // in memory only
  };

  [[nodiscard]] static nlohmann::json shown(const Token& token);

  std::map<std::string, Token> tokens_;  // by id
};

}  // namespace orrery::control
