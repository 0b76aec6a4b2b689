// The saver: what is asked for at once is on disk at once and is not overwritten by what waited;
// pins share a file that is written once in an interval at most; nothing that was submitted is lost
// at the end, and the end is bounded.
#include "service/background.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "service/home.h"

namespace orrery::service {
namespace {

using control::SaveState;
using control::StateKind;
using namespace std::chrono_literals;

/// A disk that writes slowly and fails when told to.
struct Disk {
  std::mutex mutex;
  std::vector<SaveState> written;
  std::vector<std::string> failures;
  std::atomic<int> busy = 0;  // writes that have begun
  std::atomic<bool> full = false;
  std::chrono::milliseconds delay{0};

  std::unique_ptr<Saver> saver() {
    return std::make_unique<Saver>(
        [this](std::span<const SaveState> states) -> Result<void> {
          const SaveState& state = states.front();
          ++busy;
          std::this_thread::sleep_for(delay);
          if (full) return failure(Errc::kFull, "no room for " + std::to_string(state.id));
          const std::lock_guard lock(mutex);
          written.push_back(state);
          return {};
        },
        [this](const Error& error) {
          const std::lock_guard lock(mutex);
          failures.push_back(error.text);
        });
  }

  void wait_until_busy(int count) const {
    while (busy < count) std::this_thread::sleep_for(1ms);
  }
};

TEST(Saver, WhatIsSubmittedDuringABatchIsWrittenAtTheEnd) {
  Disk disk;
  disk.delay = 100ms;
  auto saver = disk.saver();
  saver->submit({StateKind::kNetwork, 1, {1}, false});
  disk.wait_until_busy(1);
  for (std::uint64_t id : {2, 3, 4}) saver->submit({StateKind::kPeer, id, {1}, false});
  saver->submit({StateKind::kPlanet, 0, {1}, false});
  saver.reset();
  ASSERT_EQ(disk.written.size(), 5u);
  EXPECT_EQ(disk.written[1].kind, StateKind::kPlanet) << "peers are written last";
  EXPECT_TRUE(disk.failures.empty());
}

TEST(Saver, OfTwoWritesToOneFileTheLaterOneWins) {
  Disk disk;
  disk.delay = 50ms;
  auto saver = disk.saver();
  saver->submit({StateKind::kPlanet, 0, {0}, false});
  disk.wait_until_busy(1);
  saver->submit({StateKind::kMoon, 7, {1}, false});
  saver->submit({StateKind::kMoon, 7, {2}, false});
  saver.reset();
  ASSERT_EQ(disk.written.size(), 2u);
  EXPECT_EQ(disk.written[1].bytes, ByteVector{2});
}

TEST(Saver, AFailureAtTheEndIsTriedOnceMoreAndReported) {
  Disk disk;
  disk.delay = 20ms;
  disk.full = true;
  auto saver = disk.saver();
  saver->submit({StateKind::kNetwork, 1, {1}, false});
  disk.wait_until_busy(1);
  const auto begin = std::chrono::steady_clock::now();
  saver->submit({StateKind::kNetwork, 2, {1}, false});
  saver.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_GE(disk.failures.size(), 4u) << "each twice";
  EXPECT_LE(disk.failures.size(), 5u);
  EXPECT_TRUE(disk.written.empty());
}

TEST(Saver, AFailureThatMendsAtTheEndIsWritten) {
  Disk disk;
  disk.full = true;
  auto saver = disk.saver();
  saver->submit({StateKind::kNetwork, 1, {1}, false});
  disk.wait_until_busy(1);
  std::this_thread::sleep_for(50ms);
  disk.full = false;
  saver.reset();
  EXPECT_EQ(disk.written.size(), 1u);
}

TEST(Saver, ManyPeersOnASlowDiskDoNotHoldUpTheEnd) {
  Disk disk;
  disk.delay = 10ms;
  auto saver = disk.saver();
  for (std::uint64_t id = 1; id <= 1'000; ++id) saver->submit({StateKind::kPeer, id, {1}, false});
  disk.wait_until_busy(1);
  saver->submit({StateKind::kNetwork, 1, {1}, false});
  const auto begin = std::chrono::steady_clock::now();
  saver.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1400ms);
  EXPECT_EQ(disk.failures.size(), 1u);
  EXPECT_EQ(std::count_if(disk.written.begin(), disk.written.end(),
                          [](const SaveState& s) { return s.kind == StateKind::kNetwork; }),
            1);
}

class SaverTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/orrery-saver-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    home_ = std::make_unique<Home>(std::move(*Home::open(directory_)));
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  Saver::Save save() {
    return [this](auto states) { return home_->save(states); };
  }

  static SaveState state(StateKind kind, std::uint64_t id, std::string_view text) {
    return {kind, id, ByteVector(text.begin(), text.end()), false};
  }

