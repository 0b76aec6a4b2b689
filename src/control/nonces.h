// Packet ids of control's own lane: never twice under one key, also across restarts and clocks set
// back.
//
// Suites 0 and 3 use the lane's number as it is. Suite 1 shows its id in clear, so it passes a
// keyed permutation first: nobody off the path can guess ids to aim fragments at.
//
// The high-water mark is saved ahead in strides and holds for every lane of the node: the workers'
// lanes start at the same floor, take the same clock and step by 8 per packet, so none is ever
// ahead of the larger of the clock and the floor plus the time since. The driver carries out a
// kNonce save before the datagrams and keys of the same Effects. When it fails, save_failed() takes
// the mark back: it is asked for again until it is written, and no id at or beyond the mark on disk
// leaves: plain() has none to give, and the workers lose their keys (Node::on_save_failed).
// Source: security 2.8 as summarised in docs/architecture.md.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "control/effects.h"
#include "crypto/curve.h"
#include "crypto/id_permutation.h"
#include "crypto/nonce.h"

namespace orrery::control {

class Nonces {
 public:
  Nonces(unsigned lane, std::uint64_t floor, SipKey key)
      : lane_(lane, floor), permutation_(key), front_(floor), marks_{floor} {}

  /// The next id; nothing while no mark beyond it is on disk.
  std::optional<std::uint64_t> plain(Now now, Effects& out);

  std::optional<std::uint64_t> permuted(Now now, Effects& out) {
    const std::optional<std::uint64_t> id = plain(now, out);
    return id ? std::optional(permutation_(*id)) : std::nullopt;
  }

  /// Keeps the mark ahead of all lanes; on every tick, since workers send while control is silent.
  /// False: a lane may have reached the mark.
  bool keep_ahead(Now now, Effects& out);
  /// This mark could not be written. False: as keep_ahead().
  bool save_failed(Now now, std::uint64_t mark);

  /// When keep_ahead() has something to do after a failure; 0: nothing failed.
  [[nodiscard]] Millis retry_at() const { return retry_at_; }

 private:
  /// No lane of this node is ahead of it.
  void advance(Now now);

  crypto::NonceLane lane_;
  crypto::IdPermutation permutation_;
  std::uint64_t front_;  // in units of 8 ns
  Millis front_at_ = 0;  // mono; when `front_` was true
  // Marks asked for, ascending; the last one counts until its failure is reported. The first is on
  // disk.
  std::vector<std::uint64_t> marks_;
  std::uint64_t pending_ = 0;  // asked for after a failure; does not count before kConfirm
  Millis retry_at_ = 0;        // mono; when to ask again, or when `pending_` counts
};

/// The key of the permutation: one for ever and for all lanes of an identity, or ids could meet.
[[nodiscard]] SipKey permutation_key(const crypto::SecretIdentity& self);

}  // namespace orrery::control
