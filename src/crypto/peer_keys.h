// One peer's key schedule: the 48-byte secret and, once wanted, the AES schedules and GHASH powers
// of the kernels in aes_gmac_siv.h. In locked memory, burned on retirement.
#pragma once

#include "crypto/cpu.h"
#include "crypto/curve.h"
#include "crypto/locked_memory.h"

namespace orrery::crypto {

/// AES-GMAC-SIV schedules of one peer (about 1.5 KB); opaque outside crypto.
struct AesKeys;

template <>
struct LockedDelete<AesKeys> {
  void operator()(AesKeys* keys) const noexcept;
};

/// Schedules of both AES keys derived from a secret.
class PeerKeys {
 public:
  explicit PeerKeys(const SharedSecret& secret) : secret_(make_locked<SharedSecret>(secret)) {}

  /// REQUIRES: not moved from.
  [[nodiscard]] const SharedSecret& secret() const { return *secret_; }

  /// Builds the schedules if they are not there, in the form that an Armorer of the same
  /// instruction set reads. Never from two threads at once.
  void expand(Isa level = isa());

  [[nodiscard]] bool expanded() const { return aes_ != nullptr; }

  /// REQUIRES: expanded().
  [[nodiscard]] const AesKeys& aes() const { return *aes_; }

 private:
  Locked<SharedSecret> secret_;
  Locked<AesKeys> aes_;
};

}  // namespace orrery::crypto
