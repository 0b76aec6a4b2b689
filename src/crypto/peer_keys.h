// One peer's key schedule: the 48-byte secret and, once wanted, the AES schedules and GHASH powers
// of the kernels in aes_gmac_siv.h. In locked memory, burned on retirement.
#pragma once

#include <memory>

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

/// A secret shared with a peer, held once in locked memory by all who name it. Never changes; all
/// zero by default.
class Secret {
 public:
  Secret() = default;

  explicit Secret(const SharedSecret& bytes) : bytes_(make_locked<SharedSecret>(bytes)) {}

  /// Valid as long as any copy of this.
  [[nodiscard]] const SharedSecret& bytes() const {
    static constexpr SharedSecret kNone{};
    return bytes_ ? *bytes_ : kNone;
  }

  friend bool operator==(const Secret& a, const Secret& b) {
    return a.bytes_ == b.bytes_ || constant_time_equal(a.bytes(), b.bytes());
  }

 private:
  std::shared_ptr<const SharedSecret> bytes_;
};

/// A secret and the schedules of both AES keys derived from it.
class PeerKeys {
 public:
  explicit PeerKeys(Secret secret) : secret_(std::move(secret)) {}

  explicit PeerKeys(const SharedSecret& secret) : secret_(secret) {}

  [[nodiscard]] const Secret& secret() const { return secret_; }

  /// Builds the schedules if they are not there, in the form that an Armorer of the same
  /// instruction set reads. Never from two threads at once.
  void expand(Isa level = isa());

  /// Burns the schedules; the secret stays.
  void contract() { aes_.reset(); }

  [[nodiscard]] bool expanded() const { return aes_ != nullptr; }

  /// REQUIRES: expanded().
  [[nodiscard]] const AesKeys& aes() const { return *aes_; }

 private:
  Secret secret_;
  Locked<AesKeys> aes_;
};

}  // namespace orrery::crypto
