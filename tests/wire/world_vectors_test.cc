// worlds.json `worlds` and `decode`, world_files.json: the documents as bytes.
#include <gtest/gtest.h>

#include "support/vectors.h"
#include "wire/world.h"

namespace orrery::wire {
namespace {

using nlohmann::json;
using test::hex_bytes;
using test::label;

json describe(const World& world) {
  json roots = json::array();
  for (const WorldRoot& root : world.roots) {
    json endpoints = json::array();
    for (const Endpoint& e : root.endpoints) endpoints.push_back(to_string(e));
    roots.push_back({{"identity", to_string(root.identity)}, {"stable_endpoints", endpoints}});
  }
  return {{"type", static_cast<int>(world.type)},
          {"id", to_string(NetworkId{world.id})},
          {"timestamp", world.timestamp},
          {"updates_must_be_signed_by", to_hex(world.update_key)},
          {"signature", to_hex(world.signature)},
          {"roots", roots}};
}

void expect_fields(const World& world, const json& expected, const std::string& name) {
  const json fields = describe(world);
  for (const auto& [key, value] : fields.items()) {
    ASSERT_TRUE(expected.contains(key)) << name << ": " << key;
    EXPECT_EQ(value, expected[key]) << name << ": " << key;
  }
}

TEST(WorldVectors, Worlds) {
  std::size_t i = 0;
  for (const json& c : test::cases("worlds.json", "worlds")) {
    const std::string name = label(c, i++);
    const ByteVector bytes = hex_bytes(c["bytes"]);
    Reader r(bytes);
    const auto world = read_world(r);
    ASSERT_TRUE(world) << name;
    EXPECT_EQ(r.remaining(), 0u) << name;
    expect_fields(*world, c, name);
    EXPECT_EQ(to_hex(encode_world(*world)), c["bytes"].get<std::string>()) << name;
    EXPECT_EQ(to_hex(world_signed_bytes(*world)), c["signed_bytes"].get<std::string>()) << name;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      const ByteVector cut(bytes.begin(), bytes.begin() + static_cast<long>(n));
      Reader of_cut(cut);
      EXPECT_FALSE(read_world(of_cut)) << name << " cut to " << n;
    }
  }
}

TEST(WorldVectors, Decode) {
  std::size_t i = 0;
  for (const json& c : test::cases("worlds.json", "decode")) {
    const std::string name = label(c, i++);
    const ByteVector bytes = hex_bytes(c["bytes"]);
    Reader r(bytes);
    const auto world = read_world(r);
    if (!world && test::strictness(c) == "may_reject") continue;
    ASSERT_EQ(world.has_value(), c["ok"].get<bool>()) << name;
    if (world) {
      EXPECT_EQ(r.position(), c["consumed"].get<std::size_t>()) << name;
    }
  }
}

TEST(WorldVectors, Files) {
  const json all = test::load_vectors("world_files.json");
  for (const char* file : {"planet.bin", "moon.bin"}) {
    const ByteVector bytes = test::load_vector_bytes(file);
    Reader r(bytes);
    const auto world = read_world(r);
    ASSERT_TRUE(world) << file;
    expect_fields(*world, all[file], file);
    EXPECT_EQ(encode_world(*world), bytes) << file;
  }
}

TEST(World, LargestFitsItsLimit) {
  World world;
  world.type = World::Type::kMoon;
  const std::array<std::uint8_t, 16> ip = {0xfd, 1};
  for (std::size_t i = 0; i < kMaxRootsPerWorld; ++i) {
    world.roots.push_back({Identity{Address{i + 1}, {}}, {}});
    world.roots.back().endpoints.assign(kMaxEndpointsPerRoot, Endpoint::v6(ip, 9993));
  }
  const ByteVector bytes = encode_world(world);
  ASSERT_FALSE(bytes.empty());
  EXPECT_LE(bytes.size(), kMaxWorldSize);
  Reader r(bytes);
  EXPECT_EQ(read_world(r), world);
  EXPECT_FALSE(world_signed_bytes(world).empty());

  ByteVector more = bytes;
  more[177] = kMaxRootsPerWorld + 1;
  Reader too_many_roots(more);
  EXPECT_FALSE(read_world(too_many_roots));
  more = bytes;
  more[178 + Identity::kWireSize] = kMaxEndpointsPerRoot + 1;
  Reader too_many_endpoints(more);
  EXPECT_FALSE(read_world(too_many_endpoints));
}

}  // namespace
}  // namespace orrery::wire
