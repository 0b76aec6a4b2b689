// identity.json, agreement.json, signatures.json.
#include <gtest/gtest.h>

#include "crypto/identity_work.h"
#include "crypto/kdf.h"
#include "support/vectors.h"

namespace orrery::crypto {
namespace {

using nlohmann::json;
using test::hex_bytes;
using test::label;
using test::strictness;

template <std::size_t N>
std::array<std::uint8_t, N> array_of(const json& value) {
  const ByteVector bytes = hex_bytes(value);
  EXPECT_EQ(bytes.size(), N);
  std::array<std::uint8_t, N> array{};
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), array.begin());
  return array;
}

void expect_fields(const json& c, const wire::ParsedIdentity& parsed, const std::string& name) {
  EXPECT_EQ(wire::to_string(parsed.identity.address), c["address"]) << name;
  EXPECT_EQ(parsed.has_private, c["has_private"].get<bool>()) << name;
  EXPECT_EQ(to_hex(parsed.identity.public_key), c["public_key"]) << name;
  if (parsed.has_private) {
    EXPECT_EQ(to_hex(parsed.private_key), c["private_key"]) << name;
  }
  EXPECT_EQ(validate(parsed.identity), c["locally_valid"].get<bool>()) << name;
}

TEST(IdentityVectors, Valid) {
  std::size_t i = 0;
  for (const json& c : test::cases("identity.json", "valid")) {
    const std::string name = label(c, i++);
    const auto parsed = wire::parse_identity(c["secret_text"].get<std::string>());
    ASSERT_TRUE(parsed && parsed->has_private) << name;
    EXPECT_EQ(wire::to_string(parsed->identity), c["public_text"]) << name;
    EXPECT_EQ(wire::to_string(parsed->identity, parsed->private_key), c["secret_text"]) << name;
    EXPECT_EQ(public_key_of(parsed->private_key), parsed->identity.public_key) << name;
    const Bytes key(parsed->identity.public_key);
    EXPECT_EQ(to_hex(key.first(32)), c["public_key_dh"]) << name;
    EXPECT_EQ(to_hex(key.subspan(32)), c["public_key_sign"]) << name;
    EXPECT_EQ(to_hex(Bytes(parsed->private_key).first(32)), c["private_key_dh"]) << name;
    EXPECT_EQ(to_hex(Bytes(parsed->private_key).subspan(32)), c["private_key_sign"]) << name;
    EXPECT_EQ(to_hex(sha512(parsed->private_key)), c["private_key_sha512"]) << name;
    EXPECT_EQ(to_hex(work_digest(parsed->identity.public_key)), c["pow_digest"]) << name;
    EXPECT_EQ(to_hex(fingerprint(parsed->identity)), c["public_key_sha384"]) << name;
    EXPECT_EQ(validate(parsed->identity), c["locally_valid"].get<bool>()) << name;
    std::array<std::uint8_t, 71> wire_form{};
    Writer writer(wire_form);
    wire::write_identity(writer, parsed->identity);
    EXPECT_EQ(to_hex(wire_form), c["public_bytes"]) << name;
    const ByteVector secret = hex_bytes(c["secret_bytes"]);
    Reader reader(secret);
    const auto read = wire::read_identity(reader);
    ASSERT_TRUE(read && read->has_private) << name;
    EXPECT_EQ(read->identity, parsed->identity) << name;
    EXPECT_EQ(read->private_key, parsed->private_key) << name;
  }
}

TEST(IdentityVectors, Text) {
  std::size_t i = 0;
  for (const json& c : test::cases("identity.json", "text")) {
    const std::string name = label(c, i++);
    const auto parsed = wire::parse_identity(c["text"].get<std::string>());
    if (!parsed && strictness(c) == "may_reject") continue;
    ASSERT_EQ(parsed.has_value(), c["parses"].get<bool>()) << name;
    if (!parsed) continue;
    expect_fields(c, *parsed, name);
    EXPECT_EQ(wire::to_string(parsed->identity), c["reencoded_public"]) << name;
    if (parsed->has_private) {
      EXPECT_EQ(wire::to_string(parsed->identity, parsed->private_key), c["reencoded_secret"])
          << name;
    }
  }
}