  static SaveState pin(std::uint64_t id) {
    return {StateKind::kPin, id, ByteVector(48, static_cast<std::uint8_t>(id)), false};
  }

  [[nodiscard]] std::string content(const std::string& name) const {
    const auto read = home_->read(name);
    return read && *read ? std::string(text_of(**read)) : "(none)";
  }

  template <typename Condition>
  static bool within(std::chrono::seconds patience, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  std::string directory_;
  std::unique_ptr<Home> home_;
  std::vector<std::string> failures_;
};

const char* const kLocal = "networks.d/8056c2e21c000001.local.conf";
constexpr std::uint64_t kNetwork = 0x8056c2e21c000001;

TEST_F(SaverTest, AtOnceIsOnDiskWhenItReturnsAndStays) {
  for (int round = 0; round < 20; ++round) {
    Saver saver(save(), [](const Error& e) { FAIL() << e.text; });
    for (std::uint64_t id = 1; id < 40; ++id) saver.submit(state(StateKind::kPeer, id, "x"));
    saver.submit(state(StateKind::kNetworkLocal, kNetwork, "old"));
    const std::string text = "new " + std::to_string(round);
    ASSERT_TRUE(saver.save_now(state(StateKind::kNetworkLocal, kNetwork, text)));
    ASSERT_EQ(content(kLocal), text);
    if (round % 2 == 0) std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(content(kLocal), "new 19");
}

TEST_F(SaverTest, AFailureIsToldAndTriedAgain) {
  std::atomic<int> failed = 0;
  Saver saver(save(), [&](const Error&) { ++failed; });
  std::filesystem::remove_all(home_->path("networks.d"));
  EXPECT_FALSE(saver.save_now(state(StateKind::kNetworkLocal, kNetwork, "kept")));
  EXPECT_GE(failed, 1);
  std::filesystem::create_directory(home_->path("networks.d"));
  EXPECT_TRUE(within(10s, [&] { return content(kLocal) == "kept"; }));
}

TEST_F(SaverTest, PinsShareOneWriteOfAnInterval) {
  std::atomic<int> writes = 0;
  const auto counted = [&](std::span<const SaveState> states) {
    writes += states.front().kind == StateKind::kPin ? 1 : 0;
    return home_->save(states);
  };
  const auto fail = [](const Error& e) { FAIL() << e.text; };
  {
    Saver saver(counted, fail, {StateKind::kPin}, 24h);
    saver.submit(pin(1));
    ASSERT_TRUE(within(60s, [&] { return writes == 1; })) << "the first one does not wait";
    for (std::uint64_t id = 2; id <= 200; ++id) saver.submit(pin(id));
    // Batches come and go; the pins stay behind.
    for (const char* text : {"one", "two"}) {
      saver.submit(state(StateKind::kNetworkLocal, kNetwork, text));
      ASSERT_TRUE(within(60s, [&] { return content(kLocal) == text; }));
    }
    EXPECT_EQ(writes, 1);
  }
  EXPECT_EQ(writes, 2) << "the end waits for nothing";
  EXPECT_EQ(home_->pins()->size(), 200u);

  Saver saver(counted, fail, {StateKind::kPin}, 1ms);
  saver.submit(pin(201));
  saver.submit(pin(202));
  EXPECT_TRUE(within(60s, [&] { return home_->pins()->size() == 202; })) << "they have their time";
}

TEST_F(SaverTest, TheEndWritesWhatIsLeft) {
  {
    Saver saver(save(), [](const Error& e) { FAIL() << e.text; });
    for (std::uint64_t id = 1; id <= 50; ++id) {
      saver.submit(pin(id));
      saver.submit(state(StateKind::kPeer, id, "x"));
    }
  }
  EXPECT_EQ(home_->pins()->size(), 50u);
  EXPECT_EQ(home_->list("peers.d", ".peer").size(), 50u);
}

TEST_F(SaverTest, OldPeersAreForgottenAndTheNewestLoaded) {
  const std::int64_t now = 1'700'000'000;
  const auto put = [&](std::uint64_t id, std::int64_t written) {
    ASSERT_TRUE(home_->save(state(StateKind::kPeer, id, std::to_string(id))));
    const std::string file = home_->path("peers.d/" + wire::to_string(wire::Address{id}) + ".peer");
    const timespec times[2] = {{written, 0}, {written, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  };
  put(1, now - 31 * 86'400);
  put(2, now - 29 * 86'400);
  put(3, now - 1);
  put(4, now + 1'000);  // a clock that went back does not make files old
  const auto peers = home_->cached_peers(now, 2);
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0].first.value, 4u);
  EXPECT_EQ(peers[1].first.value, 3u);
  EXPECT_EQ(home_->list("peers.d", ".peer").size(), 3u);
}

}  // namespace
}  // namespace orrery::service
