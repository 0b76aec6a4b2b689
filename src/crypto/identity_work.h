// The memory-hard function that binds an address to a key: 163,840 Salsa20/20 blocks, XORed up,
// over 2 MiB. Never on the packet path.
//
// The stream does not depend on what is done with it, so its blocks are made side by side, and the
// swaps, which do depend on each other, fit between the rounds of the next blocks
// (identity_work_lanes.h). One digest thus costs little more than its keystream, and neither
// several digests in step nor huge pages would make it cheaper: there is no latency left to hide. A
// batch shares the memory, no more. identity_work_ref.cc is the definition; AVX2 and AVX-512 must
// equal it. Source: docs/protocol/01-identity.md section 3; tests/vectors/identity.json.
#pragma once

#include <functional>
#include <span>

#include "crypto/cpu.h"
#include "crypto/curve.h"

namespace orrery::crypto {

using WorkDigest = std::array<std::uint8_t, 64>;

/// D of the derivation. Address = bytes 59..63; valid only if byte 0 < 17.
[[nodiscard]] WorkDigest work_digest(const wire::PublicKey& key, Isa with = isa());
/// digests[i] becomes that of keys[i]. REQUIRES: as many digests as keys; `with` at most what the
/// processor has.
void work_digests(std::span<const wire::PublicKey> keys, std::span<WorkDigest> digests,
                  Isa with = isa());

/// Full validation of an identity: reserved address, proof of work, address derived from the key.
[[nodiscard]] bool validate(const wire::Identity& identity, Isa with = isa());

/// What an address must be beyond valid; nothing = any address will do.
using Wanted = std::function<bool(wire::Address)>;
/// A new identity; takes about 15 tries, times one over the chance that an address is wanted.
/// Entropy is libsodium's; private keys that were tried in vain are burned.
[[nodiscard]] SecretIdentity generate_identity(const Wanted& wanted = {}, Isa with = isa());

}  // namespace orrery::crypto
