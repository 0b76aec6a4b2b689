#include <algorithm>
#include <bit>

#include "crypto/cpu.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

std::uint32_t load_le32(const std::uint8_t* p) {
  std::uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

void quarter(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
  b ^= std::rotl(a + d, 7);
  c ^= std::rotl(b + a, 9);
  d ^= std::rotl(c + b, 13);
  a ^= std::rotl(d + c, 18);
}

}  // namespace

SalsaState salsa_state(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter) {
  SalsaState s;
  s[0] = 0x61707865;   // "expa"
  s[5] = 0x3320646e;   // "nd 3"
  s[10] = 0x79622d32;  // "2-by"
  s[15] = 0x6b206574;  // "te k"
  for (std::size_t i = 0; i < 4; ++i) {
    s[1 + i] = load_le32(key.data() + 4 * i);
    s[11 + i] = load_le32(key.data() + 16 + 4 * i);
  }
  s[6] = load_le32(nonce);
  s[7] = load_le32(nonce + 4);
  s[8] = static_cast<std::uint32_t>(counter);
  s[9] = static_cast<std::uint32_t>(counter >> 32);
  return s;
}

void salsa_block(const SalsaState& state, int rounds, std::uint8_t out[64]) {
  SalsaState x = state;
  for (int r = 0; r < rounds; r += 2) {
    quarter(x[0], x[4], x[8], x[12]);
    quarter(x[5], x[9], x[13], x[1]);
    quarter(x[10], x[14], x[2], x[6]);
    quarter(x[15], x[3], x[7], x[11]);
    quarter(x[0], x[1], x[2], x[3]);
    quarter(x[5], x[6], x[7], x[4]);
    quarter(x[10], x[11], x[8], x[9]);
    quarter(x[15], x[12], x[13], x[14]);
  }
  for (std::size_t i = 0; i < 16; ++i) {
    const std::uint32_t v = x[i] + state[i];
    std::memcpy(out + 4 * i, &v, 4);
  }
}

void salsa2012_xor_ref(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter,
                       MutableBytes data) {
  std::uint8_t block[64];
  while (!data.empty()) {
    salsa_block(salsa_state(key, nonce, counter++), 12, block);
    const std::size_t n = std::min<std::size_t>(64, data.size());
    for (std::size_t i = 0; i < n; ++i) data[i] ^= block[i];
    data = data.subspan(n);
  }
  burn(block);
}

void salsa2012_xor(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter,
                   MutableBytes data) {
  if (isa() >= Isa::kAvx2) {
    salsa2012_xor_avx2(key, nonce, counter, data);
  } else {
    salsa2012_xor_ref(key, nonce, counter, data);
  }
}

}  // namespace orrery::crypto
