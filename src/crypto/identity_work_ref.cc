// The definition: docs/protocol/01-identity.md section 3, line by line.
#include <algorithm>
#include <utility>

#include "crypto/identity_work_isa.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

/// Block after block of the stream.
class Stream {
 public:
  explicit Stream(const std::uint32_t* state) { std::copy_n(state, 16, state_.begin()); }

  void xor_next(std::uint64_t* target) {
    std::uint8_t block[64];
    salsa_block(state_, 20, block);
    ++state_[8];  // 163,840 blocks: the upper half of the counter stays zero
    std::uint64_t words[8];
    std::memcpy(words, block, 64);
    for (std::size_t i = 0; i < 8; ++i) target[i] ^= words[i];
  }

 private:
  SalsaState state_;
};

}  // namespace

void work_ref(const std::uint32_t* state, std::uint64_t* digest, WorkMemory& memory) noexcept {
  Stream stream(state);
  std::uint64_t previous[8]{};
  for (std::size_t i = 0; i < kWorkWords; i += 8) {
    stream.xor_next(previous);
    std::copy_n(previous, 8, &memory.word[i]);
  }
  for (std::size_t i = 0; i < kWorkWords; i += 2) {
    const std::size_t a = __builtin_bswap64(memory.word[i]) % 8;
    const std::size_t b = __builtin_bswap64(memory.word[i + 1]) % kWorkWords;
    std::swap(memory.word[b], digest[a]);
    stream.xor_next(digest);
  }
}

}  // namespace orrery::crypto
