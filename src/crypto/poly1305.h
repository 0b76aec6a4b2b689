// Poly1305 over a batch of messages, each under its own one-time key.
//
// poly1305_ref.cc is the definition: one message at a time in three limbs of 44 bits. The others
// lay messages side by side, one to a lane: 4 with AVX2 (limbs of 26 bits), 8 with AVX-512 IFMA
// (44 bits), four blocks a step. libsodium's crypto_onetimeauth is the second opinion in tests.
// Source: D. J. Bernstein, "The Poly1305-AES message-authentication code"; RFC 8439 section 2.5;
// tests/vectors/primitives.json.
#pragma once

#include <intel-ipsec-mb.h>

#include <array>
#include <span>

#include "base/bytes.h"
#include "crypto/cpu.h"

namespace orrery::crypto {

struct PolyJob {
  const std::uint8_t* data;
  std::uint32_t length;              // bytes, may be 0
  const std::uint8_t* key;           // [16] r, unclamped, [16] s
  std::array<std::uint8_t, 16> mac;  // out
};

/// REQUIRES: level <= best_isa(), a manager for that level, at most 64 jobs. Few messages go one by
/// one to ipsec-mb, many side by side into our lanes: whatever is faster for their number.
void poly1305_batch(Isa level, IMB_MGR* manager, std::span<PolyJob> jobs) noexcept;

/// Behind it. The lanes want jobs of similar length beside each other: the longest of a group
/// decides its time.
void poly1305_ref(PolyJob& job) noexcept;
void poly1305_ipsec(IMB_MGR* manager, PolyJob& job) noexcept;
void poly1305_avx2(PolyJob* const* jobs, std::size_t n) noexcept;    // n <= 4
void poly1305_avx512(PolyJob* const* jobs, std::size_t n) noexcept;  // n <= 8

}  // namespace orrery::crypto
