#include "wire/world.h"

namespace orrery::wire {
namespace {

void write_body(Writer& w, const World& world, bool with_signature) {
  w.u8(static_cast<std::uint8_t>(world.type));
  w.u64(world.id);
  w.u64(world.timestamp);
  w.bytes(world.update_key);
  if (with_signature) w.bytes(world.signature);
  w.u8(static_cast<std::uint8_t>(world.roots.size()));
  for (const WorldRoot& root : world.roots) {
    write_identity(w, root.identity);
    w.u8(static_cast<std::uint8_t>(root.endpoints.size()));
    for (const Endpoint& e : root.endpoints) write_endpoint(w, e);
  }
  if (world.type == World::Type::kMoon) w.u16(0);
}

}  // namespace

std::optional<World> read_world(Reader& r) {
  World world;
  const std::uint8_t type = r.u8();
  if (type != 0 && type != 1 && type != 127) r.fail();
  world.type = static_cast<World::Type>(type);
  world.id = r.u64();
  world.timestamp = r.u64();
  const Bytes key = r.bytes(64);
  const Bytes signature = r.bytes(96);
  const std::uint8_t roots = r.u8();
  if (roots > kMaxRootsPerWorld) r.fail();
  if (!r.ok()) return std::nullopt;
  std::memcpy(world.update_key.data(), key.data(), 64);
  std::memcpy(world.signature.data(), signature.data(), 96);
  for (std::uint8_t i = 0; i < roots; ++i) {
    auto parsed = read_identity(r);
    const std::uint8_t endpoints = r.u8();
    if (endpoints > kMaxEndpointsPerRoot) r.fail();
    if (!parsed || !r.ok()) return std::nullopt;
    burn(parsed->private_key);
    WorldRoot root{parsed->identity, {}};
    for (std::uint8_t j = 0; j < endpoints && r.ok(); ++j)
      root.endpoints.push_back(read_endpoint(r));
    world.roots.push_back(std::move(root));
  }
  if (world.type == World::Type::kMoon) r.skip(r.u16());
  if (!r.ok()) return std::nullopt;
  return world;
}

ByteVector encode_world(const World& world) {
  ByteVector bytes(kMaxRootsPerWorld * (Identity::kWireSize + 1 + kMaxEndpointsPerRoot * 19) + 256);
  Writer w(bytes);
  write_body(w, world, true);
  bytes.resize(w.ok() ? w.size() : 0);
  return bytes;
}

ByteVector world_signed_bytes(const World& world) {
  ByteVector bytes(kMaxRootsPerWorld * (Identity::kWireSize + 1 + kMaxEndpointsPerRoot * 19) + 256);
  Writer w(bytes);
  w.u64(0x7f7f7f7f7f7f7f7fULL);
  write_body(w, world, false);
  w.u64(0xf7f7f7f7f7f7f7f7ULL);
  bytes.resize(w.ok() ? w.size() : 0);
  return bytes;
}

}  // namespace orrery::wire