TEST(IdentityVectors, Binary) {
  std::size_t i = 0;
  for (const json& c : test::cases("identity.json", "binary")) {
    const std::string name = label(c, i++);
    const ByteVector bytes = hex_bytes(c["bytes"]);
    const auto start = c["start"].get<std::size_t>();
    Reader reader(start <= bytes.size() ? Bytes(bytes).subspan(start) : Bytes());
    const auto parsed = wire::read_identity(reader);
    ASSERT_EQ(parsed.has_value(), c["parses"].get<bool>()) << name;
    if (!parsed) continue;
    EXPECT_EQ(reader.position(), c["consumed"].get<std::size_t>()) << name;
    expect_fields(c, *parsed, name);
  }
}

TEST(IdentityVectors, ProofOfWork) {
  std::size_t i = 0;
  for (const json& c : test::cases("identity.json", "proof_of_work")) {
    const std::string name = label(c, i++);
    const auto parsed = wire::parse_identity(c["public_text"].get<std::string>());
    if (!parsed) {  // reserved addresses are refused by the parser already
      EXPECT_FALSE(c["locally_valid"].get<bool>()) << name;
      continue;
    }
    EXPECT_EQ(to_hex(work_digest(parsed->identity.public_key)), c["pow_digest"]) << name;
    EXPECT_EQ(validate(parsed->identity), c["locally_valid"].get<bool>()) << name;
  }
}

TEST(AgreementVectors, Pairs) {
  std::size_t i = 0;
  for (const json& c : test::cases("agreement.json", "pairs")) {
    const std::string name = label(c, i++);
    const auto a = wire::parse_identity(c["a_secret"].get<std::string>());
    const auto b = wire::parse_identity(c["b_secret"].get<std::string>());
    ASSERT_TRUE(a && b) << name;
    SharedSecret ab{}, ba{};
    EXPECT_TRUE(agree(a->private_key, b->identity.public_key, ab)) << name;
    EXPECT_TRUE(agree(b->private_key, a->identity.public_key, ba)) << name;
    EXPECT_EQ(to_hex(ab), c["shared_key"]) << name;
    EXPECT_EQ(ab, ba) << name;
    if (!c.contains("aes_k0")) continue;
    const Sha384 k0 = kbkdf_hmac_sha384(ab, '0', 0, 0);
    const Sha384 k1 = kbkdf_hmac_sha384(ab, '1', 0, 0);
    EXPECT_EQ(to_hex(k0), c["aes_k0_full"]) << name;
    EXPECT_EQ(to_hex(k1), c["aes_k1_full"]) << name;
    EXPECT_EQ(to_hex(Bytes(k0).first(32)), c["aes_k0"]) << name;
    EXPECT_EQ(to_hex(Bytes(k1).first(32)), c["aes_k1"]) << name;
  }
}

TEST(AgreementVectors, Raw) {
  std::size_t i = 0;
  for (const json& c : test::cases("agreement.json", "raw")) {
    ByteVector out(c["length"].get<std::size_t>());
    agree_bytes(array_of<64>(c["private_key"]), array_of<64>(c["public_key"]), out);
    EXPECT_EQ(to_hex(out), c["output"]) << label(c, i++);
  }
}

TEST(SignatureVectors, All) {
  std::size_t i = 0;
  for (const json& c : test::cases("signatures.json", "cases")) {
    const std::string name = label(c, i++);
    const auto key = array_of<64>(c["public_key"]);
    const ByteVector message = hex_bytes(c["message"]);
    const ByteVector signature = hex_bytes(c["signature"]);
    if (c.contains("private_key")) {
      EXPECT_EQ(to_hex(sign(array_of<64>(c["private_key"]), key, message)), c["signature"]) << name;
    }
    const bool valid = verify(key, message, signature);
    if (!valid && strictness(c) == "may_reject") continue;
    EXPECT_EQ(valid, c["valid"].get<bool>()) << name;
  }
}

}  // namespace
}  // namespace orrery::crypto
