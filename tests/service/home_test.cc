// home: identities are never lost or replaced by accident, writes are atomic, one daemon per home.
#include "service/home.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "control/node.h"
#include "crypto/identity_work.h"
#include "service/config.h"
#include "support/vectors.h"
#include "wire/network_config.h"
#include "wire/world.h"

namespace orrery::service {
namespace {

class HomeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/orrery-home-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] Home open() const {
    auto home = Home::open(directory_);
    EXPECT_TRUE(home) << home.error().text;
    return std::move(*home);
  }

  void put(const std::string& name, const std::string& content) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << content;
  }

  std::string directory_;
};

TEST_F(HomeTest, IdentityIsMadeOnceAndKept) {
  const auto first = open().identity();
  ASSERT_TRUE(first) << first.error().text;
  const auto second = open().identity();
  ASSERT_TRUE(second);
  EXPECT_EQ(first->identity(), second->identity());
  struct stat info{};
  ASSERT_EQ(::stat((directory_ + "/identity.secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(HomeTest, ADamagedIdentityIsAnErrorAndNeverANewOne) {
  ASSERT_TRUE(open().identity());
  const auto whole = *open().read("identity.secret");
  const std::string text(text_of(*whole));
  for (const std::string& damaged :
       {std::string(), text.substr(0, 100), text.substr(0, 200), "1" + text.substr(1),
        text.substr(0, 20) + (text[20] == '0' ? "1" : "0") + text.substr(21)}) {
    if (damaged == text) continue;
    put("identity.secret", damaged);
    const auto r = open().identity();
    ASSERT_FALSE(r) << damaged;
    EXPECT_NE(r.error().text.find("identity.secret"), std::string::npos);
    EXPECT_EQ(std::string(text_of(**open().read("identity.secret"))), damaged)
        << "the file stays as it is";
  }
}

TEST_F(HomeTest, TheRecordedHomeOfAStockNodeIsReadAndLeftAsItIs) {
  const nlohmann::json file = test::load_vectors("state_files.json");
  std::map<std::string, std::string> content;
  for (const auto& [name, entry] : file["node"].items()) {
    const ByteVector bytes = test::hex_bytes(entry["bytes"]);
    content[name] = std::string(text_of(bytes));
    std::filesystem::create_directories(
        std::filesystem::path(directory_ + "/" + name).parent_path());
    put(name, content[name]);
    ::chmod(
        (directory_ + "/" + name).c_str(),
        static_cast<mode_t>(std::stoul(entry["mode"].get<std::string>().substr(2), nullptr, 8)));
  }
  const Home home = open();
  const auto identity = home.identity();
  ASSERT_TRUE(identity) << identity.error().text;
  EXPECT_EQ(wire::to_string(identity->identity()), content["identity.public"]);
  EXPECT_EQ(*home.auth_token(), content["authtoken.secret"]);
  const auto planet = home.world("planet");
  ASSERT_TRUE(planet && *planet);
  EXPECT_FALSE((*planet)->damaged);
  EXPECT_EQ(std::string(text_of((*planet)->bytes)), content["planet"]);
  const std::string network = file["network"];
  EXPECT_EQ(home.list("networks.d", ".conf"),
            (std::vector{network + ".conf", network + ".local.conf"}));
  const auto cached = home.read("networks.d/" + network + ".conf");
  ASSERT_TRUE(cached && *cached);
  const auto config = wire::decode_network_config(**cached);
  ASSERT_TRUE(config);
  EXPECT_EQ(wire::to_string(config->network), network);
  EXPECT_EQ(config->issued_to, identity->identity().address);
  const control::NetworkSettings settings = home.network_settings(*wire::parse_network_id(network));
  const std::string local = content["networks.d/" + network + ".local.conf"];
  EXPECT_EQ(settings.allow_managed, local.find("allowManaged=1") != std::string::npos);
  EXPECT_EQ(settings.allow_global, local.find("allowGlobal=1") != std::string::npos);
  EXPECT_EQ(settings.allow_default, local.find("allowDefault=1") != std::string::npos);
  EXPECT_EQ(settings.allow_dns, local.find("allowDNS=1") != std::string::npos);
  std::set<std::string> peers;
  for (const auto& [address, bytes] : home.cached_peers(::time(nullptr), 100)) {
    const std::string name = "peers.d/" + wire::to_string(address) + ".peer";
    EXPECT_EQ(std::string(text_of(bytes)), content[name]);
    peers.insert(wire::to_string(address));
  }
  EXPECT_EQ(peers, (std::set{file["identities"]["r"].get<std::string>().substr(0, 10),
                             file["identities"]["b"].get<std::string>().substr(0, 10)}));
  Config daemon;
  EXPECT_TRUE(apply_local_conf(content["local.conf"], "local.conf", daemon));
  for (const auto& [name, text] : content) {
    const auto now = home.read(name);
    ASSERT_TRUE(now && *now) << name;
    EXPECT_EQ(std::string(text_of(**now)), text) << name;
  }
}

TEST_F(HomeTest, SecretsOfOthersEyesAreProtectedAtStart) {
  put("authtoken.secret", "abc");
  ::chmod((directory_ + "/authtoken.secret").c_str(), 0644);
  EXPECT_EQ(*open().auth_token(), "abc");
  struct stat info{};
  ::stat((directory_ + "/authtoken.secret").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(HomeTest, LinksAreNotFollowed) {
  put("elsewhere", "secret");
  std::filesystem::create_symlink(directory_ + "/elsewhere", directory_ + "/planet");
  EXPECT_FALSE(open().read("planet"));
}

TEST_F(HomeTest, OneDaemonPerHome) {
  Home first = open();
  ASSERT_TRUE(first.lock());
  Home second = open();
  const auto r = second.lock();
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text.find(std::to_string(::getpid())), std::string::npos) << r.error().text;
}

TEST_F(HomeTest, PinsAccumulate) {
  Home home = open();
  for (std::uint64_t a : {0x1111111111u, 0x2222222222u}) {
    ASSERT_TRUE(home.save(
        {control::StateKind::kPin, a, ByteVector(48, static_cast<std::uint8_t>(a)), false}));
  }
  EXPECT_EQ(open().pins()->size(), 2u);
  put("pins.json", "[]");
  EXPECT_FALSE(open().pins());
}

/// A planet or moon, signed by its own update key or not.
ByteVector world_bytes(wire::World::Type type, std::uint64_t timestamp, bool sign) {
  static const crypto::SecretIdentity key = crypto::generate_identity();
  wire::World world;
  world.type = type;
  world.id = 0x77;
  world.timestamp = timestamp;
  world.update_key = key.identity().public_key;
  world.roots.push_back({key.identity(), {wire::Endpoint::v4(0x0a000001, 9993)}});
  if (sign) world.signature = crypto::sign(key, wire::world_signed_bytes(world));
  return wire::encode_world(world);
}

TEST_F(HomeTest, ADamagedWorldFallsBackToTheLastGoodOne) {
  Home home = open();
  EXPECT_FALSE(*home.world("planet")) << "no file, no planet";
  const std::string moon = "moons.d/0000000000000077.moon";
  for (const std::string& name : {std::string("planet"), moon}) {
    const auto type = name == "planet" ? wire::World::Type::kPlanet : wire::World::Type::kMoon;
    // the operator's file is taken as it is, and copied
    const ByteVector first = world_bytes(type, 1'000, true);
    ASSERT_TRUE(home.write(name, first));
    auto world = home.world(name);
    ASSERT_TRUE(world && *world);
    EXPECT_FALSE((*world)->damaged);
    EXPECT_EQ((*world)->bytes, first);
    // every way to be damaged
    ByteVector flipped = first;
    flipped[20] ^= 1;  // within the update key
    for (const ByteVector& bad :
         {ByteVector{}, ByteVector(first.begin(), first.end() - 5), ByteVector(300, 0x55),
          world_bytes(type == wire::World::Type::kPlanet ? wire::World::Type::kMoon
                                                         : wire::World::Type::kPlanet,
                      1'000, true),
          flipped}) {
      ASSERT_TRUE(home.write(name, bad));
      world = home.world(name);
      ASSERT_TRUE(world && *world);
      EXPECT_TRUE((*world)->damaged);
      EXPECT_EQ((*world)->bytes, first);
    }
    // a revision from a root replaces both
    const ByteVector second = world_bytes(type, 2'000, true);
    const auto kind = name == "planet" ? control::StateKind::kPlanet : control::StateKind::kMoon;
    ASSERT_TRUE(home.save({kind, 0x77, second, false}));
    ASSERT_TRUE(home.write(name, ByteVector(10)));
    EXPECT_EQ((*home.world(name))->bytes, second);
    // an unsigned one of the operator that is newer is his word
    const ByteVector unsigned_one = world_bytes(type, 3'000, false);
    ASSERT_TRUE(home.write(name, unsigned_one));
    EXPECT_FALSE((*home.world(name))->damaged);
    EXPECT_EQ((*home.world(name))->bytes, unsigned_one);
  }
  EXPECT_EQ(home.list("moons.d", ".moon").size(), 1u);
  ASSERT_TRUE(home.save({control::StateKind::kMoon, 0x77, {}, true}));
  EXPECT_FALSE(*home.world(moon)) << "left is left";
  EXPECT_FALSE(*home.read(moon + ".last_good"));
}

TEST_F(HomeTest, AcceptedIsAKeyNotAHome) {
  Home home = open();
  const auto mine = home.identity();
  ASSERT_TRUE(mine);
  EXPECT_FALSE(home.identity_accepted(mine->identity()));
  put("identity.accepted", "");
  EXPECT_FALSE(home.identity_accepted(mine->identity()));
  ASSERT_TRUE(home.save(
      {control::StateKind::kAccepted, 0, control::accepted_marker(mine->identity()), false}));
  EXPECT_TRUE(home.identity_accepted(mine->identity()));
  // every identity that had to give way is kept
  for (int i = 0; i < 3; ++i) {
    const auto before = *home.read("identity.secret");
    ASSERT_TRUE(home.set_identity_aside());
    const std::string aside = std::string("identity.secret.saved_after_collision") +
                              (i == 0 ? "" : "." + std::to_string(i + 1));
    EXPECT_EQ(*home.read(aside), before);
    const auto next = home.identity();
    ASSERT_TRUE(next);
    EXPECT_FALSE(home.identity_accepted(next->identity()));
  }
}

TEST_F(HomeTest, TheMarkOfPacketIdsNeedsNoRoomOnceItIsThere) {
  Home home = open();
  const auto save = [&](std::uint64_t mark) {
    control::SaveState state{control::StateKind::kNonce, 0, ByteVector(8), false};
    store_be64(state.bytes.data(), mark);
    ASSERT_TRUE(home.save(state));
    EXPECT_EQ(**home.read("nonce.state"), state.bytes);
  };
  const auto inode = [&] {
    struct stat info{};
    return ::stat(home.path("nonce.state").c_str(), &info) == 0 ? info.st_ino : 0;
  };
  save(1);
  const ino_t first = inode();
  save(0x123456789abcdef0);
  EXPECT_EQ(inode(), first) << "written in its place";
  put("nonce.state", "damaged");
  save(3);
}

TEST_F(HomeTest, KillAtAnyMomentLeavesTheOldOrTheNewFile) {
  for (int round = 0; round < 50; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const Home home = Home::peek(directory_);
      for (char c = 'a';; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
        const std::string content(20'000, c);
        (void)home.write("planet", bytes_of(content));
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 137 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto file = Home::peek(directory_).read("planet");
    ASSERT_TRUE(file);
    if (!*file) continue;  // killed before the first write ended
    ASSERT_EQ((*file)->size(), 20'000u) << round;
    EXPECT_EQ(std::count((*file)->begin(), (*file)->end(), (**file)[0]), 20'000) << round;
  }
}

}  // namespace
}  // namespace orrery::service
