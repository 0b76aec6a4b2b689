// SipHash-2-4 of many short messages at once: what the workers' tables ask of a whole vector of
// packets. The values are those of base/siphash.h.
//
// A message is its blocks: little-endian words of 8 bytes, the last one with the length in its top
// byte, as SipHash pads it. Messages side by side cost a fifth of one after another.
#pragma once

#include "base/siphash.h"
#include "crypto/cpu.h"

namespace orrery::crypto {

struct SipBatch {
  static constexpr unsigned kMost = 64;
  static constexpr unsigned kWords = 3;

  alignas(64) std::uint64_t word[kWords][kMost];  // [block][message]

  /// The last block of a message of `length` bytes whose bytes beyond whole words are `rest`.
  [[nodiscard]] static constexpr std::uint64_t last(std::size_t length, std::uint64_t rest = 0) {
    return static_cast<std::uint64_t>(length) << 56 | rest;
  }
};

/// hash[i] for i < n; up to the next multiple of 16 is overwritten, too.
/// REQUIRES: 1 <= words <= SipBatch::kWords, n <= SipBatch::kMost; `hash` has room for kMost.
void siphash_batch(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                   std::uint64_t* hash) noexcept;

// By instruction set; chosen once by the above.
void siphash_batch_ref(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                       std::uint64_t* hash) noexcept;
void siphash_batch_avx2(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                        std::uint64_t* hash) noexcept;
void siphash_batch_avx512(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                          std::uint64_t* hash) noexcept;

}  // namespace orrery::crypto
