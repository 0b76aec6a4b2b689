// Armor and dearmor per suite, instruction set, packet size and batch, beside the parts that they
// are made of and what others offer, all in one run. Every row handles the same bytes: `bytes` is
// the length of the packet, of which all but the 27 bytes in front of the verb are ciphertext.
//
// 64 packets are prepared, untimed, for each round, and handled in batches; figures are
// time-stamp cycles a packet and gigabits of packets a second.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <cstdio>
#include <vector>

#include "crypto/aes_keys.h"
#include "crypto/armor.h"
#include "crypto/poly1305.h"
#include "crypto/salsa20.h"
#include "rounds.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kPackets = 64;

/// Packets laid out as in a pool of buffers: one to a stride of whole cache lines.
struct Packets {
  explicit Packets(std::size_t bytes)
      : stride((bytes + 128 + 63) / 64 * 64), length(static_cast<std::uint32_t>(bytes)) {
    memory.resize(kPackets * stride + 64);
    for (std::size_t i = 0; i < kPackets; ++i) {
      std::uint8_t* p = packet(i);
      randombytes_buf(p, bytes);
      p[wire::kFlagsOffset] = 0;
    }
  }

  std::uint8_t* packet(std::size_t i) { return memory.data() + i * stride; }

  std::uint8_t* payload(std::size_t i) { return packet(i) + wire::kVerbOffset; }

  [[nodiscard]] std::size_t payload_bytes() const { return length - wire::kVerbOffset; }

  std::size_t stride;
  std::uint32_t length;
  std::vector<std::uint8_t> memory;
};

/// Times `run(first, count)` over all packets in batches; `prepare` comes before each round.
template <typename Prepare, typename Run>
void measure(benchmark::State& state, std::size_t bytes, std::size_t batch, Prepare prepare,
             Run run) {
  bench::Rounds rounds(state);
  for ([[maybe_unused]] auto _ : state) {
    prepare();
    rounds.time([&] {
      for (std::size_t i = 0; i + batch <= kPackets; i += batch) run(i, batch);
    });
  }
  rounds.report("packet", kPackets, bytes);
}

std::vector<PeerKeys> keys_of(std::size_t peers, Isa level) {
  std::vector<PeerKeys> keys;
  for (std::size_t i = 0; i < peers; ++i) {
    SharedSecret secret;
    randombytes_buf(secret.data(), secret.size());
    keys.emplace_back(secret);
    keys.back().expand(level);
  }
  return keys;
}

/// bytes, batch, peers
void armor(benchmark::State& state, wire::Suite suite, Isa level) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  const auto keys = keys_of(static_cast<std::size_t>(state.range(2)), level);
  Armorer armorer(level);
  ArmorJob jobs[kPackets];
  measure(
      state, packets.length, static_cast<std::size_t>(state.range(1)),
      [&] {
        for (std::size_t i = 0; i < kPackets; ++i)
          jobs[i] = {packets.packet(i), packets.length, suite, &keys[i % keys.size()], 0};
      },
      [&](std::size_t first, std::size_t count) { armorer.armor({jobs + first, count}); });
}

void dearmor(benchmark::State& state, wire::Suite suite, Isa level) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  const auto keys = keys_of(static_cast<std::size_t>(state.range(2)), level);
  Armorer armorer(level);
  for (std::size_t i = 0; i < kPackets; ++i) {
    ArmorJob job = {packets.packet(i), packets.length, suite, &keys[i % keys.size()], 0};
    armorer.armor({&job, 1});
  }
  const std::vector<std::uint8_t> sealed = packets.memory;
  DearmorJob jobs[kPackets];
  measure(
      state, packets.length, static_cast<std::size_t>(state.range(1)),
      [&] {
        std::memcpy(packets.memory.data(), sealed.data(), sealed.size());
        for (std::size_t i = 0; i < kPackets; ++i)
          jobs[i] = {packets.packet(i), packets.length, &keys[i % keys.size()], false};
      },
      [&](std::size_t first, std::size_t count) { armorer.dearmor({jobs + first, count}); });
  for (const DearmorJob& job : jobs) {
    if (!job.ok) state.SkipWithError("a packet was not authentic");
  }
}

// What others make of the same bytes.

void sodium_salsa2012_poly1305(benchmark::State& state) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  std::uint8_t key[32];
  randombytes_buf(key, sizeof key);
  measure(
      state, packets.length, 1, [] {},
      [&](std::size_t i, std::size_t) {
        std::uint8_t one_time[64] = {};
        std::uint8_t mac[16];
        // No libsodium call starts at block 1, so block 0 is a call of its own.
        crypto_stream_salsa2012(one_time, sizeof one_time, packets.packet(i), key);
        crypto_stream_salsa2012_xor(packets.payload(i), packets.payload(i), packets.payload_bytes(),
                                    packets.packet(i), key);
        crypto_onetimeauth(mac, packets.payload(i), packets.payload_bytes(), one_time);
        std::memcpy(packets.packet(i) + wire::kMacOffset, mac, 8);
      });
}

