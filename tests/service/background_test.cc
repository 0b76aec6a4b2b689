// The saver: nothing that was submitted is lost at the end, and the end is bounded.
#include "service/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

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
        [this](const SaveState& state) -> Result<void> {
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

}  // namespace
}  // namespace orrery::service
