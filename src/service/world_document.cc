#include "service/world_document.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "crypto/curve.h"

namespace orrery::service {
namespace {

using nlohmann::json;

Error bad_field(const std::string& name, const std::string& expected) {
  return {Errc::kInvalid, "field \"" + name + "\": expected " + expected};
}

/// A field's text; nothing when it is missing or no text.
std::optional<std::string> text_field(const json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

template <std::size_t N>
Result<void> read_key(const json& object, const char* name, std::array<std::uint8_t, N>& key) {
  const auto text = text_field(object, name);
  const auto bytes = text ? from_hex(*text) : std::nullopt;
  if (!bytes || bytes->size() != N) {
    return std::unexpected(bad_field(name, std::to_string(2 * N) + " hexadecimal digits"));
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return {};
}

Result<wire::WorldRoot> read_root(const json& object) {
  const auto text = object.is_object() ? text_field(object, "identity") : std::nullopt;
  const auto identity = text ? wire::parse_identity(*text) : std::nullopt;
  if (!identity) return std::unexpected(bad_field("identity", "a public identity in each root"));
  wire::WorldRoot root{identity->identity, {}};
  const auto endpoints = object.find("stableEndpoints");
  if (endpoints == object.end()) return root;
  if (!endpoints->is_array())
    return std::unexpected(bad_field("stableEndpoints", "an array of texts \"IP/port\""));
  for (const json& e : *endpoints) {
    const auto endpoint = e.is_string() ? wire::parse_endpoint(e.get<std::string>()) : std::nullopt;
    if (!endpoint || endpoint->port == 0 || root.endpoints.size() >= wire::kMaxEndpointsPerRoot) {
      return std::unexpected(
          bad_field("stableEndpoints", "at most 32 of the form \"IP/port\", not " +
                                           e.dump(-1, ' ', true, json::error_handler_t::replace)));
    }
    root.endpoints.push_back(*endpoint);
  }
  std::sort(root.endpoints.begin(), root.endpoints.end());
  return root;
}

Result<void> read_roots(const json& object, wire::World& world) {
  const auto roots = object.find("roots");
  if (roots == object.end() || !roots->is_array() || roots->empty() ||
      roots->size() > wire::kMaxRootsPerWorld) {
    return std::unexpected(bad_field("roots", "an array of 1 to 4 roots"));
  }
  for (const json& r : *roots) {
    auto root = read_root(r);
    if (!root) return std::unexpected(root.error());
    world.roots.push_back(std::move(*root));
  }
  std::sort(world.roots.begin(), world.roots.end(),
            [](const auto& a, const auto& b) { return a.identity < b.identity; });
  return {};
}

}  // namespace

Result<wire::World> world_from_json(const json& object, std::uint64_t wall) {
  if (!object.is_object()) return failure(Errc::kInvalid, "expected a JSON object");
  wire::World world;
  const std::string type =
      object.contains("worldType") ? text_field(object, "worldType").value_or("") : "moon";
  if (type != "moon" && type != "planet") {
    return std::unexpected(bad_field("worldType", "\"moon\" or \"planet\""));
  }
  world.type = type == "planet" ? wire::World::Type::kPlanet : wire::World::Type::kMoon;
  const std::string id = text_field(object, "id").value_or("");
  const bool hexadecimal = !id.empty() && id.size() <= 16 &&
                           id.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  world.id = hexadecimal ? std::strtoull(id.c_str(), nullptr, 16) : 0;
  if (world.id == 0) {
    return std::unexpected(bad_field("id", "a hexadecimal number that is not 0"));
  }
  wire::PublicKey open{};
  wire::PrivateKey secret{};
  const auto read = [&]() -> Result<void> {
    if (auto r = read_key(object, "signingKey", open); !r) return r;
    if (auto r = read_key(object, "signingKey_SECRET", secret); !r) return r;
    // Signed under a foreign public half, two signatures would give the key away.
    if (crypto::public_key_of(secret) != open) {
      return std::unexpected(bad_field("signingKey", "the public half of signingKey_SECRET"));
    }
    if (auto r = read_key(object, "updatesMustBeSignedBy", world.update_key); !r) return r;
    return read_roots(object, world);
  };
  if (auto r = read(); !r) {
    burn(secret);
    return std::unexpected(r.error());
  }
  world.timestamp = wall;
  world.signature = crypto::sign(secret, open, wire::world_signed_bytes(world));
  burn(secret);
  return world;
}

}  // namespace orrery::service
