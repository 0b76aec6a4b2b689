// The memory-hard function that binds an address to a key: 163,840 dependent Salsa20/20 blocks over
// 2 MiB, 22 to 26 ms on the reference machine. Never on the packet path. Source:
// docs/protocol/01-identity.md section 3; tests/vectors/identity.json.
#pragma once

#include "crypto/curve.h"

namespace orrery::crypto {

using WorkDigest = std::array<std::uint8_t, 64>;

/// D of the derivation. Address = bytes 59..63; valid only if byte 0 < 17.
[[nodiscard]] WorkDigest work_digest(const wire::PublicKey& key);
/// Full validation of an identity: reserved address, proof of work, address derived from the key.
[[nodiscard]] bool validate(const wire::Identity& identity);
/// A new identity; takes about 15 tries. Entropy is libsodium's.
[[nodiscard]] SecretIdentity generate_identity();

}  // namespace orrery::crypto
