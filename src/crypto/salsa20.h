// Salsa20 and the Salsa20/12 streams of ciphers 0 and 1.
//
// A batch is a list of stretches of streams. Their blocks, whatever packet they belong to, are laid
// side by side in lanes (salsa2012_lanes.h): 8 with AVX2, 16 with AVX-512, so that short packets
// waste none. salsa2012_ref.cc is the definition and the others must equal it; libsodium's
// crypto_stream_salsa2012 is the second opinion in tests.
// Source: D. J. Bernstein, "Salsa20 specification"; tests/vectors/primitives.json.
#pragma once

#include <array>
#include <span>

#include "base/bytes.h"
#include "crypto/cpu.h"

namespace orrery::crypto {

using SalsaKey = std::array<std::uint8_t, 32>;

/// state[16], u32: constants, key, nonce and counter in the order of the specification.
using SalsaState = std::array<std::uint32_t, 16>;

/// Initial state, block counter 0: the key in four little-endian words, the nonce in one.
[[nodiscard]] inline SalsaState salsa_state(const std::array<std::uint64_t, 4>& key,
                                            std::uint64_t nonce) {
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  const auto high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
  return {0x61707865,  // "expa"
          low(key[0]), high(key[0]), low(key[1]), high(key[1]),
          0x3320646e,  // "nd 3"
          low(nonce),  high(nonce),  0,           0,
          0x79622d32,  // "2-by"
          low(key[2]), high(key[2]), low(key[3]), high(key[3]),
          0x6b206574};  // "te k"
}

/// The same from bytes, and a 64-bit block counter.
[[nodiscard]] SalsaState salsa_state(const SalsaKey& key, const std::uint8_t nonce[8],
                                     std::uint64_t counter);
/// One block of keystream: `rounds` 12 or 20.
void salsa_block(const SalsaState& state, int rounds, std::uint8_t out[64]);

/// One stream of a batch: keystream from block `block` on is XORed into `data`.
struct SalsaJob {
  SalsaState state;  // counter 0
  std::uint8_t* data;
  std::uint32_t length;    // bytes, may be 0
  std::uint32_t block;     // first block of `data`; 1 if `one_time` is wanted
  std::uint8_t* one_time;  // [64] or nullptr: block 0 is XORed into it
};

/// Salsa20/12. REQUIRES: level <= best_isa(); the pieces of data do not overlap.
void salsa2012_batch(Isa level, std::span<const SalsaJob> jobs) noexcept;

/// One stream alone, by the best instruction set.
void salsa2012_xor(const SalsaKey& key, const std::uint8_t nonce[8], std::uint32_t block,
                   MutableBytes data);

/// Behind salsa2012_batch.
void salsa2012_batch_ref(std::span<const SalsaJob> jobs) noexcept;
void salsa2012_batch_avx2(std::span<const SalsaJob> jobs) noexcept;
void salsa2012_batch_avx512(std::span<const SalsaJob> jobs) noexcept;

struct PolyJob;

/// The same, and between its rounds the MACs of what it has enciphered: macs[i] is of jobs[i], of
/// the first `limit` at most. Returns how many are written, from the first on.
std::size_t salsa2012_poly1305_avx512(std::span<const SalsaJob> jobs, PolyJob* macs,
                                      std::size_t limit) noexcept;

}  // namespace orrery::crypto
