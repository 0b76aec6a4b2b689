// The store of a root: what was written is there, also after kill -9; a damaged file is moved
// aside; the home directory uses it for peers and for what first use pins, and pins.json for the
// rest.
#include "service/peer_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "service/home.h"

namespace orrery::service {
namespace {

namespace fs = std::filesystem;
using control::SaveState;
using control::StateKind;

class PeerStoreTest : public testing::Test {
 protected:
  PeerStoreTest() {
    std::string name = (fs::temp_directory_path() / "orrery-peers-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }

  ~PeerStoreTest() override { fs::remove_all(path_); }

  [[nodiscard]] std::string file() const { return (path_ / PeerStore::kFileName).string(); }

  [[nodiscard]] PeerStore store(bool expect_damaged = false) const {
    bool damaged = false;
    auto opened = PeerStore::open(file(), damaged);
    if (!opened) throw std::runtime_error(opened.error().text);
    EXPECT_EQ(damaged, expect_damaged);
    return std::move(*opened);
  }

  static SaveState peer(std::uint64_t id, std::uint8_t byte) {
    return {StateKind::kPeer, id, ByteVector(90, byte), false};
  }

  static SaveState pin(std::uint64_t id, std::uint8_t byte) {
    return {StateKind::kPin, id, ByteVector(48, byte), false};
  }

  fs::path path_;
};

TEST_F(PeerStoreTest, KeepsPeersAndPins) {
  {
    PeerStore s = store();
    ASSERT_TRUE(s.save(std::vector{peer(1, 1), peer(2, 2), pin(2, 7), pin(3, 8)}, 100));
    ASSERT_TRUE(s.save(std::vector{peer(1, 9), SaveState{StateKind::kPin, 3, {}, true}}, 200));
    struct stat info{};
    ASSERT_EQ(::stat(file().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
  }
  PeerStore s = store();
  const auto peers = s.peers(0, 10);
  ASSERT_TRUE(peers);
  ASSERT_EQ(peers->size(), 2U);
  EXPECT_EQ((*peers)[0], (std::pair{wire::Address{1}, ByteVector(90, 9)}));
  EXPECT_EQ((*peers)[1], (std::pair{wire::Address{2}, ByteVector(90, 2)}));
  const auto pins = s.pins();
  ASSERT_TRUE(pins);
  ASSERT_EQ(pins->size(), 1U);
  EXPECT_EQ(pins->at(wire::Address{2})[47], 7);
}

TEST_F(PeerStoreTest, TheNewestAreLoadedAndTheOldestForgotten) {
  PeerStore s = store();
  for (std::uint64_t i = 1; i <= 100; ++i)
    ASSERT_TRUE(s.save(std::vector{peer(i, 1)}, static_cast<std::int64_t>(i)));
  const auto newest = s.peers(0, 10);
  ASSERT_TRUE(newest);
  ASSERT_EQ(newest->size(), 10U);
  for (const auto& [address, record] : *newest) EXPECT_GT(address.value, 90U);
  EXPECT_EQ(s.peers(51, 1'000)->size(), 50U);
  EXPECT_EQ(s.peers(0, 1'000)->size(), 50U) << "what is too old is gone";
}

TEST_F(PeerStoreTest, RefusesWhatItDoesNotKeep) {
  PeerStore s = store();
  EXPECT_FALSE(s.save(std::vector{peer(1, 1), SaveState{StateKind::kPlanet, 0, {1}, false}}, 1));
  EXPECT_FALSE(s.save(std::vector{SaveState{StateKind::kPin, 1, {1}, false}}, 1));
  EXPECT_TRUE(s.peers(0, 10)->empty()) << "all or nothing";
}

TEST_F(PeerStoreTest, ACommitOutlivesKill9) {  // D1
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    PeerStore s = store();
    for (std::uint64_t i = 1;; ++i) {
      if (!s.save(std::vector{peer(i, 1), pin(i, 2)}, 1)) ::_exit(1);
      if (::write(ready[1], &i, sizeof i) != sizeof i) ::_exit(1);
    }
  }
  std::uint64_t done = 0;
  while (done < 200) ASSERT_EQ(::read(ready[0], &done, sizeof done), ssize_t{sizeof done});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  PeerStore s = store();
  EXPECT_GE(s.peers(0, 1'000'000)->size(), done);
  EXPECT_EQ(s.peers(0, 1'000'000)->size(), s.pins()->size());
}

TEST_F(PeerStoreTest, ADamagedFileIsMovedAside) {  // D5, bS4
  ASSERT_TRUE(store().save(std::vector{peer(1, 1)}, 1));
  std::ofstream(file(), std::ios::trunc) << "no database";
  fs::remove(file() + "-wal");
  PeerStore s = store(true);
  EXPECT_TRUE(s.peers(0, 10)->empty());
  EXPECT_TRUE(s.save(std::vector{peer(2, 1)}, 1));
  std::ifstream kept(file() + ".damaged");
  std::string text;
  std::getline(kept, text);
  EXPECT_EQ(text, "no database");
}

TEST_F(PeerStoreTest, AHomeOfARootUsesIt) {
  auto home = Home::open((path_ / "home").string());
  ASSERT_TRUE(home);
  const std::int64_t now = ::time(nullptr);
  // before it was a root
  ASSERT_TRUE(home->save(std::vector{pin(1, 1)}));
  ASSERT_TRUE(home->save(peer(1, 1)));
  ASSERT_FALSE(home->shared_kinds().contains(StateKind::kPeer));
  const auto damaged = home->open_peer_store();
  ASSERT_TRUE(damaged);
  EXPECT_FALSE(*damaged);
  EXPECT_TRUE(home->shared_kinds().contains(StateKind::kPeer));
  // and since
  ASSERT_TRUE(home->save(std::vector{pin(2, 2), pin(1, 9)}));
  ASSERT_TRUE(home->save(std::vector{peer(2, 2), peer(1, 7)}));
  ASSERT_TRUE(
      home->save(std::vector{SaveState{StateKind::kPinByHand, 3, ByteVector(48, 3), false}}));
  const auto pins = home->pins();
  ASSERT_TRUE(pins);
  ASSERT_EQ(pins->size(), 3U);
  EXPECT_EQ(pins->at(wire::Address{1})[0], 1) << "pins.json first";
  EXPECT_EQ(pins->at(wire::Address{2})[0], 2);
  EXPECT_EQ(pins->at(wire::Address{3})[0], 3);
  EXPECT_FALSE(fs::exists(path_ / "home/peers.d/0000000002.peer"));
  const auto peers = home->cached_peers(now, 10);
  ASSERT_GE(peers.size(), 2U);
  EXPECT_EQ(peers[0].second[0], 7) << "the store's record before the file's";
}

TEST_F(PeerStoreTest, TheLogOfKeysOnlyGrows) {
  auto home = Home::open((path_ / "home").string());
  ASSERT_TRUE(home);
  const auto line = [](std::uint64_t id, const std::string& text) {
    return SaveState{StateKind::kIdentityLog, id, ByteVector(text.begin(), text.end()), false};
  };
  ASSERT_TRUE(home->save(std::vector{line(1, "one\n"), line(2, "two\n")}));
  ASSERT_TRUE(home->save(std::vector{line(1, "three\n")}));
  std::ifstream log(path_ / "home/identity.log");
  const std::string all((std::istreambuf_iterator<char>(log)), {});
  EXPECT_EQ(all, "one\ntwo\nthree\n");
}

}  // namespace
}  // namespace orrery::service
