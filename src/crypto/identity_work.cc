#include "crypto/identity_work.h"

#include <sodium.h>

#include <algorithm>
#include <memory>

#include "crypto/identity_work_isa.h"
#include "crypto/kdf.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

constexpr std::uint8_t kFirstByteBelow = 17;

/// One instruction set and the memory to work in.
class Worker {
 public:
  explicit Worker(Isa with)
      : work_(with == Isa::kAvx512 ? work_avx512
              : with == Isa::kAvx2 ? work_avx2
                                   : work_ref),
        memory_(std::make_unique_for_overwrite<WorkMemory>()) {}

  WorkDigest digest(const wire::PublicKey& key) {
    const Sha512 seed = sha512(key);
    SalsaKey stream_key;
    std::copy_n(seed.begin(), stream_key.size(), stream_key.begin());
    const SalsaState state = salsa_state(stream_key, seed.data() + stream_key.size(), 0);
    std::uint64_t words[8];
    std::memcpy(words, seed.data(), sizeof words);
    work_(state.data(), words, *memory_);
    WorkDigest result;
    std::memcpy(result.data(), words, sizeof words);
    return result;
  }

 private:
  Work* work_;
  std::unique_ptr<WorkMemory> memory_;
};

wire::Address address_of(const WorkDigest& digest) {
  return {(std::uint64_t{digest[59]} << 32) | load_be32(digest.data() + 60)};
}

}  // namespace

WorkDigest work_digest(const wire::PublicKey& key, Isa with) {
  return Worker(with).digest(key);
}

void work_digests(std::span<const wire::PublicKey> keys, std::span<WorkDigest> digests, Isa with) {
  if (keys.empty()) return;
  Worker worker(with);
  for (std::size_t i = 0; i < keys.size(); ++i) digests[i] = worker.digest(keys[i]);
}

bool validate(const wire::Identity& identity, Isa with) {
  if (identity.address.is_reserved()) return false;
  const WorkDigest digest = work_digest(identity.public_key, with);
  return digest[0] < kFirstByteBelow && address_of(digest) == identity.address;
}

SecretIdentity generate_identity(const Wanted& wanted, Isa with) {
  init();
  Worker worker(with);
  wire::PrivateKey key{};
  randombytes_buf(key.data(), key.size());
  wire::Identity identity;
  identity.public_key = public_key_of(key);
  for (;;) {
    const WorkDigest digest = worker.digest(identity.public_key);
    identity.address = address_of(digest);
    if (digest[0] < kFirstByteBelow && !identity.address.is_reserved() &&
        (!wanted || wanted(identity.address)))
      break;
    // Only the X25519 half changes from try to try; a fresh scalar keeps all 32 bytes random, and
    // overwrites the one that was tried in vain.
    randombytes_buf(key.data(), 32);
    crypto_scalarmult_base(identity.public_key.data(), key.data());
  }
  SecretIdentity made(identity, key);
  burn(key);
  return made;
}

}  // namespace orrery::crypto
