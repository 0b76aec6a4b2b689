// Planet and moons: golden vectors, and how documents travel between nodes.
#include <gtest/gtest.h>

#include "control/worlds.h"
#include "crypto/identity_work.h"
#include "node/forger.h"
#include "node/identities.h"
#include "support/sim_net.h"
#include "support/vectors.h"

namespace orrery::test {
namespace {

using control::Worlds;

std::uint64_t hex_number(const nlohmann::json& value) {
  return std::stoull(value.get<std::string>(), nullptr, 16);
}

std::optional<wire::World> parse(Bytes bytes, std::size_t* consumed = nullptr) {
  Reader reader(bytes);
  auto world = wire::read_world(reader);
  if (consumed != nullptr) *consumed = reader.position();
  return world;
}

void expect_keys(const nlohmann::json& object, const std::set<std::string>& known,
                 const std::string& what) {
  for (const auto& [key, value] : object.items()) {
    EXPECT_TRUE(known.contains(key)) << what << ": unknown key " << key;
  }
}

void expect_roots(const nlohmann::json& roots, const wire::World& world, const std::string& what) {
  ASSERT_EQ(roots.size(), world.roots.size()) << what;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    expect_keys(roots[i], {"identity", "stable_endpoints"}, what);
    EXPECT_EQ(roots[i]["identity"].get<std::string>(), wire::to_string(world.roots[i].identity))
        << what;
    std::vector<std::string> endpoints;
    for (const wire::Endpoint& endpoint : world.roots[i].endpoints)
      endpoints.push_back(wire::to_string(endpoint));
    EXPECT_EQ(roots[i]["stable_endpoints"].get<std::vector<std::string>>(), endpoints) << what;
  }
}

wire::World::Type type_of(const nlohmann::json& value) {
  return static_cast<wire::World::Type>(value.get<int>());
}

TEST(WorldVectors, Fields) {
  crypto::init();
  const nlohmann::json file = load_vectors("worlds.json");
  for (const auto& [key, value] : file.items()) {
    EXPECT_TRUE((std::set<std::string>{"format", "producer", "worlds", "decode", "update_chains",
                                       "moon_seeds"}
                     .contains(key)))
        << key;
  }
  for (const nlohmann::json& c : file["worlds"]) {
    const std::string what = c["name"];
    expect_keys(c,
                {"name", "type", "id", "timestamp", "updates_must_be_signed_by", "signature",
                 "roots", "signed_by_public", "signed_by_private", "next_update_private",
                 "signed_bytes", "bytes", "strictness"},
                what);
    const ByteVector bytes = hex_bytes(c["bytes"]);
    const auto world = parse(bytes);
    ASSERT_TRUE(world) << what;
    EXPECT_EQ(world->type, type_of(c["type"])) << what;
    EXPECT_EQ(world->id, hex_number(c["id"])) << what;
    EXPECT_EQ(world->timestamp, c["timestamp"].get<std::uint64_t>()) << what;
    EXPECT_EQ(to_hex(world->update_key), c["updates_must_be_signed_by"].get<std::string>()) << what;
    EXPECT_EQ(to_hex(world->signature), c["signature"].get<std::string>()) << what;
    expect_roots(c["roots"], *world, what);
    EXPECT_EQ(wire::world_signed_bytes(*world), hex_bytes(c["signed_bytes"])) << what;
    EXPECT_EQ(wire::encode_world(*world), bytes) << what;
    wire::PrivateKey private_key;
    wire::PublicKey public_key;
    const ByteVector private_bytes = hex_bytes(c["signed_by_private"]),
                     public_bytes = hex_bytes(c["signed_by_public"]);
    ASSERT_EQ(private_bytes.size(), private_key.size());
    ASSERT_EQ(public_bytes.size(), public_key.size());
    std::copy(private_bytes.begin(), private_bytes.end(), private_key.begin());
    std::copy(public_bytes.begin(), public_bytes.end(), public_key.begin());
    EXPECT_EQ(crypto::sign(private_key, public_key, wire::world_signed_bytes(*world)),
              world->signature)
        << what;
    EXPECT_TRUE(crypto::verify(public_key, wire::world_signed_bytes(*world), world->signature))
        << what;
    wire::PrivateKey next;
    const ByteVector next_bytes = hex_bytes(c["next_update_private"]);
    ASSERT_EQ(next_bytes.size(), next.size());
    std::copy(next_bytes.begin(), next_bytes.end(), next.begin());
    EXPECT_EQ(crypto::public_key_of(next), world->update_key) << what;
  }
}

TEST(WorldVectors, Decode) {
  const nlohmann::json cases = load_vectors("worlds.json")["decode"];
  ASSERT_FALSE(cases.empty());
  for (const nlohmann::json& c : cases) {
    const std::string what = c["name"];
    expect_keys(c, {"name", "bytes", "strictness", "ok", "consumed"}, what);
    std::size_t consumed = 0;
    const auto world = parse(hex_bytes(c["bytes"]), &consumed);
    if (strictness(c) == "may_reject" && !world) continue;
    ASSERT_EQ(world.has_value(), c["ok"].get<bool>()) << what;
    if (world) {
      EXPECT_EQ(consumed, c["consumed"].get<std::size_t>()) << what;
    }
  }
}

TEST(WorldVectors, UpdateChains) {
  crypto::init();
  const nlohmann::json cases = load_vectors("worlds.json")["update_chains"];
  ASSERT_FALSE(cases.empty());
  for (const nlohmann::json& c : cases) {
    expect_keys(c, {"name", "steps", "strictness"}, "chain");
    const std::string name = c["name"];
    Worlds worlds;
    // Without a seed and without the operator's word a first copy never comes in; elsewhere it is
    // the operator's.
    bool operators_word = name != "new moon without a seed or orbit request";
    for (const nlohmann::json& step : c["steps"]) {
      expect_keys(step, {"what", "bytes", "accept"}, name);
      const auto world = parse(hex_bytes(step["bytes"]));
      ASSERT_TRUE(world);
      const Worlds::Verdict verdict =
          operators_word ? worlds.load(*world) : worlds.offer(*world, 1'800'000'000'000);
      operators_word = false;
      EXPECT_EQ(verdict == Worlds::Verdict::kAccepted, step["accept"].get<bool>())
          << name << ": " << step["what"];
    }
  }
}

TEST(WorldVectors, MoonSeeds) {
  crypto::init();
  const nlohmann::json cases = load_vectors("worlds.json")["moon_seeds"];
  ASSERT_FALSE(cases.empty());
  for (const nlohmann::json& c : cases) {
    const std::string what = c["name"];
    expect_keys(c, {"name", "orbit_id", "orbit_seed", "moon", "accept", "strictness"}, what);
    const auto seed = wire::parse_address(c["orbit_seed"].get<std::string>());
    const auto moon = parse(hex_bytes(c["moon"]));
    ASSERT_TRUE(seed && moon) << what;
    Worlds worlds;
    worlds.wish({hex_number(c["orbit_id"]), *seed});
    EXPECT_TRUE(worlds.is_seed(*seed));
    if (worlds.offer(*moon, 1'800'000'000'000) == Worlds::Verdict::kUnproven) {
      for (const wire::WorldRoot& root : moon->roots)
        worlds.prove(root.identity, crypto::validate(root.identity));
    }
    EXPECT_EQ(worlds.moons().contains(moon->id), c["accept"].get<bool>()) << what;
    EXPECT_EQ(worlds.wishes().empty(), c["accept"].get<bool>()) << what;
  }
}

TEST(WorldVectors, Files) {
  const nlohmann::json file = load_vectors("world_files.json");
  for (const auto& [key, c] : file.items()) {
    if (key == "format" || key == "producer") continue;
    ASSERT_TRUE(key == "planet.bin" || key == "moon.bin") << key;
    expect_keys(c, {"type", "id", "timestamp", "updates_must_be_signed_by", "signature", "roots"},
                key);
    const ByteVector bytes = load_vector_bytes(key);
    const auto world = parse(bytes);
    ASSERT_TRUE(world) << key;
    EXPECT_EQ(world->type, type_of(c["type"]));
    EXPECT_EQ(world->id, hex_number(c["id"]));
    EXPECT_EQ(world->timestamp, c["timestamp"].get<std::uint64_t>());
    EXPECT_EQ(to_hex(world->update_key), c["updates_must_be_signed_by"].get<std::string>());
    EXPECT_EQ(to_hex(world->signature), c["signature"].get<std::string>());
    expect_roots(c["roots"], *world, key);
    EXPECT_EQ(wire::encode_world(*world), bytes);
    Worlds worlds;
    EXPECT_EQ(worlds.load(*world), Worlds::Verdict::kAccepted);
    EXPECT_EQ(worlds.upstreams({}).size(), world->roots.size());
    EXPECT_TRUE(worlds.lists(world->roots[0].identity));
  }
}

TEST(WorldRules, FailedWorkOrTimeAheadRefusesAMoon) {
  crypto::init();
  const nlohmann::json c = load_vectors("worlds.json")["moon_seeds"][0];
  auto moon = parse(hex_bytes(c["moon"]));
  ASSERT_TRUE(moon && !moon->roots.empty());
  Worlds worlds;
  worlds.wish({moon->id, moon->roots[0].identity.address});
  EXPECT_EQ(worlds.offer(*moon, 0), Worlds::Verdict::kUnproven);
  EXPECT_TRUE(worlds.prove(moon->roots[0].identity, false).empty());
  EXPECT_TRUE(worlds.moons().empty());
  moon->timestamp = 86'400'001 + 5'000;
  EXPECT_EQ(worlds.offer(*moon, 5'000), Worlds::Verdict::kRejected);  // R5
}

class WorldTravel : public testing::Test {
 protected:
  WorldTravel() { crypto::init(); }

  static wire::World world(wire::World::Type type, std::uint64_t id, std::uint64_t timestamp,
                           const std::vector<std::pair<std::size_t, wire::Endpoint>>& roots) {
    const crypto::SecretIdentity signer = identity_of_vectors(20);
    wire::World w;
    w.type = type;
    w.id = id;
    w.timestamp = timestamp;
    w.update_key = signer.identity().public_key;
    for (const auto& [number, at] : roots)
      w.roots.push_back({identity_of_vectors(number).identity(), {at}});
    w.signature = crypto::sign(signer, wire::world_signed_bytes(w));
    return w;
  }

  SimHost& host(std::size_t number, const wire::Endpoint& at, const wire::World& planet,
                const std::vector<ByteVector>& moons = {}) {
    control::NodeOptions o{.identity = identity_of_vectors(number)};
    o.planet = wire::encode_world(planet);
    o.moons = moons;
    SimHost& h = net_.add("node", std::move(o), {at});
    net_.start(h);
    return h;
  }

  SimNet net_;
};

TEST_F(WorldTravel, ANewerPlanetReachesTheLeaves) {
  const auto root_at = wire::Endpoint::v4(0x0a000001, 9993);
  const auto planet = wire::World::Type::kPlanet;
  host(0, root_at, world(planet, 9, 2'000, {{0, root_at}}));
  SimHost& leaf =
      host(1, wire::Endpoint::v4(0x0a000102, 9993), world(planet, 9, 1'000, {{0, root_at}}));
  net_.run_for(300'000);  // an unconfirmed path gets no documents; the next full HELLO brings them
  EXPECT_EQ(leaf.node->status(net_.now).planet_timestamp, 2'000);
  EXPECT_TRUE(std::any_of(leaf.saves.begin(), leaf.saves.end(), [](const control::SaveState& save) {
    return save.kind == control::StateKind::kPlanet;
  }));
}

TEST_F(WorldTravel, AnUnprovenSquatterDoesNotKeepARootOut) {
  const auto root_at = wire::Endpoint::v4(0x0a000001, 9993);
  const auto other_at = wire::Endpoint::v4(0x0a000005, 9993);
  const auto planet = wire::World::Type::kPlanet;
  SimHost& leaf =
      host(1, wire::Endpoint::v4(0x0a000102, 9993), world(planet, 9, 1'000, {{0, root_at}}));
  host(0, root_at, world(planet, 9, 2'000, {{0, root_at}, {5, other_at}}));
  net_.run_for(6'000);  // the root proves the leaf
  net_.work_delay = 10'000'000;
  Forger squatter(with_address(identity_of_vectors(6), identity_of_vectors(5).address()),
                  leaf.node->self().identity());
  const auto squat = [&](std::uint64_t id) {
    net_.inject(wire::Endpoint::v4(0x0a000606, 9993), leaf.sockets[0].address,
                squatter.hello(id, net_.now.wall, leaf.sockets[0].address));
    net_.run_for(50);
  };
  squat(8);
  ASSERT_TRUE(leaf.peer(net_.now, squatter.address()));
  ASSERT_EQ(leaf.node->status(net_.now).planet_timestamp, 1'000);
  for (std::uint64_t i = 0; i < 60; ++i) {
    squat(16 + i * 8);
    net_.run_for(5'000);
  }
  EXPECT_EQ(leaf.node->status(net_.now).planet_timestamp, 2'000);
  ASSERT_TRUE(leaf.peer(net_.now, squatter.address()));
  EXPECT_TRUE(leaf.node->is_root(squatter.address())) << "the key of the world is in place";
}

TEST_F(WorldTravel, AMoonComesFromItsSeedAndGoes) {
  const auto root_at = wire::Endpoint::v4(0x0a000001, 9993);
  const auto moon_at = wire::Endpoint::v4(0x0a000002, 9993);
  const wire::World planet = world(wire::World::Type::kPlanet, 9, 1'000, {{0, root_at}});
  const wire::World moon = world(wire::World::Type::kMoon, identity_of_vectors(2).address().value,
                                 1'000, {{2, moon_at}});
  host(0, root_at, planet);
  SimHost& seed = host(2, moon_at, planet, {wire::encode_world(moon)});
  SimHost& leaf = host(1, wire::Endpoint::v4(0x0a000102, 9993), planet);
  EXPECT_TRUE(seed.node->self_is_root());
  net_.run_for(1'000);
  leaf.node->orbit(net_.now, moon.id, seed.address(), leaf.effects);
  net_.settle(leaf);
  ASSERT_EQ(leaf.node->moons().size(), 1U);
  EXPECT_TRUE(leaf.node->moons()[0].waiting);
  net_.run_for(60'000);
  ASSERT_EQ(leaf.node->moons().size(), 1U);
  EXPECT_FALSE(leaf.node->moons()[0].waiting);
  EXPECT_TRUE(leaf.node->is_root(seed.address()));
  EXPECT_EQ(leaf.peer(net_.now, seed.address())->role, control::PeerStatus::Role::kMoon);
  leaf.saves.clear();
  leaf.node->deorbit(net_.now, moon.id, leaf.effects);
  net_.settle(leaf);
  EXPECT_TRUE(leaf.node->moons().empty());
  EXPECT_FALSE(leaf.node->is_root(seed.address()));
  ASSERT_FALSE(leaf.saves.empty());
  EXPECT_TRUE(leaf.saves[0].remove);
}

TEST_F(WorldTravel, AMoonWhoseProofFoundNoRoomIsOfferedAgain) {
  const auto root_at = wire::Endpoint::v4(0x0a000001, 9993);
  const auto moon_at = wire::Endpoint::v4(0x0a000002, 9993);
  const wire::World planet = world(wire::World::Type::kPlanet, 9, 1'000, {{0, root_at}});
  // the seed and one more, which only the moon names
  const wire::World moon = world(wire::World::Type::kMoon, identity_of_vectors(2).address().value,
                                 1'000, {{2, moon_at}, {7, wire::Endpoint::v4(0x0a000007, 9993)}});
  host(0, root_at, planet);
  SimHost& seed = host(2, moon_at, planet, {wire::encode_world(moon)});
  SimHost& leaf = host(1, wire::Endpoint::v4(0x0a000102, 9993), planet);
  net_.run_for(1'000);
  leaf.node->orbit(net_.now, moon.id, seed.address(), leaf.effects);
  net_.settle(leaf);
  // the seed's identity is asked of the root first; then only the moon's proofs are refused
  net_.run_for(200);
  ASSERT_NE(leaf.node->identity_of(seed.address()), nullptr);
  net_.work_room = 0;
  for (int i = 0; i < 100 && leaf.counter("proof_refused") < 2; ++i) net_.run_for(1'000);
  ASSERT_GE(leaf.counter("proof_refused"), 2U);
  EXPECT_TRUE(leaf.node->moons()[0].waiting);
  net_.work_room = 8;
  net_.run_for(120'000);
  EXPECT_FALSE(leaf.node->moons()[0].waiting);
}

}  // namespace
}  // namespace orrery::test
