// Hashes and the key derivation of protocol 12.
// Source: docs/protocol/01-identity.md sections 5, 7; tests/vectors/primitives.json.
#pragma once

#include "crypto/curve.h"

namespace orrery::crypto {

using Sha512 = std::array<std::uint8_t, 64>;
using Sha384 = std::array<std::uint8_t, 48>;

[[nodiscard]] Sha512 sha512(Bytes message);
[[nodiscard]] Sha384 sha384(Bytes message);
[[nodiscard]] Sha384 hmac_sha384(Bytes key, Bytes message);
/// KBKDF in counter mode with HMAC-SHA-384: "ZT" label, one context byte, 32-bit iteration.
[[nodiscard]] Sha384 kbkdf_hmac_sha384(const SharedSecret& key, std::uint8_t label,
                                       std::uint8_t context, std::uint32_t iteration);
/// SHA-384(address || public key): the hash in membership certificates, and the fingerprint of a
/// pin.
[[nodiscard]] Sha384 fingerprint(const wire::Identity& identity);

}  // namespace orrery::crypto
