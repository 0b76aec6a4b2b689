// Identities with their private half, key agreement and signatures. X25519 and Ed25519 are
// libsodium's.
//
// A SecretIdentity keeps its key in locked memory (locked_memory.h), which burns it.
// Source: docs/protocol/01-identity.md sections 4, 6; tests/vectors/agreement.json,
// signatures.json.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/result.h"
#include "crypto/locked_memory.h"
#include "wire/identity.h"

namespace orrery::crypto {

/// [64] Ed25519 R || S, [32] first half of SHA-512(message).
using Signature = std::array<std::uint8_t, 96>;
/// 48-byte secret that two peers agree on.
using SharedSecret = std::array<std::uint8_t, 48>;

/// Must be called once before anything else of this room; idempotent. Aborts when libsodium cannot
/// start.
void init();

/// An identity whose private key is held. Movable, never copied; burns the key when it goes.
class SecretIdentity {
 public:
  SecretIdentity(const wire::Identity& identity, const wire::PrivateKey& key);
  SecretIdentity(SecretIdentity&&) noexcept = default;
  SecretIdentity& operator=(SecretIdentity&&) noexcept = default;
  ~SecretIdentity();

  [[nodiscard]] const wire::Identity& identity() const { return identity_; }

  [[nodiscard]] wire::Address address() const { return identity_.address; }

  /// Valid as long as this object.
  [[nodiscard]] const wire::PrivateKey& private_key() const { return *key_; }

 private:
  wire::Identity identity_;
  Locked<wire::PrivateKey> key_;
};

/// Public half of a private key (X25519 || Ed25519).
[[nodiscard]] wire::PublicKey public_key_of(const wire::PrivateKey& key);

/// SHA-512(X25519(mine, theirs))[0..47]. False for a low-order key (all-zero raw result); `out` is
/// then what the vectors say all the same.
bool agree(const wire::PrivateKey& mine, const wire::PublicKey& theirs, SharedSecret& out);

/// The general form: any number of output bytes (more than 64: the digest is digested again and
/// appended).
bool agree_bytes(const wire::PrivateKey& mine, const wire::PublicKey& theirs, MutableBytes out);

[[nodiscard]] Signature sign(const wire::PrivateKey& key, const wire::PublicKey& public_key,
                             Bytes message);

[[nodiscard]] inline Signature sign(const SecretIdentity& who, Bytes message) {
  return sign(who.private_key(), who.identity().public_key, message);
}

[[nodiscard]] bool verify(const wire::PublicKey& key, Bytes message, Bytes signature96);

}  // namespace orrery::crypto
