#include "control/path_choice.h"

#include <algorithm>
#include <tuple>

#include "control/peer.h"

namespace orrery::control {

namespace {

bool same_host(const PeerPath& a, const PeerPath& b) {
  return a.path->key.socket == b.path->key.socket && a.path->key.remote.same_ip(b.path->key.remote);
}

/// Whether `other` answered after `doubted` began not to.
bool answered_since(const PeerPath& other, const PeerPath& doubted) {
  return other.watch != nullptr && doubted.watch != nullptr &&
         other.watch->last_answer() >= doubted.watch->doubted_since();
}

/// By a quarter, and by more than the clock's grain.
bool clearly_better(std::int64_t cost, std::int64_t than) {
  constexpr std::int64_t kGrain = 16;  // 2 ms in the scope that counts them eightfold
  return cost * 4 + kGrain < than * 3;
}

}  // namespace

bool Peer::keeps_port(const PeerPath& entry, const fib::PathKey& via, Millis now) const {
  const fib::PathKey& key = entry.path->key;
  return !features && key.socket == via.socket && key.remote.same_ip(via.remote) &&
         entry.alive(now) && entry.usable(now) && entry.doubt() < kDoubtOfPath;
}

bool Peer::reconsider(Millis now) {
  if (steering == nullptr) return false;
  Steering& s = *steering;
  const PeerPath* kept = chosen(now);
  const auto take = [&](const PeerPath& entry, ChoiceReason reason) {
    s.chosen = entry.path->key;
    s.reason = reason;
    s.chosen_at = now;
    s.better_since = 0;
    return true;
  };
  if (kept == nullptr) {
    s.rotated = false;
    const PeerPath* best_one = best(now, false);
    if (best_one == nullptr) {
      const bool had_one = static_cast<bool>(s.chosen);
      s.chosen = {};
      return had_one;
    }
    return take(*best_one, s.chosen           ? ChoiceReason::kFailed
                           : s.chosen_at != 0 ? ChoiceReason::kAgain
                                              : ChoiceReason::kBest);
  }
  const PeerPath* other = nullptr;
  for (const PeerPath& entry : paths) {
    if (&entry == kept || !entry.usable(now) || entry.doubt() != 0) continue;
    // In doubt about the one that is kept, one that answered goes before one that is good.
    const auto rank = [&](const PeerPath& one) {
      return std::tuple(kept->doubt() != 0 && !answered_since(one, *kept),
                        !s.primary.empty() && !s.prefers(one.path->key), one.quality(now));
    };
    if (other == nullptr || rank(entry) <= rank(*other)) other = &entry;
  }
  if (other == nullptr) {
    s.better_since = 0;
    return false;
  }
  const bool held = s.changed_at != 0 && now - s.changed_at < kChoiceHold;
  if (kept->doubt() != 0 && answered_since(*other, *kept)) {
    if (same_host(*kept, *other) && kept->doubt() >= kDoubtOfHost)
      return take(*other, ChoiceReason::kNewPort);
    if (kept->doubt() >= (held ? kDoubtSoon : kDoubtOfPath)) {
      s.changed_at = now;
      return take(*other, ChoiceReason::kDoubt);
    }
  }
  if (s.returns && !s.prefers(kept->path->key) && s.prefers(other->path->key))
    return take(*other, ChoiceReason::kPrimary);
  if (s.sticky) return false;
  if (!clearly_better(other->quality(now), kept->quality(now))) {
    s.better_since = 0;
    return false;
  }
  if (s.better_since == 0) s.better_since = now;
  if (held || now - s.better_since < kBetterFor) return false;
  s.changed_at = now;
  return take(*other, ChoiceReason::kBetter);
}

}  // namespace orrery::control
