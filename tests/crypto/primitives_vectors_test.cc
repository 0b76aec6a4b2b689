// primitives.json.
#include <gtest/gtest.h>

#include "crypto/aes_keys.h"
#include "crypto/kdf.h"
#include "crypto/poly1305.h"
#include "crypto/salsa20.h"
#include "support/vectors.h"

namespace orrery::crypto {
namespace {

using nlohmann::json;
using test::hex_bytes;

SalsaKey salsa_key(const json& value) {
  const ByteVector bytes = hex_bytes(value);
  SalsaKey key{};
  std::copy_n(bytes.begin(), 32, key.begin());
  return key;
}

ByteVector keystream(const SalsaKey& key, const std::uint8_t* iv, int rounds, std::uint64_t counter,
                     std::size_t length) {
  ByteVector stream((length + 63) / 64 * 64);
  for (std::size_t i = 0; i * 64 < stream.size(); ++i) {
    salsa_block(salsa_state(key, iv, counter + i), rounds, stream.data() + 64 * i);
  }
  stream.resize(length);
  return stream;
}

TEST(PrimitiveVectors, Salsa20) {
  for (const json& c : test::cases("primitives.json", "salsa20")) {
    const ByteVector iv = hex_bytes(c["iv"]);
    const auto length = c["length"].get<std::size_t>();
    const int rounds = c["rounds"].get<int>();
    EXPECT_EQ(to_hex(keystream(salsa_key(c["key"]), iv.data(), rounds, 0, length)), c["keystream"]);
    if (rounds != 12) continue;
    ByteVector data(length);
    salsa2012_xor(salsa_key(c["key"]), iv.data(), 0, data);
    EXPECT_EQ(to_hex(data), c["keystream"]);
  }
}

TEST(PrimitiveVectors, SalsaSuccessiveCalls) {
  for (const json& c : test::cases("primitives.json", "salsa20_successive_calls")) {
    const ByteVector iv = hex_bytes(c["iv"]);
    std::uint64_t counter = 0;
    for (const json& call : c["calls"]) {
      ByteVector data = hex_bytes(call["in"]);
      const ByteVector stream =
          keystream(salsa_key(c["key"]), iv.data(), c["rounds"].get<int>(), counter, data.size());
      for (std::size_t i = 0; i < data.size(); ++i) data[i] ^= stream[i];
      EXPECT_EQ(to_hex(data), call["out"]);
      counter += (data.size() + 63) / 64;
    }
  }
}

TEST(PrimitiveVectors, Poly1305) {
  const Manager manager = make_manager(isa());
  for (const json& c : test::cases("primitives.json", "poly1305")) {
    const ByteVector message = hex_bytes(c["message"]);
    const ByteVector key = hex_bytes(c["key"]);
    // alone, and several beside each other
    for (const std::size_t n : {1, 2, 8, 13}) {
      std::vector<PolyJob> jobs(
          n, {message.data(), static_cast<std::uint32_t>(message.size()), key.data(), {}});
      poly1305_batch(isa(), manager.get(), jobs);
      for (const PolyJob& job : jobs) EXPECT_EQ(to_hex(job.mac), c["mac"]);
    }
  }
}

TEST(PrimitiveVectors, HashesAndDerivation) {
  const json all = test::load_vectors("primitives.json");
  for (const json& c : all["sha2"]) {
    const ByteVector message = hex_bytes(c["message"]);
    EXPECT_EQ(to_hex(sha512(message)), c["sha512"]);
    EXPECT_EQ(to_hex(sha384(message)), c["sha384"]);
  }
  for (const json& c : all["hmac_sha384"]) {
    EXPECT_EQ(to_hex(hmac_sha384(hex_bytes(c["key"]), hex_bytes(c["message"]))), c["mac"]);
  }
  for (const json& c : all["kbkdf_hmac_sha384"]) {
    SharedSecret key{};
    const ByteVector bytes = hex_bytes(c["key"]);
    std::copy_n(bytes.begin(), key.size(), key.begin());
    EXPECT_EQ(to_hex(kbkdf_hmac_sha384(key, c["label"].get<std::uint8_t>(),
                                       c["context"].get<std::uint8_t>(),
                                       c["iteration"].get<std::uint32_t>())),
              c["output"]);
  }
}

TEST(PrimitiveVectors, Aes) {
  const json all = test::load_vectors("primitives.json");
  const Manager manager = make_manager(isa());
  alignas(16) std::uint32_t encrypt[60], decrypt[60];
  const auto cipher = [&](IMB_CIPHER_MODE mode, Bytes in, Bytes iv) {
    ByteVector out(in.size());
    IMB_JOB job{};
    job.enc_keys = encrypt;
    job.dec_keys = decrypt;
    job.key_len_in_bytes = IMB_KEY_256_BYTES;
    job.iv = iv.data();
    job.iv_len_in_bytes = iv.size();
    job.src = in.data();
    job.dst = out.data();
    job.msg_len_to_cipher_in_bytes = in.size();
    job.cipher_mode = mode;
    job.cipher_direction = IMB_DIR_ENCRYPT;
    job.hash_alg = IMB_AUTH_NULL;
    job.chain_order = IMB_ORDER_CIPHER_HASH;
    IMB_JOB* next = IMB_GET_NEXT_JOB(manager.get());
    *next = job;
    IMB_JOB* done = IMB_SUBMIT_JOB(manager.get());
    if (done == nullptr) done = IMB_FLUSH_JOB(manager.get());
    EXPECT_TRUE(done != nullptr && done->status == IMB_STATUS_COMPLETED);
    return out;
  };
  for (const json& c : all["aes256_block"]) {
    IMB_AES_KEYEXP_256(manager.get(), hex_bytes(c["key"]).data(), encrypt, decrypt);
    EXPECT_EQ(to_hex(cipher(IMB_CIPHER_ECB, hex_bytes(c["plain"]), {})), c["cipher"]);
  }
  for (const json& c : all["aes256_ctr"]) {
    IMB_AES_KEYEXP_256(manager.get(), hex_bytes(c["key"]).data(), encrypt, decrypt);
    EXPECT_EQ(to_hex(cipher(IMB_CIPHER_CNTR, hex_bytes(c["in"]), hex_bytes(c["iv"]))), c["out"]);
  }
  for (const json& c : all["gmac_aes256"]) {
    gcm_key_data key;
    IMB_AES256_GCM_PRE(manager.get(), hex_bytes(c["key"]).data(), &key);
    const ByteVector iv = hex_bytes(c["iv"]);
    const ByteVector message = hex_bytes(c["message"]);
    gcm_context_data context;
    std::array<std::uint8_t, 16> tag{};
    IMB_AES256_GMAC_INIT(manager.get(), &key, &context, iv.data(), 12);
    if (!message.empty())
      IMB_AES256_GMAC_UPDATE(manager.get(), &key, &context, message.data(), message.size());
    IMB_AES256_GMAC_FINALIZE(manager.get(), &key, &context, tag.data(), 16);
    EXPECT_EQ(to_hex(tag), c["tag"]);
  }
}

}  // namespace
}  // namespace orrery::crypto
