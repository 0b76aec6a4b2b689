#include "crypto/kdf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include <cstdlib>

namespace orrery::crypto {

Sha512 sha512(Bytes message) {
  Sha512 digest;
  crypto_hash_sha512(digest.data(), message.data(), message.size());
  return digest;
}

Sha384 sha384(Bytes message) {
  Sha384 digest;
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha384(), nullptr) !=
      1)
    std::abort();
  return digest;
}

Sha384 hmac_sha384(Bytes key, Bytes message) {
  Sha384 digest;
  if (HMAC(EVP_sha384(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
           digest.data(), nullptr) == nullptr) {
    std::abort();
  }
  return digest;
}

Sha384 kbkdf_hmac_sha384(const SharedSecret& key, std::uint8_t label, std::uint8_t context,
                         std::uint32_t iteration) {
  // [4] iteration, "ZT", [1] label, [1] 0, [1] context, [4] output bits = 384
  std::array<std::uint8_t, 13> message{};
  Writer writer(message);
  writer.u32(iteration);
  writer.u8('Z');
  writer.u8('T');
  writer.u8(label);
  writer.u8(0);
  writer.u8(context);
  writer.u32(384);
  return hmac_sha384(key, message);
}

Sha384 fingerprint(const wire::Identity& identity) {
  std::array<std::uint8_t, 69> message{};
  Writer writer(message);
  writer.u40(identity.address.value);
  writer.bytes(identity.public_key);
  return sha384(message);
}

}  // namespace orrery::crypto
