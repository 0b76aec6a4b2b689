// One peer's key schedule: the 48-byte secret and, once wanted, the AES schedules and GHASH powers
// that ipsec-mb uses. Burned on retirement.
#pragma once

#include <memory>

#include "crypto/cpu.h"
#include "crypto/curve.h"

namespace orrery::crypto {

/// AES-GMAC-SIV schedules of one peer (about 1.5 KB); opaque outside crypto.
struct AesKeys;

/// Schedules of both AES keys derived from a secret.
class PeerKeys {
 public:
  explicit PeerKeys(const SharedSecret& secret);
  PeerKeys(PeerKeys&&) noexcept;
  PeerKeys& operator=(PeerKeys&&) noexcept;
  PeerKeys(const PeerKeys&) = delete;
  PeerKeys& operator=(const PeerKeys&) = delete;
  ~PeerKeys();

  [[nodiscard]] const SharedSecret& secret() const { return secret_; }

  /// Builds the schedules if they are not there, in the form that an Armorer of the same
  /// instruction set reads. Never from two threads at once.
  void expand(Isa level = isa());

  [[nodiscard]] bool expanded() const { return aes_ != nullptr; }

  /// REQUIRES: expanded().
  [[nodiscard]] const AesKeys& aes() const { return *aes_; }

 private:
  SharedSecret secret_;
  std::unique_ptr<AesKeys> aes_;
};

}  // namespace orrery::crypto
