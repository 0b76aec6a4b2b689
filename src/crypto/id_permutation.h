// A keyed permutation of 64-bit numbers for packet ids of cipher 1, which shows them in clear:
// unique in, unique out, and nobody can foretell the next one. Four Feistel rounds of SipHash over
// 32-bit halves.
#pragma once

#include "base/siphash.h"

namespace orrery::crypto {

class IdPermutation {
 public:
  explicit IdPermutation(SipKey key) : key_(key) {}

  [[nodiscard]] std::uint64_t operator()(std::uint64_t value) const {
    auto left = static_cast<std::uint32_t>(value >> 32);
    auto right = static_cast<std::uint32_t>(value);
    for (std::uint8_t round = 0; round < 4; ++round) {
      std::array<std::uint8_t, 5> input;
      input[0] = round;
      store_be32(input.data() + 1, right);
      const std::uint32_t next = left ^ static_cast<std::uint32_t>(siphash(key_, input));
      left = right;
      right = next;
    }
    return (static_cast<std::uint64_t>(left) << 32) | right;
  }

 private:
  SipKey key_;
};

}  // namespace orrery::crypto