void openssl_aead(benchmark::State& state, const EVP_CIPHER* cipher) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  std::uint8_t key[32];
  randombytes_buf(key, sizeof key);
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, cipher, nullptr, key, nullptr);
  measure(
      state, packets.length, 1, [] {},
      [&](std::size_t i, std::size_t) {
        int n = 0;
        std::uint8_t tag[16];
        EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, packets.packet(i));
        EVP_EncryptUpdate(context, nullptr, &n, packets.packet(i), wire::kVerbOffset);
        EVP_EncryptUpdate(context, packets.payload(i), &n, packets.payload(i),
                          static_cast<int>(packets.payload_bytes()));
        EVP_EncryptFinal_ex(context, packets.payload(i), &n);
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
        std::memcpy(packets.packet(i) + wire::kMacOffset, tag, 8);
      });
  EVP_CIPHER_CTX_free(context);
}

void ipsec_ctr(benchmark::State& state) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  const Manager manager = make_manager(best_isa());
  std::uint8_t key[32] = {1};
  alignas(16) std::uint32_t encrypt[60], decrypt[60];
  IMB_AES_KEYEXP_256(manager.get(), key, encrypt, decrypt);
  IMB_JOB jobs[kPackets] = {};
  measure(
      state, packets.length, static_cast<std::size_t>(state.range(1)),
      [&] {
        for (std::size_t i = 0; i < kPackets; ++i) {
          jobs[i].enc_keys = jobs[i].dec_keys = encrypt;
          jobs[i].key_len_in_bytes = IMB_KEY_256_BYTES;
          jobs[i].iv = packets.packet(i);
          jobs[i].iv_len_in_bytes = 16;
          jobs[i].src = jobs[i].dst = packets.payload(i);
          jobs[i].msg_len_to_cipher_in_bytes = packets.payload_bytes();
        }
      },
      [&](std::size_t first, std::size_t count) {
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(manager.get(), jobs + first,
                                        static_cast<std::uint32_t>(count), IMB_CIPHER_CNTR,
                                        IMB_DIR_ENCRYPT, IMB_KEY_256_BYTES);
      });
}

void ipsec_gmac(benchmark::State& state) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  const Manager manager = make_manager(best_isa());
  std::uint8_t key[32] = {1};
  gcm_key_data schedule;
  IMB_AES256_GCM_PRE(manager.get(), key, &schedule);
  measure(
      state, packets.length, 1, [] {},
      [&](std::size_t i, std::size_t) {
        gcm_context_data context;
        std::uint8_t tag[16];
        IMB_AES256_GMAC_INIT(manager.get(), &schedule, &context, packets.packet(i), 12);
        IMB_AES256_GMAC_UPDATE(manager.get(), &schedule, &context, packets.payload(i),
                               packets.payload_bytes());
        IMB_AES256_GMAC_FINALIZE(manager.get(), &schedule, &context, tag, 16);
        std::memcpy(packets.packet(i) + wire::kMacOffset, tag, 8);
      });
}

void ipsec_ecb(benchmark::State& state) {
  const Manager manager = make_manager(best_isa());
  std::uint8_t key[32] = {1};
  alignas(16) std::uint32_t encrypt[60], decrypt[60];
  IMB_AES_KEYEXP_256(manager.get(), key, encrypt, decrypt);
  Packets packets(64);
  measure(
      state, packets.length, static_cast<std::size_t>(state.range(1)), [] {},
      [&](std::size_t first, std::size_t count) {
        for (std::size_t i = first; i < first + count; ++i) {
          IMB_JOB* job = IMB_GET_NEXT_JOB(manager.get());
          job->enc_keys = encrypt;
          job->dec_keys = decrypt;
          job->key_len_in_bytes = IMB_KEY_256_BYTES;
          job->cipher_mode = IMB_CIPHER_ECB;
          job->cipher_direction = IMB_DIR_ENCRYPT;
          job->hash_alg = IMB_AUTH_NULL;
          job->chain_order = IMB_ORDER_CIPHER_HASH;
          job->src = job->dst = packets.packet(i);
          job->cipher_start_src_offset_in_bytes = 0;
          job->msg_len_to_cipher_in_bytes = 16;
          job->iv_len_in_bytes = 0;
          IMB_SUBMIT_JOB_NOCHECK(manager.get());
        }
        while (IMB_FLUSH_JOB(manager.get()) != nullptr) {
        }
      });
}

