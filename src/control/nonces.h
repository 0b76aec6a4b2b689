// Packet ids of control's own lane: never twice under one key, also across restarts and clocks set
// back.
//
// Suites 0 and 3 use the lane's number as it is. Suite 1 shows its id in clear, so it passes a
// keyed permutation first: nobody off the path can guess ids to aim fragments at. The high-water
// mark is saved ahead in strides; the driver must carry out a kNonce save before the datagrams of
// the same Effects. Source: security 2.8 as summarised in docs/architecture.md.
#pragma once

#include "base/time.h"
#include "control/effects.h"
#include "crypto/curve.h"
#include "crypto/id_permutation.h"
#include "crypto/nonce.h"

namespace orrery::control {

class Nonces {
 public:
  Nonces(unsigned lane, std::uint64_t floor, SipKey key) : lane_(lane, floor), permutation_(key) {}

  std::uint64_t plain(Now now, Effects& out);

  std::uint64_t permuted(Now now, Effects& out) { return permutation_(plain(now, out)); }

 private:
  crypto::NonceLane lane_;
  crypto::IdPermutation permutation_;
  std::uint64_t saved_ = 0;  // the mark on disk; numbers below it may be used
};

/// The key of the permutation: one for ever and for all lanes of an identity, or ids could meet.
[[nodiscard]] SipKey permutation_key(const crypto::SecretIdentity& self);

}  // namespace orrery::control
