// Planet and moon documents.
// [1] type, [8] id, [8] timestamp, [64] update key, [96] signature, [1] roots, root x (identity,
// [1] endpoints, endpoint x), moons: [2] length, extension. Source:
// docs/protocol/05-planet-and-moons.md; tests/vectors/worlds.json, world_files.json.
#pragma once

#include <vector>

#include "wire/endpoint.h"
#include "wire/identity.h"

namespace orrery::wire {

inline constexpr std::size_t kMaxRootsPerWorld = 4;
inline constexpr std::size_t kMaxEndpointsPerRoot = 32;
inline constexpr std::size_t kMaxWorldSize = 8480;  // bytes

struct WorldRoot {
  Identity identity;
  std::vector<Endpoint> endpoints;  // at most 32
  friend bool operator==(const WorldRoot&, const WorldRoot&) = default;
};

/// Allocates while parsing, at most 4 roots with 32 endpoints each; worlds are read when they
/// change, not per packet.
struct World {
  enum class Type : std::uint8_t { kNull = 0, kPlanet = 1, kMoon = 127 };

  Type type = Type::kNull;
  std::uint64_t id = 0;
  std::uint64_t timestamp = 0;  // ms, doubles as revision
  PublicKey update_key{};       // must sign the next revision
  std::array<std::uint8_t, 96> signature{};
  std::vector<WorldRoot> roots;
  friend bool operator==(const World&, const World&) = default;
};

/// Fails the reader on an unknown type, too many roots or endpoints, or a cut.
[[nodiscard]] std::optional<World> read_world(Reader& reader);
/// With an empty extension for moons.
[[nodiscard]] ByteVector encode_world(const World& world);
/// The exact message that the previous revision's update key signs.
[[nodiscard]] ByteVector world_signed_bytes(const World& world);

}  // namespace orrery::wire
