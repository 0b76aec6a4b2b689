#include <algorithm>
#include <bit>

#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

void quarter(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
  b ^= std::rotl(a + d, 7);
  c ^= std::rotl(b + a, 9);
  d ^= std::rotl(c + b, 13);
  a ^= std::rotl(d + c, 18);
}

}  // namespace

SalsaState salsa_state(const SalsaKey& key, const std::uint8_t nonce[8], std::uint64_t counter) {
  std::array<std::uint64_t, 4> words;
  std::memcpy(words.data(), key.data(), sizeof words);
  SalsaState s = salsa_state(words, load_le64(nonce));
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

void salsa2012_batch_ref(std::span<const SalsaJob> jobs) noexcept {
  std::uint8_t block[64];
  for (const SalsaJob& job : jobs) {
    SalsaState state = job.state;
    const auto next = [&](std::uint32_t counter, std::uint8_t* data, std::size_t n) {
      state[8] = counter;
      salsa_block(state, 12, block);
      for (std::size_t i = 0; i < n; ++i) data[i] ^= block[i];
    };
    if (job.one_time != nullptr) next(0, job.one_time, 64);
    for (std::uint32_t at = 0; at < job.length; at += 64)
      next(job.block + at / 64, job.data + at, std::min<std::size_t>(64, job.length - at));
  }
  burn(block);
}

}  // namespace orrery::crypto
