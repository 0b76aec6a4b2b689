// Whether one path of a peer carries packets, judged by answers alone: the watch over a path whose
// peer exchanges frames with us.
//
// A path that answers is asked once a second (a spare one every five). An answer that does not come
// in time raises doubt; then it is asked five times a second, as fast as nodes answer, and two and
// a half seconds without any answer end it: the path has failed and carries nothing until it
// answers again. What still arrives over it gives it one and a half seconds more, since bursts of
// loss take answers, too, but nothing but an answer proves the way there. A path that came back
// must answer for a while before it is believed, longer each time it fails again soon.
//
// No clock, no packets: sent(), answered() and heard() come in, due() says when turn() wants to be
// called. Weak spot: a node that answers no probes, or a path on which each is lost for seconds,
// counts as failed; the relay that is taken instead is slower, not wrong.
#pragma once

#include <array>

#include "control/path_quality.h"

namespace orrery::control {

class PathWatch {
 public:
  static constexpr Millis kNever = INT64_MAX;
  static constexpr Millis kCalm = 1'000;       // between probes of a path that carries frames
  static constexpr Millis kSpare = 5'000;      // of one that could
  static constexpr Millis kPress = 200;        // in doubt; nodes answer one in 166 ms for a path
  static constexpr Millis kDead = 2'500;       // without an answer
  static constexpr Millis kDeadHeard = 4'000;  // the same while packets come in
  static constexpr Millis kHeard = 1'500;      // so long "come in" lasts
  static constexpr unsigned kDeadProbes = 6;   // unanswered at least, whatever the time
  static constexpr Millis kRetry = 1'000;      // between probes of a failed path, at first
  static constexpr Millis kRetryLater = 5'000;
  static constexpr Millis kRetrySoon = 60'000;  // so long "at first" lasts
  static constexpr Millis kLeastTrial = 400;    // of answers before a failed path carries again
  static constexpr Millis kMostTrial = 60'000;
  static constexpr Millis kForgiven = 120'000;  // without a failure: the next trial is short again

  enum class State : std::uint8_t {
    kGood,
    kDoubtful,  // did not answer in time
    kFailed,    // carries nothing
  };

  /// What is wanted of the path.
  enum class Role : std::uint8_t {
    kIdle,     // no frames: doubts are settled, nothing else is asked
    kSpare,    // another one carries them
    kCurrent,  // it carries them
    kPressed,  // it may have to soon
  };

  /// A probe was sent, by whomever.
  void sent(Millis now);
  /// The answer to a probe sent at `at`. True if the path carries again that had failed.
  bool answered(Millis now, Millis at);

  /// Something else authentic arrived directly.
  void heard(Millis now) { heard_ = now; }

  struct Turn {
    bool probe = false;   // send one now
    bool failed = false;  // it has failed, now
    unsigned lost = 0;    // probes whose answers are not waited for any more
  };

  /// What is due. `wait`: how long an answer may take.
  Turn turn(Millis now, Role role, Millis wait);
  /// When turn() wants to be called next; at most `wait` after a sent().
  [[nodiscard]] Millis due(Role role, Millis wait) const;

  [[nodiscard]] State state() const {
    return failed_at_ != 0 ? State::kFailed : unanswered_ != 0 ? State::kDoubtful : State::kGood;
  }

  [[nodiscard]] bool failed() const { return failed_at_ != 0; }

  /// Probes lost since the last answer.
  [[nodiscard]] unsigned unanswered() const { return unanswered_; }

  /// mono; 0: never.
  [[nodiscard]] Millis last_answer() const { return answered_; }

  /// mono; of the probe that first found no answer; 0: there is no doubt.
  [[nodiscard]] Millis doubted_since() const { return doubted_; }

  /// mono; 0: it has not failed.
  [[nodiscard]] Millis failed_at() const { return failed_at_; }

  /// So long it must answer when it comes back, ms.
  [[nodiscard]] Millis trial() const { return trial_; }

  /// mono; 0: none, or hurry() was called since.
  [[nodiscard]] Millis last_probe() const { return probed_; }

  /// Asks at once, whatever the last probe's time.
  void hurry() { probed_ = 0; }

 private:
  static constexpr std::size_t kPending = 16;  // kMostWait / kPress and some of others' making

  [[nodiscard]] Millis interval(Role role, Millis now) const;

  std::array<Millis, kPending> pending_{};  // sending times of probes that may be answered; 0: none
  std::size_t next_pending_ = 0;
  Millis probed_ = 0;     // last sent
  Millis answered_ = 0;   // last answer
  Millis heard_ = 0;      // last other packet
  Millis doubted_ = 0;    // sending time of the first probe lost since the last answer
  Millis failed_at_ = 0;  // 0: it carries
  Millis last_failure_ = 0;
  Millis recovering_ = 0;  // first answer after it failed; 0: none
  Millis trial_ = kLeastTrial;
  unsigned unanswered_ = 0;
};

}  // namespace orrery::control
