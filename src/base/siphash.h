// SipHash-2-4 (Aumasson, Bernstein 2012): the keyed hash of every table whose keys a stranger can
// choose. Small enough to inline into lookups; tests hold it against libsodium's crypto_shorthash.
#pragma once

#include <bit>

#include "base/bytes.h"

namespace orrery {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

namespace sip_detail {

inline constexpr std::uint64_t kInitial[4] = {0x736f6d6570736575, 0x646f72616e646f6d,
                                              0x6c7967656e657261, 0x7465646279746573};

struct State {
  std::uint64_t v0, v1, v2, v3;

  explicit State(const SipKey& key)
      : v0(key.k0 ^ kInitial[0]),
        v1(key.k1 ^ kInitial[1]),
        v2(key.k0 ^ kInitial[2]),
        v3(key.k1 ^ kInitial[3]) {}

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void absorb(std::uint64_t m) {
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }

  [[nodiscard]] std::uint64_t finish() {
    v2 ^= 0xff;
    for (int r = 0; r < 4; ++r) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace sip_detail

/// 64-bit SipHash-2-4 of `data`; the value is the little-endian number of the reference output.
inline std::uint64_t siphash(const SipKey& key, Bytes data) {
  sip_detail::State s(key);
  std::size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) {
    std::uint64_t m;
    std::memcpy(&m, data.data() + i, 8);
    s.absorb(m);
  }
  std::uint64_t last = static_cast<std::uint64_t>(data.size()) << 56;
  for (std::size_t j = 0; i + j < data.size(); ++j) {
    last |= static_cast<std::uint64_t>(data[i + j]) << (8 * j);
  }
  s.absorb(last);
  return s.finish();
}

}  // namespace orrery
