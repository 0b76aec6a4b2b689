// Salsa20 core and the Salsa20/12 stream of ciphers 0 and 1.
//
// salsa2012_ref.cc is the definition; salsa2012_avx2.cc computes eight blocks of one packet side by
// side and must equal it. libsodium's crypto_stream_salsa2012 is the second opinion in tests.
// Source: D. J. Bernstein, "Salsa20 specification"; tests/vectors/primitives.json.
#pragma once

#include <array>

#include "base/bytes.h"

namespace orrery::crypto {

using SalsaKey = std::array<std::uint8_t, 32>;

/// state[16], u32: constants, key, nonce and counter in the order of the specification.
using SalsaState = std::array<std::uint32_t, 16>;

/// Initial state with a 64-bit block counter.
[[nodiscard]] SalsaState salsa_state(const SalsaKey& key, const std::uint8_t nonce[8],
                                     std::uint64_t counter);
/// One block of keystream: `rounds` 12 or 20.
void salsa_block(const SalsaState& state, int rounds, std::uint8_t out[64]);

/// XORs keystream from block `counter` on into data (Salsa20/12), by the best instruction set.
void salsa2012_xor(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter,
                   MutableBytes data);

/// The implementations behind it, for tests.
void salsa2012_xor_ref(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter,
                       MutableBytes data);
void salsa2012_xor_avx2(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter,
                        MutableBytes data);

}  // namespace orrery::crypto
