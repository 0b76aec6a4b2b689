// Which of a peer's paths carries its frames: the best one that works, and it stays the one until
// another is clearly better, so that traffic does not flap.
//
// A path is left at once when it has failed (control/path_watch.h) or expired; in doubt when
// another one has answered since; for quality when another one was better by a quarter for three
// seconds, and not within ten seconds of the last change. A peer that exchanges no frames has no
// choice of its own: the best path of that moment is taken, as the reference does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "fib/path_key.h"
#include "wire/address.h"

namespace orrery::control {

/// Why the path in use is the one in use.
enum class ChoiceReason : std::uint8_t {
  kBest,     // there was none before
  kAgain,    // none worked before
  kFailed,   // the one before had failed, or expired
  kDoubt,    // the one before did not answer, this one did
  kNewPort,  // the same, and it is the same host: its NAT gave it another port
  kBetter,   // better for a while
  kPrimary,  // of a bond: the operator prefers its interface
  kRotated,  // of a bond: the operator wanted another one
};

inline constexpr Millis kTrafficRecent = 5'000;  // a peer is in use so long after a frame
inline constexpr Millis kBetterFor = 3'000;      // before a better path is taken
inline constexpr Millis kChoiceHold = 10'000;    // between changes for quality
inline constexpr unsigned kDoubtOfHost = 1;      // lost probes before another port of its host
inline constexpr unsigned kDoubtOfPath = 3;      // is taken; before any other path is
inline constexpr unsigned kDoubtSoon = 5;        // the same within the hold

// Between probes of the relay to a peer, where there is a choice of roots, and how many in a row
// may stay without an answer before the next root has its turn: a root may be near, alive, and drop
// what it should pass on. While frames go that way, and else.
inline constexpr Millis kRelayLook = 1'000;
inline constexpr unsigned kRelayDoubt = 3;
inline constexpr Millis kRelayCheck = 5'000;
inline constexpr unsigned kRelayMissed = 2;

/// Of a peer that exchanges or exchanged frames with us.
struct Steering {
  Millis last_frame = 0;  // mono; either way
  fib::PathKey chosen;    // nil: none yet
  ChoiceReason reason = ChoiceReason::kBest;
  Millis chosen_at = 0;     // mono
  Millis changed_at = 0;    // mono; last change for quality; 0: none
  Millis better_since = 0;  // mono; another one is better; 0: none is
  Millis due = 0;           // mono; when its paths are looked at next; 0: never

  // Of a bond (control/bond.h).
  bool sticky = false;   // no other path because it is better
  bool returns = false;  // to a primary one as soon as it works
  bool rotated = false;  // by hand: primary ones do not count until this one fails
  std::vector<fib::LocalSocket> primary{};
  std::vector<fib::PathKey> shared{};  // paths that share the frames

  [[nodiscard]] bool prefers(const fib::PathKey& key) const {
    return std::find(primary.begin(), primary.end(), key.socket) != primary.end();
  }

  [[nodiscard]] bool in_use(Millis now) const {
    return last_frame != 0 && now - last_frame < kTrafficRecent;
  }
};

}  // namespace orrery::control
