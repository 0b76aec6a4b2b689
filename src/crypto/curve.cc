#include "crypto/curve.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>

#include "crypto/kdf.h"

namespace orrery::crypto {

void init() {
  if (sodium_init() < 0) {
    std::fputs("libsodium cannot start\n", stderr);
    std::abort();
  }
}

SecretIdentity::SecretIdentity(const wire::Identity& identity, const wire::PrivateKey& key)
    : identity_(identity), key_(make_locked<wire::PrivateKey>(key)) {
  init();
}

SecretIdentity::~SecretIdentity() = default;

wire::PublicKey public_key_of(const wire::PrivateKey& key) {
  wire::PublicKey result{};
  crypto_scalarmult_base(result.data(), key.data());
  std::array<std::uint8_t, 64> expanded{};  // seed || public, libsodium's form
  crypto_sign_seed_keypair(result.data() + 32, expanded.data(), key.data() + 32);
  burn(expanded);
  return result;
}

bool agree_bytes(const wire::PrivateKey& mine, const wire::PublicKey& theirs, MutableBytes out) {
  std::array<std::uint8_t, 32> raw{};
  // A low-order point leaves `raw` all zero and is reported by the return value.
  const bool good = crypto_scalarmult(raw.data(), mine.data(), theirs.data()) == 0;
  if (!good) raw.fill(0);
  Sha512 digest = sha512(raw);
  for (;;) {
    const std::size_t n = std::min(out.size(), digest.size());
    std::copy_n(digest.begin(), n, out.begin());
    out = out.subspan(n);
    if (out.empty()) break;
    digest = sha512(digest);
  }
  burn(raw);
  burn(digest);
  return good;
}

bool agree(const wire::PrivateKey& mine, const wire::PublicKey& theirs, SharedSecret& out) {
  return agree_bytes(mine, theirs, out);
}

Signature sign(const wire::PrivateKey& key, const wire::PublicKey& public_key, Bytes message) {
  const Sha512 digest = sha512(message);
  std::array<std::uint8_t, 64> expanded{};
  std::copy_n(key.begin() + 32, 32, expanded.begin());
  std::copy_n(public_key.begin() + 32, 32, expanded.begin() + 32);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr, digest.data(), 32, expanded.data());
  burn(expanded);
  std::copy_n(digest.begin(), 32, signature.begin() + 64);
  return signature;
}

bool verify(const wire::PublicKey& key, Bytes message, Bytes signature96) {
  if (signature96.size() != 96) return false;
  const Sha512 digest = sha512(message);
  if (!constant_time_equal(Bytes(digest).first(32), signature96.subspan(64))) return false;
  return crypto_sign_verify_detached(signature96.data(), digest.data(), 32, key.data() + 32) == 0;
}

}  // namespace orrery::crypto
