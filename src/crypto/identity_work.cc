#include "crypto/identity_work.h"

#include <sodium.h>

#include <memory>

#include "crypto/kdf.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kWorkMemory = 2097152;  // bytes
constexpr std::size_t kWorkWords = kWorkMemory / 8;
constexpr std::uint8_t kFirstByteBelow = 17;

/// The continuous Salsa20/20 stream of one digest, handed out in blocks of 64 bytes.
class Stream {
 public:
  explicit Stream(const Sha512& digest) {
    std::copy_n(digest.begin(), 32, key_.begin());
    std::copy_n(digest.begin() + 32, 8, nonce_.begin());
  }

  const std::uint8_t* next() {
    if (at_ == kBlocks) {
      buffer_.fill(0);
      crypto_stream_salsa20_xor_ic(buffer_.data(), buffer_.data(), buffer_.size(), nonce_.data(),
                                   counter_, key_.data());
      counter_ += kBlocks;
      at_ = 0;
    }
    return buffer_.data() + 64 * at_++;
  }

 private:
  static constexpr std::size_t kBlocks = 128;  // libsodium's SIMD wants several blocks per call

  std::array<std::uint8_t, 32> key_{};
  std::array<std::uint8_t, 8> nonce_{};
  std::array<std::uint8_t, 64 * kBlocks> buffer_{};
  std::uint64_t counter_ = 0;
  std::size_t at_ = kBlocks;
};

void xor_block(std::uint64_t* target, const std::uint8_t* block) {
  std::uint64_t words[8];
  std::memcpy(words, block, 64);
  for (std::size_t i = 0; i < 8; ++i) target[i] ^= words[i];
}

}  // namespace

WorkDigest work_digest(const wire::PublicKey& key) {
  const Sha512 seed = sha512(key);
  Stream stream(seed);
  std::array<std::uint64_t, 8> digest;  // raw bytes, 8 at a time
  std::memcpy(digest.data(), seed.data(), 64);

  const auto memory = std::make_unique_for_overwrite<std::uint64_t[]>(kWorkWords);
  std::array<std::uint64_t, 8> previous{};
  for (std::size_t i = 0; i < kWorkWords; i += 8) {
    xor_block(previous.data(), stream.next());
    std::memcpy(&memory[i], previous.data(), 64);
  }
  for (std::size_t i = 0; i < kWorkWords; i += 2) {
    const std::size_t a = __builtin_bswap64(memory[i]) % 8;
    const std::size_t b = __builtin_bswap64(memory[i + 1]) % kWorkWords;
    std::swap(memory[b], digest[a]);
    xor_block(digest.data(), stream.next());
  }
  WorkDigest result;
  std::memcpy(result.data(), digest.data(), 64);
  return result;
}

bool validate(const wire::Identity& identity) {
  if (identity.address.is_reserved()) return false;
  const WorkDigest digest = work_digest(identity.public_key);
  return digest[0] < kFirstByteBelow && ((std::uint64_t{digest[59]} << 32) |
                                         load_be32(digest.data() + 60)) == identity.address.value;
}

SecretIdentity generate_identity() {
  init();
  wire::PrivateKey key{};
  randombytes_buf(key.data(), key.size());
  wire::Identity identity;
  identity.public_key = public_key_of(key);
  for (;;) {
    const WorkDigest digest = work_digest(identity.public_key);
    identity.address =
        wire::Address{(std::uint64_t{digest[59]} << 32) | load_be32(digest.data() + 60)};
    if (digest[0] < kFirstByteBelow && !identity.address.is_reserved()) break;
    // Only the X25519 half changes from try to try; a fresh scalar keeps all 32 bytes random.
    randombytes_buf(key.data(), 32);
    crypto_scalarmult_base(identity.public_key.data(), key.data());
  }
  SecretIdentity made(identity, key);
  burn(key);
  return made;
}

}  // namespace orrery::crypto
