// The watch over one path on a virtual clock, what is measured of it, and the choice among several.
#include <gtest/gtest.h>

#include <random>

#include "control/peer.h"
#include "node/identities.h"

namespace orrery::test {
namespace {

using control::ChoiceReason;
using control::PathQuality;
using control::PathWatch;
using wire::Endpoint;
using Role = PathWatch::Role;

/// A path whose probes are answered after `round_trip`, unless `loses` says otherwise.
struct Watched {
  void run(Millis duration) {
    const Millis end = now + duration;
    while (now < end) {
      Millis next = std::min(end, std::max(watch.due(role, quality.wait()), now));
      for (const auto& [at, sent] : answers) next = std::min(next, at);
      now = next;
      for (auto it = answers.begin(); it != answers.end() && it->first <= now;) {
        quality.answered(now - it->second);
        if (watch.answered(now, it->second)) back_at = now;
        it = answers.erase(it);
      }
      if (hears) watch.heard(now);
      const PathWatch::Turn turn = watch.turn(now, role, quality.wait());
      for (unsigned i = 0; i < turn.lost; ++i) quality.lost();
      if (turn.failed) {
        failed_at = now;
        ++failures;
      }
      if (turn.probe) {
        ++probes;
        watch.sent(now);
        if (!loses()) answers.emplace(now + round_trip, now);
      }
      if (now == end) return;
      if (watch.due(role, quality.wait()) <= now && answers.empty()) ++now;
    }
  }

