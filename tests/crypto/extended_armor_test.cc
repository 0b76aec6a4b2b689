// HELLO of protocol 13: what goes on comes off; made a second time from its parts (libsodium's
// X25519 and SHA-512, libcrypto's AES of single blocks); every cut and wrong key.
#include "crypto/extended_armor.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <memory>

#include "crypto/armor.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kHello = 150;

struct Parties {
  SecretIdentity sender = made(1);
  SecretIdentity recipient = made(2);

  static SecretIdentity made(std::uint8_t seed) {
    wire::PrivateKey key{};
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(seed + i * 3);
    wire::Identity identity{wire::Address{0x1122334400u + seed}, public_key_of(key)};
    return {identity, key};
  }

  [[nodiscard]] PeerKeys keys() const {
    SharedSecret secret;
    EXPECT_TRUE(agree(sender.private_key(), recipient.identity().public_key, secret));
    return PeerKeys(secret);
  }

  /// A HELLO of `size` bytes, sealed.
  [[nodiscard]] ByteVector hello(std::size_t size, const PeerKeys& keys) const {
    ByteVector packet(size);
    for (std::size_t i = 0; i < size; ++i) packet[i] = static_cast<std::uint8_t>(i * 29 + 7);
    wire::encode_packet_header(
        packet, {0xfffefdfcfbfaf9f8, recipient.address(), sender.address(), kFlagExtended, 0, 1});
    ArmorJob job{packet.data(), static_cast<std::uint32_t>(size), wire::Suite::kMacOnly, &keys, 0};
    Armorer().armor({&job, 1});
    return packet;
  }
};

ByteVector ephemeral() {
  ByteVector bytes(32);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(200 - i);
  return bytes;
}

/// AES-256-CTR a block at a time, the counter as one number of 128 bits.
void ctr(MutableBytes data, Bytes key, std::array<std::uint8_t, 16> counter) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr);
  for (std::size_t at = 0; at < data.size(); at += 16) {
    std::array<std::uint8_t, 32> block{};
    int written = 0;
    EVP_EncryptUpdate(context.get(), block.data(), &written, counter.data(), 16);
    for (std::size_t i = 0; i < 16 && at + i < data.size(); ++i) data[at + i] ^= block[i];
    for (std::size_t i = 16; i-- > 0 && ++counter[i] == 0;) {
    }
  }
}

TEST(ExtendedArmor, WhatGoesOnComesOff) {
  init();
  const Parties p;
  const PeerKeys keys = p.keys();
  for (std::size_t size = wire::kHeaderSize; size < 600; ++size) {
    const ByteVector sealed = p.hello(size, keys);
    ByteVector packet = sealed;
    ASSERT_TRUE(add_extended_armor(packet, p.recipient.identity().public_key, ephemeral()));
    ASSERT_EQ(packet.size(), size + kExtendedArmorSize);
    const auto header = wire::decode_packet_header(packet);
    ASSERT_TRUE(header);
    EXPECT_TRUE(has_extended_armor(*header));
    EXPECT_TRUE(std::equal(sealed.begin(), sealed.begin() + wire::kMacOffset, packet.begin()));
    ASSERT_EQ(open_extended_armor(packet, p.recipient.private_key()), size);
    packet.resize(size);
    EXPECT_EQ(packet, sealed);
    DearmorJob job{packet.data(), static_cast<std::uint32_t>(size), &keys, false};
    Armorer().dearmor({&job, 1});
    EXPECT_TRUE(job.ok) << "the MAC covers the flag";
  }
}

TEST(ExtendedArmor, IsWhatItsPartsSay) {
  init();
  const Parties p;
  const PeerKeys keys = p.keys();
  const ByteVector sealed = p.hello(kHello, keys);
  ByteVector packet = sealed;
  ASSERT_TRUE(add_extended_armor(packet, p.recipient.identity().public_key, ephemeral()));

  std::array<std::uint8_t, 32> raw{}, open{};
  std::array<std::uint8_t, 64> digest{};
  const ByteVector secret = ephemeral();
  ASSERT_EQ(crypto_scalarmult(raw.data(), secret.data(), p.recipient.identity().public_key.data()),
            0);
  crypto_scalarmult_base(open.data(), secret.data());
  crypto_hash_sha512(digest.data(), raw.data(), raw.size());
  std::array<std::uint8_t, 16> counter{};
  std::copy_n(sealed.begin(), 16, counter.begin());
  ByteVector expected = sealed;
  ctr(MutableBytes(expected).subspan(19), Bytes(digest).first(32), counter);
  expected.insert(expected.end(), open.begin(), open.end());
  EXPECT_EQ(packet, expected);
}

TEST(ExtendedArmor, CutsAndLowOrderKeysAreRefused) {  // I8, W4
  init();
  const Parties p;
  const PeerKeys keys = p.keys();
  ByteVector packet = p.hello(kHello, keys);
  ASSERT_TRUE(add_extended_armor(packet, p.recipient.identity().public_key, ephemeral()));
  for (std::size_t size = 0; size < wire::kHeaderSize + kExtendedArmorSize; ++size) {
    ByteVector cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(open_extended_armor(cut, p.recipient.private_key()), 0U) << size;
  }
  ByteVector low = packet;
  std::fill(low.end() - kExtendedArmorSize, low.end(), std::uint8_t{0});
  const ByteVector before = low;
  EXPECT_EQ(open_extended_armor(low, p.recipient.private_key()), 0U);
  EXPECT_EQ(low, before);
  ByteVector none = p.hello(kHello, keys);
  const ByteVector unchanged = none;
  EXPECT_FALSE(add_extended_armor(none, wire::PublicKey{}, ephemeral()));
  EXPECT_EQ(none, unchanged);
}

TEST(ExtendedArmor, OtherPacketsHaveNone) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    wire::PacketHeader header;
    header.flags = static_cast<std::uint8_t>(flags);
    EXPECT_EQ(has_extended_armor(header), (flags & 0xb8) == 0x80) << flags;
  }
}

}  // namespace
}  // namespace orrery::crypto
