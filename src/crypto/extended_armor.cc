#include "crypto/extended_armor.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace orrery::crypto {
namespace {

using Key = std::array<std::uint8_t, 32>;

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

/// The counter block is the packet's first 16 bytes: id, destination, three bytes of the source. It
/// counts as a big-endian number of 128 bits; a count of 32 bits would differ once in 2^26 packets.
void crypt(MutableBytes packet, std::size_t end, const Key& key) {
  const std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
  std::uint8_t* const data = packet.data() + wire::kMacOffset;
  int written = 0;
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, key.data(), packet.data()) !=
          1 ||
      EVP_EncryptUpdate(context.get(), data, &written, data,
                        static_cast<int>(end - wire::kMacOffset)) != 1) {
    std::fputs("libcrypto has no AES-256-CTR\n", stderr);
    std::abort();
  }
}

/// The half of an identity's key that agreements use.
wire::PublicKey agreement_key(Bytes x25519) {
  wire::PublicKey key{};
  std::copy_n(x25519.begin(), 32, key.begin());
  return key;
}

}  // namespace

bool add_extended_armor(ByteVector& packet, const wire::PublicKey& recipient, Bytes ephemeral) {
  wire::PrivateKey own{};
  std::copy_n(ephemeral.begin(), 32, own.begin());
  Key key;
  const bool agreed = agree_bytes(own, recipient, key);
  if (agreed) {
    crypt(packet, packet.size(), key);
    packet.resize(packet.size() + kExtendedArmorSize);
    crypto_scalarmult_base(packet.data() + packet.size() - kExtendedArmorSize, own.data());
  }
  burn(own);
  burn(key);
  return agreed;
}

std::size_t open_extended_armor(MutableBytes packet, const wire::PrivateKey& own) {
  if (packet.size() < wire::kHeaderSize + kExtendedArmorSize) return 0;
  const std::size_t size = packet.size() - kExtendedArmorSize;
  Key key;
  const bool agreed = agree_bytes(own, agreement_key(packet.subspan(size)), key);
  if (agreed) crypt(packet, size, key);
  burn(key);
  return agreed ? size : 0;
}

}  // namespace orrery::crypto