  PathWatch watch;
  PathQuality quality;
  Role role = Role::kCurrent;
  std::function<bool()> loses = [] { return false; };
  bool hears = false;
  Millis round_trip = 20;
  Millis now = 100'000, failed_at = 0, back_at = 0;
  std::multimap<Millis, Millis> answers;  // when, to a probe of when
  unsigned probes = 0, failures = 0;
};

TEST(PathQuality, MeasuresLatencyItsVariationAndLoss) {
  PathQuality quality;
  EXPECT_FALSE(quality.known());
  EXPECT_EQ(quality.latency_ms(), control::kLatencyUnknown);
  for (int i = 0; i < 100; ++i) quality.answered(i % 2 == 0 ? 40 : 60);
  EXPECT_NEAR(quality.latency_ms(), 50, 3);
  EXPECT_NEAR(quality.jitter_ms(), 10, 2);
  EXPECT_EQ(quality.loss_permille(), 0);
  const int before = quality.cost();
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    if (random() % 10 == 0) {
      quality.lost();
    } else {
      quality.answered(50);
    }
  }
  EXPECT_NEAR(quality.loss_permille(), 100, 90);
  for (int i = 0; i < 200; ++i) quality.lost();
  EXPECT_GT(quality.loss_permille(), 990);
  EXPECT_GT(quality.cost(), before + 400);
}

TEST(PathWatch, APathThatAnswersIsAskedOnceASecondAndASpareOneEveryFive) {
  Watched path;
  path.run(60'000);
  EXPECT_NEAR(path.probes, 60, 2);
  path.role = Role::kSpare;
  path.probes = 0;
  path.run(60'000);
  EXPECT_NEAR(path.probes, 12, 2);
  path.role = Role::kIdle;
  path.probes = 0;
  path.run(60'000);
  EXPECT_EQ(path.probes, 0u);
  EXPECT_EQ(path.watch.due(Role::kIdle, 1'000), PathWatch::kNever);
}

TEST(PathWatch, ADeadPathFailsWithinThreeSecondsWheneverItDies) {
  for (Millis phase = 0; phase < 1'000; phase += 70) {
    for (const Millis round_trip : {0, 5, 150}) {
      Watched path;
      path.round_trip = round_trip;
      path.run(10'000 + phase);
      path.loses = [] { return true; };
      const Millis since = path.now;
      path.run(10'000);
      ASSERT_EQ(path.failures, 1u);
      EXPECT_LE(path.failed_at - since, 3'000) << phase << ' ' << round_trip;
      EXPECT_EQ(path.watch.state(), PathWatch::State::kFailed);
    }
  }
}

TEST(PathWatch, WhileItStillBringsPacketsItHasLongerButNotForEver) {
  Watched path;
  path.run(10'000);
  path.hears = true;
  path.loses = [] { return true; };
  const Millis since = path.now;
  path.run(10'000);
  ASSERT_EQ(path.failures, 1u);
  EXPECT_GE(path.failed_at - since, 3'000);
  EXPECT_LE(path.failed_at - since, 5'000);
}

TEST(PathWatch, LossDelayAndSilenceForASecondAreNoFailure) {
  std::mt19937 random(7);
  Watched path;
  path.loses = [&] { return random() % 100 < 30; };
  path.run(600'000);
  EXPECT_LE(path.failures, 1u);
  EXPECT_NEAR(path.quality.loss_permille(), 300, 250);

  Watched slow;
  slow.round_trip = 700;
  slow.run(60'000);
  EXPECT_EQ(slow.failures, 0u);

  Watched gap;
  gap.run(10'000);
  gap.loses = [] { return true; };
  gap.run(1'200);
  gap.loses = [] { return false; };
  gap.run(10'000);
  EXPECT_EQ(gap.failures, 0u);
  EXPECT_EQ(gap.watch.state(), PathWatch::State::kGood);
}

TEST(PathWatch, ItComesBackSoonAndSlowerEachTimeItFailsAgain) {
  Watched path;
  Millis trial = 0;
  for (int round = 0; round < 4; ++round) {
    path.loses = [] { return true; };
    path.run(6'000);
    ASSERT_TRUE(path.watch.failed());
    EXPECT_GE(path.watch.trial(), std::max(2 * trial, PathWatch::kLeastTrial));
    trial = path.watch.trial();
    path.loses = [] { return false; };
    const Millis healed = path.now;
    path.run(trial + 2'000);
    ASSERT_FALSE(path.watch.failed());
    EXPECT_LE(path.back_at - healed, trial + 1'500);
    EXPECT_GE(path.back_at - healed, trial);
  }
  path.run(PathWatch::kForgiven);
  path.loses = [] { return true; };
  path.run(6'000);
  EXPECT_EQ(path.watch.trial(), PathWatch::kLeastTrial);
}

TEST(PathWatch, AFailedPathIsAskedLessAndLess) {
  Watched path;
  path.loses = [] { return true; };
  path.run(6'000);
  path.probes = 0;
  path.run(50'000);
  EXPECT_LE(path.probes, 52u);
  path.run(20'000);
  path.probes = 0;
  path.run(60'000);
  EXPECT_LE(path.probes, 13u);
  path.role = Role::kIdle;
  path.run(3'000);
  path.probes = 0;
  path.run(60'000);
  EXPECT_EQ(path.probes, 0u) << "nothing is sent there: keep-alives ask";
}

TEST(PathWatch, AFailedPathThatNobodyNeedsIsAskedAgainWherePacketsComeFrom) {
  Watched path;
  path.loses = [] { return true; };
  path.run(6'000);
  ASSERT_TRUE(path.watch.failed());
  path.role = Role::kIdle;
  path.run(3'000);
  path.probes = 0;
  path.hears = true;
  for (int second = 0; second < 20; ++second) path.run(1'000);
  EXPECT_TRUE(path.watch.failed());
  EXPECT_GE(path.probes, 19u);
  EXPECT_LE(path.probes, 21u);
  path.loses = [] { return false; };
  path.run(3'000);
  EXPECT_FALSE(path.watch.failed());
}

/// A peer in use with two paths of known quality.
class Choice : public testing::Test {
 protected:
  Choice() : peer_(identity_of_vectors(1).identity(), crypto::SharedSecret{}) {
    peer_.steering = std::make_unique<control::Steering>();
    for (std::uint32_t i = 0; i < 2; ++i) {
      paths_[i].key = {1, Endpoint::v4(0xc6336401 + i, 9993)};
      paths_[i].last_in = now_;
      peer_.learn(&paths_[i], now_);
      peer_.paths[i].watch = std::make_unique<control::PathWatch>();
    }
  }

  void measure(std::size_t path, Millis round_trip) {
    for (int i = 0; i < 60; ++i) paths_[path].measured.answered(round_trip);
  }

  /// Time passes in which both are heard, and the choice is thought over twice a second.
  void pass(Millis duration) {
    for (const Millis end = now_ + duration; now_ < end;) {
      now_ += 500;
      peer_.steering->last_frame = now_;
      for (control::Path& path : paths_) path.last_in = now_;
      changes_ += peer_.reconsider(now_) ? 1 : 0;
    }
  }

  [[nodiscard]] const control::Path* taken() { return peer_.best(now_, false)->path; }

  Millis now_ = 500'000;
  control::Path paths_[2];
  control::Peer peer_;
  unsigned changes_ = 0;
};

TEST_F(Choice, TakesABetterPathAfterAWhileAndDoesNotFlap) {
  measure(0, 20);
  measure(1, 30);
  pass(1'000);
  EXPECT_EQ(taken(), &paths_[0]);
  measure(1, 5);
  pass(2'000);
  EXPECT_EQ(taken(), &paths_[0]) << "not for a moment's advantage";
  pass(2'500);
  EXPECT_EQ(taken(), &paths_[1]);
  EXPECT_EQ(peer_.steering->reason, ChoiceReason::kBetter);

  changes_ = 0;
  for (int i = 0; i < 60; ++i) {  // each is the better one for two seconds
    measure(0, i % 2 == 0 ? 1 : 50);
    pass(2'000);
  }
  EXPECT_EQ(changes_, 0u);
  for (int i = 0; i < 30; ++i) {  // each for four
    measure(0, i % 2 == 0 ? 1 : 50);
    pass(4'000);
  }
  EXPECT_LE(changes_, 12u) << "at most one in ten seconds";
}

TEST_F(Choice, ALittleBetterIsNoReason) {
  measure(0, 40);
  measure(1, 41);
  pass(1'000);
  measure(1, 36);
  pass(60'000);
  EXPECT_EQ(taken(), &paths_[0]);
}

TEST_F(Choice, LeavesAPathInDoubtForOneThatAnswers) {
  measure(0, 20);
  measure(1, 300);
  pass(1'000);
  ASSERT_EQ(taken(), &paths_[0]);
  for (int i = 0; i < 3; ++i) {
    peer_.paths[0].watch->sent(now_);
    now_ += 400;
    (void)peer_.paths[0].watch->turn(now_, Role::kCurrent, 300);
  }
  pass(500);
  EXPECT_EQ(taken(), &paths_[0]) << "nothing says that the other one is alive";
  peer_.paths[1].watch->answered(now_, now_ - 10);
  pass(500);
  EXPECT_EQ(taken(), &paths_[1]);
  EXPECT_EQ(peer_.steering->reason, ChoiceReason::kDoubt);
}

TEST_F(Choice, NoneIsTakenWhenAllFailed) {
  measure(0, 20);
  pass(500);
  for (control::PeerPath& entry : peer_.paths) {
    for (int i = 0; i < 20; ++i) {
      entry.watch->sent(now_);
      now_ += 400;
      (void)entry.watch->turn(now_, Role::kCurrent, 300);
    }
    EXPECT_TRUE(entry.failed());
  }
  peer_.steering->last_frame = now_;
  EXPECT_TRUE(peer_.reconsider(now_));
  EXPECT_EQ(peer_.best(now_, false), nullptr);
  EXPECT_NE(peer_.best(now_, true), nullptr) << "better than nothing";
}

}  // namespace
}  // namespace orrery::test
