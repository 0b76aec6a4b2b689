// The memory-hard function by every instruction set that the processor has, one process.
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <random>
#include <utility>

#include "crypto/identity_work.h"
#include "crypto/kdf.h"
#include "support/vectors.h"

namespace orrery::crypto {
namespace {

using nlohmann::json;

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (const Isa one : {Isa::kRef, Isa::kAvx2, Isa::kAvx512}) {
    if (one <= best_isa()) all.push_back(one);
  }
  return all;
}

std::vector<wire::PublicKey> random_keys(std::size_t n) {
  std::mt19937_64 random(n);
  std::vector<wire::PublicKey> keys(n);
  for (auto& key : keys) {
    for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
  }
  return keys;
}

std::vector<WorkDigest> digests_of(std::span<const wire::PublicKey> keys, Isa with) {
  std::vector<WorkDigest> digests(keys.size());
  work_digests(keys, digests, with);
  return digests;
}

/// The second opinion: the stream is libsodium's, all 163,840 blocks of it at once.
WorkDigest digest_by_libsodium(const wire::PublicKey& key) {
  constexpr std::size_t kMemory = 2097152;
  const Sha512 seed = sha512(key);
  ByteVector stream(163'840 * 64);
  crypto_stream_salsa20(stream.data(), stream.size(), seed.data() + 32, seed.data());
  const std::uint8_t* next = stream.data();
  const auto xor_next = [&next](std::uint8_t* target) {
    for (std::size_t i = 0; i < 64; ++i) target[i] = static_cast<std::uint8_t>(target[i] ^ *next++);
  };
  WorkDigest digest = seed;
  ByteVector memory(kMemory);
  for (std::size_t i = 0; i < kMemory; i += 64) {
    if (i != 0) std::copy_n(&memory[i - 64], 64, &memory[i]);
    xor_next(&memory[i]);
  }
  for (std::size_t i = 0; i < kMemory; i += 16) {
    const std::size_t a = load_be64(&memory[i]) % 8;
    const std::size_t b = load_be64(&memory[i + 8]) % (kMemory / 8);
    std::swap_ranges(&memory[8 * b], &memory[8 * b] + 8, &digest[8 * a]);
    xor_next(digest.data());
  }
  return digest;
}

TEST(IdentityWork, TheDefinitionAgreesWithLibsodium) {
  const auto keys = random_keys(4);
  const auto digests = digests_of(keys, Isa::kRef);
  for (std::size_t i = 0; i < keys.size(); ++i)
    EXPECT_EQ(digests[i], digest_by_libsodium(keys[i])) << i;
}

TEST(IdentityWork, EveryIsaEqualsTheDefinition) {
  const auto keys = random_keys(24);
  const auto expected = digests_of(keys, Isa::kRef);
  for (const Isa with : isas()) EXPECT_EQ(digests_of(keys, with), expected) << isa_name(with);
}

TEST(IdentityWork, EveryIsaEqualsTheGoldenVectors) {
  for (const char* list : {"valid", "proof_of_work"}) {
    std::vector<wire::PublicKey> keys;
    std::vector<std::string> expected;
    for (const json& c : test::cases("identity.json", list)) {
      const auto parsed = wire::parse_identity(c["public_text"].get<std::string>());
      if (!parsed) continue;  // reserved addresses
      keys.push_back(parsed->identity.public_key);
      expected.push_back(c["pow_digest"].get<std::string>());
    }
    for (const Isa with : isas()) {
      const auto digests = digests_of(keys, with);
      for (std::size_t i = 0; i < keys.size(); ++i)
        EXPECT_EQ(to_hex(digests[i]), expected[i]) << list << ' ' << i << ' ' << isa_name(with);
    }
  }
}

TEST(IdentityWork, BatchesOfEverySize) {
  const auto keys = random_keys(17);
  const auto expected = digests_of(keys, Isa::kRef);
  for (const Isa with : isas()) {
    for (std::size_t n = 0; n <= keys.size(); ++n) {
      const auto digests = digests_of(std::span(keys).first(n), with);
      EXPECT_TRUE(std::ranges::equal(digests, std::span(expected).first(n)))
          << n << ' ' << isa_name(with);
    }
  }
}

TEST(IdentityWork, ABatchTellsTheValidFromTheRest) {
  std::vector<wire::Identity> identities;
  for (const json& c : test::cases("identity.json", "valid")) {
    const auto parsed = wire::parse_identity(c["public_text"].get<std::string>());
    if (parsed && c["locally_valid"].get<bool>()) identities.push_back(parsed->identity);
  }
  ASSERT_GE(identities.size(), 2u);
  wire::Identity reserved = identities[0];
  reserved.address.value = 0xff'0000'0001;
  wire::Identity other_address = identities[0];
  other_address.address.value ^= 1;
  wire::Identity other_key = identities[1];
  other_key.public_key[63] ^= 1;
  const std::vector<std::pair<wire::Identity, bool>> kinds = {{identities[0], true},
                                                              {reserved, false},
                                                              {identities[1], true},
                                                              {other_address, false},
                                                              {other_key, false}};
  for (const Isa with : isas()) {
    for (std::size_t i = 0; i < kinds.size(); ++i)
      EXPECT_EQ(validate(kinds[i].first, with), kinds[i].second) << isa_name(with) << ' ' << i;
  }
}

TEST(IdentityWork, GeneratedIdentitiesAreValidAndAsWanted) {
  for (const Isa with : isas()) {
    const SecretIdentity made =
        generate_identity([](wire::Address address) { return address.value % 2 == 1; }, with);
    EXPECT_EQ(made.address().value % 2, 1u) << isa_name(with);
    EXPECT_EQ(public_key_of(made.private_key()), made.identity().public_key) << isa_name(with);
    EXPECT_TRUE(validate(made.identity(), Isa::kRef)) << isa_name(with);
  }
}

}  // namespace
}  // namespace orrery::crypto
