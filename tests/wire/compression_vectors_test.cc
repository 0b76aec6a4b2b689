// compression.json: what is compressed, what decompresses, and to what.
#include <gtest/gtest.h>

#include <random>

#include "crypto/kdf.h"
#include "support/vectors.h"
#include "wire/compression.h"

namespace orrery::wire {
namespace {

using nlohmann::json;
using test::hex_bytes;
using test::label;

/// Payload of a flagged packet as receivers treat it: an empty one only loses its flag.
std::optional<ByteVector> uncompressed(ByteVector packet) {
  if ((packet.at(kVerbOffset) & kVerbCompressed) == 0) return packet;
  packet[kVerbOffset] &= static_cast<std::uint8_t>(~kVerbCompressed);
  if (packet.size() == kHeaderSize) return packet;
  ByteVector result(kMaxPacket);
  std::copy_n(packet.begin(), kHeaderSize, result.begin());
  const std::size_t size =
      inflate(Bytes(packet).subspan(kHeaderSize), MutableBytes(result).subspan(kHeaderSize));
  if (size == 0) return std::nullopt;
  result.resize(kHeaderSize + size);
  return result;
}

TEST(CompressionVectors, Compress) {
  std::size_t i = 0;
  for (const json& c : test::cases("compression.json", "compress")) {
    const std::string name = label(c, i++);
    const ByteVector plain = hex_bytes(c["plain"]);
    ByteVector smaller(plain.size());
    const std::size_t size = deflate(Bytes(plain).subspan(kHeaderSize), smaller);
    ASSERT_EQ(size != 0, c["compressed"].get<bool>()) << name;
    if (size == 0) {
      EXPECT_EQ(to_hex(plain), c["result"].get<std::string>()) << name;
      continue;
    }
    // any valid block may stand in for `result`
    EXPECT_LT(size, plain.size() - kHeaderSize) << name;
    ByteVector packet(plain.begin(), plain.begin() + kHeaderSize);
    packet[kVerbOffset] |= kVerbCompressed;
    packet.insert(packet.end(), smaller.begin(), smaller.begin() + static_cast<long>(size));
    EXPECT_EQ(uncompressed(packet), plain) << name;
    EXPECT_EQ(uncompressed(hex_bytes(c["result"])), plain) << name;
  }
}

TEST(CompressionVectors, Uncompress) {
  std::size_t i = 0;
  for (const json& c : test::cases("compression.json", "uncompress")) {
    const std::string name = label(c, i++);
    ASSERT_EQ(test::strictness(c), "must") << name;
    const auto result = uncompressed(hex_bytes(c["packet"]));
    ASSERT_EQ(result.has_value(), c["ok"].get<bool>()) << name;
    if (!result) continue;
    if (c.contains("result")) {
      EXPECT_EQ(to_hex(*result), c["result"].get<std::string>()) << name;
    } else {
      EXPECT_EQ(result->size(), c["result_size"].get<std::size_t>()) << name;
      EXPECT_EQ(to_hex(crypto::sha512(*result)), c["result_sha512"].get<std::string>()) << name;
    }
  }
}

TEST(Compression, EveryLengthComesBack) {
  std::mt19937 random(1);
  for (std::size_t length = 0; length <= 300; ++length) {
    ByteVector plain(length);
    for (std::size_t k = 0; k < length; ++k) plain[k] = static_cast<std::uint8_t>(random() % 3);
    ByteVector smaller(length);
    const std::size_t size = deflate(plain, smaller);
    if (length < kCompressMin) {
      EXPECT_EQ(size, 0u) << length;
    } else {
      ASSERT_GT(size, 0u) << length;
      ByteVector back(length);
      EXPECT_EQ(inflate(Bytes(smaller).first(size), back), length);
      EXPECT_EQ(back, plain);
      ByteVector short_of_one(length - 1);
      EXPECT_EQ(inflate(Bytes(smaller).first(size), short_of_one), 0u);
    }
  }
}

TEST(Compression, NoiseStaysAsItIs) {
  std::mt19937 random(2);
  ByteVector noise(2000);
  for (std::uint8_t& b : noise) b = static_cast<std::uint8_t>(random());
  ByteVector smaller(noise.size());
  EXPECT_EQ(deflate(noise, smaller), 0u);
}

}  // namespace
}  // namespace orrery::wire