// Poly1305 alone: ours in batches, and the others' one by one.

void poly1305_batch(benchmark::State& state, Isa level) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  const Manager manager = make_manager(level);
  PolyJob jobs[kPackets];
  std::uint8_t keys[kPackets][32];
  randombytes_buf(keys, sizeof keys);
  measure(
      state, packets.length, static_cast<std::size_t>(state.range(1)),
      [&] {
        for (std::size_t i = 0; i < kPackets; ++i)
          jobs[i] = {
              packets.payload(i), static_cast<std::uint32_t>(packets.payload_bytes()), keys[i], {}};
      },
      [&](std::size_t first, std::size_t count) {
        poly1305_batch(level, manager.get(), {jobs + first, count});
      });
}

/// One by one: `poly1305(job)`.
void poly1305_single(benchmark::State& state, const auto& poly1305) {
  Packets packets(static_cast<std::size_t>(state.range(0)));
  std::uint8_t key[32];
  randombytes_buf(key, sizeof key);
  measure(
      state, packets.length, 1, [] {},
      [&](std::size_t i, std::size_t) {
        PolyJob job = {
            packets.payload(i), static_cast<std::uint32_t>(packets.payload_bytes()), key, {}};
        poly1305(job);
        std::memcpy(packets.packet(i) + wire::kMacOffset, job.mac.data(), 8);
      });
}

void ipsec_poly1305(benchmark::State& state, Isa level) {
  const Manager manager = make_manager(level);
  poly1305_single(state, [&](PolyJob& job) { poly1305_ipsec(manager.get(), job); });
}

void sodium_poly1305(benchmark::State& state) {
  poly1305_single(state, [](PolyJob& job) {
    crypto_onetimeauth(job.mac.data(), job.data, job.length, job.key);
  });
}

const std::vector<std::int64_t> kBytes = {64, 256, 512, 1024, 1400, 2800, 9000};
const std::vector<std::int64_t> kBatches = {1, 8, 32, 64};

void add(const std::string& name, const auto& function, bool batches, bool peers = false) {
  auto* row = benchmark::RegisterBenchmark(name.c_str(), function);
  const std::vector<std::int64_t> batch = batches ? kBatches : std::vector<std::int64_t>{1};
  if (peers) {
    row->ArgsProduct({kBytes, batch, {1, 64}})->ArgNames({"bytes", "batch", "peers"});
  } else {
    row->ArgsProduct({kBytes, batch})->ArgNames({"bytes", "batch"});
  }
  row->UseManualTime();
}

void add_all() {
  for (const auto& [suite, name] : {std::pair{wire::Suite::kAesGmacSiv, "aes_gmac_siv"},
                                    {wire::Suite::kSalsaPoly, "salsa2012_poly1305"},
                                    {wire::Suite::kMacOnly, "poly1305"}}) {
    for (Isa level : {Isa::kRef, Isa::kAvx2, Isa::kAvx512}) {
      if (level > best_isa()) continue;
      const std::string which = std::string(name) + "/" + isa_name(level);
      add("armor/" + which, [=](auto& s) { armor(s, suite, level); }, true, true);
      add("dearmor/" + which, [=](auto& s) { dearmor(s, suite, level); }, true, true);
    }
  }
  add("ipsec_mb/ctr", ipsec_ctr, true);
  add("ipsec_mb/gmac", ipsec_gmac, false);
  benchmark::RegisterBenchmark("ipsec_mb/ecb", ipsec_ecb)
      ->ArgsProduct({{16}, kBatches})
      ->ArgNames({"bytes", "batch"})
      ->UseManualTime();
  add("libsodium/poly1305", sodium_poly1305, false);
  add("poly1305/single", [](auto& s) { poly1305_single(s, poly1305_ref); }, false);
  for (Isa level : {Isa::kRef, Isa::kAvx2, Isa::kAvx512}) {
    if (level > best_isa()) continue;
    add(
        std::string("ipsec_mb/poly1305/") + isa_name(level),
        [=](auto& s) { ipsec_poly1305(s, level); }, false);
    add(
        std::string("poly1305/") + isa_name(level), [=](auto& s) { poly1305_batch(s, level); },
        true);
  }
  add("libsodium/salsa2012_poly1305", sodium_salsa2012_poly1305, false);
  add("openssl/aes256_gcm", [](auto& s) { openssl_aead(s, EVP_aes_256_gcm()); }, false);
  add(
      "openssl/chacha20_poly1305", [](auto& s) { openssl_aead(s, EVP_chacha20_poly1305()); },
      false);
}

}  // namespace
}  // namespace orrery::crypto

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  orrery::crypto::init();
  std::printf("time-stamp counter: %.2f GHz\n", orrery::bench::tsc_ghz());
  orrery::crypto::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
