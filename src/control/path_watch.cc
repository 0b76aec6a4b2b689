#include "control/path_watch.h"

#include <algorithm>

namespace orrery::control {

void PathWatch::sent(Millis now) {
  pending_[next_pending_] = now;
  next_pending_ = (next_pending_ + 1) % kPending;
  probed_ = now;
}

bool PathWatch::answered(Millis now, Millis at) {
  // Older probes may still be answered, but need not be any more.
  for (Millis& sent_at : pending_) {
    if (sent_at <= at) sent_at = 0;
  }
  answered_ = heard_ = now;
  unanswered_ = 0;
  doubted_ = 0;
  if (failed_at_ == 0) return false;
  if (recovering_ == 0) recovering_ = now;
  if (now - recovering_ < trial_) return false;
  failed_at_ = recovering_ = 0;
  return true;
}

PathWatch::Turn PathWatch::turn(Millis now, Role role, Millis wait) {
  Turn turn;
  for (Millis& sent_at : pending_) {
    if (sent_at == 0 || now - sent_at < wait) continue;
    if (unanswered_++ == 0) doubted_ = sent_at;
    doubted_ = std::min(doubted_, sent_at);
    recovering_ = 0;
    ++turn.lost;
    sent_at = 0;
  }
  const bool comes_in = heard_ != 0 && now - heard_ < kHeard;
  if (failed_at_ == 0 && unanswered_ >= kDeadProbes &&
      now - std::max(answered_, doubted_ - kCalm) >= (comes_in ? kDeadHeard : kDead)) {
    trial_ = last_failure_ == 0 || now - last_failure_ >= kForgiven
                 ? kLeastTrial
                 : std::min(2 * trial_, kMostTrial);
    failed_at_ = last_failure_ = now;
    turn.failed = true;
  }
  const Millis again = interval(role, now);
  if (again != kNever && (probed_ == 0 || now - probed_ >= again)) turn.probe = true;
  return turn;
}

Millis PathWatch::interval(Role role, Millis now) const {
  if (failed_at_ != 0) {
    if (recovering_ != 0) return kPress;
    // Nobody needs it, but where packets come from answers may come from again; and who sends them
    // may have no other way.
    if (role == Role::kIdle) return heard_ != 0 && now - heard_ < kHeard ? kRetry : kNever;
    return now - failed_at_ < kRetrySoon ? kRetry : kRetryLater;
  }
  if (unanswered_ != 0) return kPress;
  switch (role) {
    case Role::kIdle:
      return kNever;
    case Role::kSpare:
      return kSpare;
    case Role::kCurrent:
      return kCalm;
    case Role::kPressed:
      return kPress;
  }
  return kNever;
}

Millis PathWatch::due(Role role, Millis wait) const {
  Millis next = kNever;
  for (const Millis sent_at : pending_) {
    if (sent_at != 0) next = std::min(next, sent_at + wait);
  }
  // What is heard over a failed path brings its turn by itself.
  if (failed_at_ != 0 && recovering_ == 0 && role == Role::kIdle) return next;
  const Millis again = interval(role, probed_);
  return again == kNever ? next : std::min(next, probed_ == 0 ? Millis{0} : probed_ + again);
}

}  // namespace orrery::control
