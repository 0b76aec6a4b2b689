// Every instruction set against the portable definition, libsodium and OpenSSL: all lengths, odd
// alignments, guard pages at both ends, batches of random mixes, flipped bits.
//
// Lengths go to 2100, or to 10,100 with ORRERY_LONG=1 in the environment.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"
#include "crypto/kdf.h"
#include "crypto/poly1305.h"
#include "crypto/salsa20.h"
#include "crypto/siphash_batch.h"

namespace orrery::crypto {
namespace {

constexpr wire::Suite kSuites[] = {wire::Suite::kMacOnly, wire::Suite::kSalsaPoly,
                                   wire::Suite::kAesGmacSiv};

std::size_t longest() {
  return std::getenv("ORRERY_LONG") != nullptr ? 10'100 : 2'100;
}

std::vector<Isa> levels() {
  std::vector<Isa> all = {Isa::kRef};
  if (best_isa() >= Isa::kAvx2) all.push_back(Isa::kAvx2);
  if (best_isa() >= Isa::kAvx512) all.push_back(Isa::kAvx512);
  return all;
}

/// Every kernel that this processor can run, whichever level would choose it.
std::vector<const SivKernel*> siv_kernels() {
  std::vector<const SivKernel*> all = {&kSivRef};
  if (best_isa() >= Isa::kAvx2) all.push_back(&kSivAesni);
  if (best_isa() >= Isa::kAvx2 && has_vaes()) all.push_back(&kSivVaes256);
  if (best_isa() >= Isa::kAvx512) all.push_back(&kSivVaes512);
  return all;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t n) { return engine_() % n; }

  ByteVector bytes(std::size_t n) {
    ByteVector v(n);
    for (auto& b : v) b = static_cast<std::uint8_t>(engine_());
    return v;
  }

  SharedSecret secret() {
    SharedSecret s;
    for (auto& b : s) b = static_cast<std::uint8_t>(engine_());
    return s;
  }

 private:
  std::mt19937_64 engine_;
};

/// A packet as a sender leaves it: flags zero but for the fragmented bit.
ByteVector plain_packet(Random& random, std::size_t length) {
  ByteVector packet = random.bytes(length);
  packet[wire::kFlagsOffset] &= wire::kFlagFragmented;
  return packet;
}

PeerKeys keys_at(const SharedSecret& secret, Isa level) {
  PeerKeys keys(secret);
  keys.expand(level);
  return keys;
}

/// An area between two pages that must not be touched. A packet lies against one end of it.
class Guarded {
 public:
  Guarded() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    size_ = (longest() + page_) / page_ * page_;
    void* memory = mmap(nullptr, size_ + 2 * page_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base_ = static_cast<std::uint8_t*>(memory);
    if (mprotect(base_, page_, PROT_NONE) != 0 ||
        mprotect(base_ + page_ + size_, page_, PROT_NONE) != 0)
      std::abort();
  }

  ~Guarded() { munmap(base_, size_ + 2 * page_); }

  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::uint8_t* at_start() { return base_ + page_; }

  std::uint8_t* at_end(std::size_t length) { return base_ + page_ + size_ - length; }

 private:
  std::size_t page_;
  std::size_t size_;
  std::uint8_t* base_;
};

ByteVector salsa(Isa level, const SalsaKey& key, const std::uint8_t* nonce, std::uint32_t block,
                 ByteVector data, std::uint8_t* one_time = nullptr) {
  const SalsaJob job = {salsa_state(key, nonce, 0), data.data(),
                        static_cast<std::uint32_t>(data.size()), block, one_time};
  salsa2012_batch(level, {&job, 1});
  return data;
}

TEST(Isa, NamesAreReadBack) {
  for (const Isa level : {Isa::kRef, Isa::kAvx2, Isa::kAvx512})
    EXPECT_EQ(isa_of(isa_name(level)), level);
  EXPECT_FALSE(isa_of("sse"));
  EXPECT_FALSE(isa_of(""));
  EXPECT_LE(isa(), best_isa());
}

TEST(Salsa2012, EveryLevelAndLibsodiumAtEveryLength) {
  Random random(1);
  for (std::size_t length = 0; length <= longest(); ++length) {
    SalsaKey key;
    std::ranges::copy(random.bytes(32), key.begin());
    const ByteVector nonce = random.bytes(8);
    const ByteVector data = random.bytes(length);
    // block 0, then the data from block 1 on, as libsodium sees them: one stream
    ByteVector stream(64 + length);
    crypto_stream_salsa2012(stream.data(), stream.size(), nonce.data(), key.data());
    ByteVector expected = data;
    for (std::size_t i = 0; i < length; ++i) expected[i] ^= stream[64 + i];
    for (const Isa level : levels()) {
      ByteVector one_time(64);
      ASSERT_EQ(salsa(level, key, nonce.data(), 1, data, one_time.data()), expected)
          << isa_name(level) << " length " << length;
      ASSERT_TRUE(std::equal(one_time.begin(), one_time.end(), stream.begin()))
          << isa_name(level) << " length " << length;
      ASSERT_EQ(salsa(level, key, nonce.data(), 1, data), expected)
          << isa_name(level) << " length " << length << " without block 0";
    }
  }
}

TEST(Salsa2012, BlocksOfManyStreamsShareLanes) {
  Random random(2);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 1 + random.below(64);
    std::vector<ByteVector> inputs;
    std::vector<SalsaState> states;
    std::vector<bool> lead;
    for (std::size_t i = 0; i < n; ++i) {
      inputs.push_back(random.bytes(random.below(3) == 0 ? random.below(3) : random.below(700)));
      SalsaKey key;
      std::ranges::copy(random.bytes(32), key.begin());
      states.push_back(salsa_state(key, random.bytes(8).data(), 0));
      lead.push_back(random.below(2) == 0);
    }
    const auto run = [&](Isa level) {
      std::vector<ByteVector> data = inputs;
      std::vector<ByteVector> one_time(n, ByteVector(64));
      std::vector<SalsaJob> jobs;
      for (std::size_t i = 0; i < n; ++i) {
        jobs.push_back({states[i], data[i].data(), static_cast<std::uint32_t>(data[i].size()),
                        lead[i] ? 1U : static_cast<std::uint32_t>(i * 3),
                        lead[i] ? one_time[i].data() : nullptr});
      }
      salsa2012_batch(level, jobs);
      data.insert(data.end(), one_time.begin(), one_time.end());
      return data;
    };
    const auto expected = run(Isa::kRef);
    for (const Isa level : levels()) ASSERT_EQ(run(level), expected) << isa_name(level);
  }
}

TEST(Poly1305, EveryLevelAndLibsodiumAtEveryLength) {
  Random random(3);
  for (std::size_t length = 0; length <= longest(); ++length) {
    // some keys and messages of all ones, where carries run far
    const bool extreme = length % 3 == 0;
    const ByteVector key = extreme ? ByteVector(32, 0xff) : random.bytes(32);
    const ByteVector message = extreme ? ByteVector(length, 0xff) : random.bytes(length);
    std::array<std::uint8_t, 16> expected;
    crypto_onetimeauth(expected.data(), message.data(), length, key.data());
    for (const Isa level : levels()) {
      const Manager manager = make_manager(level);
      for (const std::size_t n : {1, 2, 4, 8, 11}) {
        std::vector<PolyJob> jobs(
            n, {message.data(), static_cast<std::uint32_t>(length), key.data(), {}});
        poly1305_batch(level, manager.get(), jobs);
        for (const PolyJob& job : jobs)
          ASSERT_EQ(job.mac, expected) << isa_name(level) << " length " << length << " of " << n;
      }
    }
    PolyJob alone = {message.data(), static_cast<std::uint32_t>(length), key.data(), {}};
    poly1305_ref(alone);
    ASSERT_EQ(alone.mac, expected) << length;
  }
}

/// MACs made between the rounds of the stream cipher, of any mix of lengths and for any limit.
TEST(Salsa2012, MacsRideAlong) {
  if (best_isa() < Isa::kAvx512) GTEST_SKIP() << "no AVX-512";
  Random random(9);
  for (int round = 0; round < 300; ++round) {
    const std::size_t n = 1 + random.below(40);
    const std::size_t longest_one = round % 2 == 0 ? 2'000 : 100;
    std::vector<ByteVector> inputs;
    std::vector<SalsaState> states;
    for (std::size_t i = 0; i < n; ++i) {
      inputs.push_back(random.bytes(random.below(longest_one)));
      SalsaKey key;
      std::ranges::copy(random.bytes(32), key.begin());
      states.push_back(salsa_state(key, random.bytes(8).data(), 0));
    }
    const auto make = [&](std::vector<ByteVector>& data, std::vector<ByteVector>& one_time,
                          std::vector<SalsaJob>& streams, std::vector<PolyJob>& macs) {
      for (std::size_t i = 0; i < n; ++i) {
        const auto size = static_cast<std::uint32_t>(data[i].size());
        streams.push_back({states[i], data[i].data(), size, 1, one_time[i].data()});
        macs.push_back({data[i].data(), size, one_time[i].data(), {}});
      }
    };
    std::vector<ByteVector> data = inputs, one_time(n, ByteVector(64));
    std::vector<SalsaJob> streams;
    std::vector<PolyJob> macs;
    make(data, one_time, streams, macs);
    salsa2012_batch(Isa::kRef, streams);
    for (PolyJob& mac : macs) poly1305_ref(mac);

    std::vector<ByteVector> data2 = inputs, one_time2(n, ByteVector(64));
    std::vector<SalsaJob> streams2;
    std::vector<PolyJob> macs2;
    make(data2, one_time2, streams2, macs2);
    const std::size_t limit = random.below(n + 2);
    const std::size_t done = salsa2012_poly1305_avx512(streams2, macs2.data(), limit);
    ASSERT_LE(done, std::min(limit, n));
    ASSERT_EQ(data2, data);
    ASSERT_EQ(one_time2, one_time);
    for (std::size_t i = 0; i < n; ++i) {
      const std::array<std::uint8_t, 16> none{};
      ASSERT_EQ(macs2[i].mac, i < done ? macs[i].mac : none)
          << i << " of " << n << ", " << done << " done, " << data[i].size() << " bytes";
    }
  }
}

/// One message against either guard page.
TEST(Salsa2012, MacsRideAlongAtEveryLength) {
  if (best_isa() < Isa::kAvx512) GTEST_SKIP() << "no AVX-512";
  Random random(10);
  Guarded area;
  // The second stream gives the rider time.
  for (std::size_t length = 0; length <= longest(); ++length) {
    const SalsaState state = salsa_state(SalsaKey{}, random.bytes(8).data(), 0);
    alignas(64) std::uint8_t one_time[64] = {};
    std::uint8_t* data = length % 2 == 0 ? area.at_end(length) : area.at_start();
    std::memset(data, 0xff, length);
    ByteVector filler(2'500);
    alignas(64) std::uint8_t unused[64] = {};
    const SalsaJob streams[] = {
        {state, data, static_cast<std::uint32_t>(length), 1, one_time},
        {state, filler.data(), static_cast<std::uint32_t>(filler.size()), 1, unused}};
    PolyJob macs[] = {{data, static_cast<std::uint32_t>(length), one_time, {}}, {}};
    ASSERT_EQ(salsa2012_poly1305_avx512(streams, macs, 1), 1U) << length;
    PolyJob expected = macs[0];
    poly1305_ref(expected);
    ASSERT_EQ(macs[0].mac, expected.mac) << length;
  }
}

/// The lanes themselves, also for as few messages as the batch would never give them.
TEST(Poly1305, LanesTakeAnyMixOfLengths) {
  Random random(4);
  for (int round = 0; round < 400; ++round) {
    const std::size_t n = 1 + random.below(8);
    std::vector<ByteVector> messages;
    std::vector<ByteVector> keys;
    for (std::size_t i = 0; i < n; ++i) {
      messages.push_back(random.bytes(random.below(4) == 0 ? random.below(20) : random.below(600)));
      keys.push_back(random.bytes(32));
    }
    const auto job = [&](std::size_t i) {
      return PolyJob{
          messages[i].data(), static_cast<std::uint32_t>(messages[i].size()), keys[i].data(), {}};
    };
    std::vector<PolyJob> jobs;
    std::vector<PolyJob*> pointers;
    for (std::size_t i = 0; i < n; ++i) jobs.push_back(job(i));
    for (PolyJob& j : jobs) pointers.push_back(&j);
    const auto expect = [&](std::size_t count, const char* what) {
      for (std::size_t i = 0; i < count; ++i) {
        PolyJob alone = job(i);
        poly1305_ref(alone);
        ASSERT_EQ(jobs[i].mac, alone.mac) << what << ", " << messages[i].size() << " bytes";
        jobs[i].mac = {};
      }
    };
    if (best_isa() >= Isa::kAvx512) {
      poly1305_avx512(pointers.data(), n);
      expect(n, "avx512");
    }
    if (best_isa() >= Isa::kAvx2) {
      const std::size_t four = std::min<std::size_t>(n, 4);
      poly1305_avx2(pointers.data(), four);
      expect(four, "avx2");
    }
  }
}

/// AES-GMAC-SIV by OpenSSL, from docs/protocol/02-packet.md section 6.
ByteVector sealed_by_openssl(ByteVector packet, const std::uint8_t* k0, const std::uint8_t* k1) {
  const std::size_t payload = packet.size() - wire::kVerbOffset;
  packet[wire::kFlagsOffset] = static_cast<std::uint8_t>(
      (packet[wire::kFlagsOffset] & (wire::kFlagFragmented | wire::kHopsMask)) | 3 << 3);
  std::uint8_t iv[12] = {};
  std::memcpy(iv, packet.data(), 8);
  std::uint8_t header[16] = {};
  std::memcpy(header, packet.data() + wire::kDestinationOffset, 11);
  header[10] &= static_cast<std::uint8_t>(~wire::kHopsMask);
  std::uint64_t tag[2];
  int n = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, k0, iv);
  EVP_EncryptUpdate(context, nullptr, &n, header, sizeof header);
  EVP_EncryptUpdate(context, nullptr, &n, packet.data() + wire::kVerbOffset,
                    static_cast<int>(payload));
  std::uint8_t nothing[16];
  EVP_EncryptFinal_ex(context, nothing, &n);
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
  std::uint64_t block[2] = {0, tag[0] ^ tag[1]};
  std::memcpy(block, packet.data(), 8);
  EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), nullptr, k1, nullptr);
  EVP_CIPHER_CTX_set_padding(context, 0);
  std::uint8_t encrypted[32];
  EVP_EncryptUpdate(context, encrypted, &n, reinterpret_cast<std::uint8_t*>(block), 16);
  std::memcpy(packet.data(), encrypted, 8);
  std::memcpy(packet.data() + wire::kMacOffset, encrypted + 8, 8);
  encrypted[12] &= 0x7f;
  EVP_EncryptInit_ex(context, EVP_aes_256_ctr(), nullptr, k1, encrypted);
  EVP_EncryptUpdate(context, packet.data() + wire::kVerbOffset, &n,
                    packet.data() + wire::kVerbOffset, static_cast<int>(payload));
  EVP_CIPHER_CTX_free(context);
  return packet;
}

TEST(AesGmacSiv, EveryKernelAndOpensslAtEveryLength) {
  Random random(5);
  const ByteVector k0 = random.bytes(32), k1 = random.bytes(32);
  for (const SivKernel* kernel : siv_kernels()) {
    const Manager manager = make_manager(kernel == &kSivRef ? Isa::kRef : best_isa());
    AesKeys keys;
    kernel->expand(manager.get(), k0.data(), k1.data(), keys);
    for (std::size_t length = wire::kHeaderSize; length <= longest(); ++length) {
      ByteVector plain = plain_packet(random, length);
      plain[wire::kFlagsOffset] |= 3 << 3;
      ByteVector packet = plain;
      SivJob job = {packet.data(), static_cast<std::uint32_t>(length), &keys, false};
      kernel->seal(manager.get(), {&job, 1});
      ASSERT_EQ(packet, sealed_by_openssl(plain, k0.data(), k1.data()))
          << kernel->name << " length " << length;
      kernel->open(manager.get(), {&job, 1});
      ASSERT_TRUE(job.ok) << kernel->name << " length " << length;
      ASSERT_TRUE(std::equal(packet.begin() + wire::kVerbOffset, packet.end(),
                             plain.begin() + wire::kVerbOffset))
          << kernel->name << " length " << length;
    }
  }
}

/// What follows is of all suites and levels.
struct Level {
  Level(Isa level, const SharedSecret& secret)
      : isa(level), armorer(level), keys(keys_at(secret, level)) {}

  void armor(std::uint8_t* packet, std::size_t length, wire::Suite suite) {
    ArmorJob job = {packet, static_cast<std::uint32_t>(length), suite, &keys, 0};
    armorer.armor({&job, 1});
  }

  [[nodiscard]] bool dearmor(std::uint8_t* packet, std::size_t length) {
    DearmorJob job = {packet, static_cast<std::uint32_t>(length), &keys, false};
    armorer.dearmor({&job, 1});
    return job.ok;
  }

  ByteVector armored(ByteVector packet, wire::Suite suite) {
    armor(packet.data(), packet.size(), suite);
    return packet;
  }

  Isa isa;
  Armorer armorer;
  PeerKeys keys;
};

std::vector<std::unique_ptr<Level>> all_levels(const SharedSecret& secret) {
  std::vector<std::unique_ptr<Level>> all;
  for (const Isa isa : levels()) all.push_back(std::make_unique<Level>(isa, secret));
  return all;
}

TEST(Armor, EveryLevelAtEveryLengthAndAlignmentBetweenGuardPages) {
  Random random(6);
  const auto all = all_levels(random.secret());
  Guarded guarded;
  ByteVector room(longest() + 64);
  for (std::size_t length = wire::kHeaderSize; length <= longest(); ++length) {
    const ByteVector plain = plain_packet(random, length);
    for (const wire::Suite suite : kSuites) {
      const ByteVector expected = all[0]->armored(plain, suite);
      for (const auto& level : all) {
        for (std::uint8_t* place :
             {guarded.at_start(), guarded.at_end(length), room.data() + length % 64}) {
          std::ranges::copy(plain, place);
          level->armor(place, length, suite);
          ASSERT_TRUE(std::equal(expected.begin(), expected.end(), place))
              << isa_name(level->isa) << " suite " << static_cast<int>(suite) << " length "
              << length;
          ASSERT_TRUE(level->dearmor(place, length))
              << isa_name(level->isa) << " suite " << static_cast<int>(suite) << " length "
              << length;
          ASSERT_TRUE(
              std::equal(plain.begin() + wire::kVerbOffset, plain.end(), place + wire::kVerbOffset))
              << isa_name(level->isa) << " suite " << static_cast<int>(suite) << " length "
              << length;
        }
      }
    }
  }
}

/// Batches in which MACs ride along with the stream cipher.
TEST(Armor, ManyLongPackets) {
  Random random(11);
  for (const std::size_t n : {31, 32, 33, 63, 64}) {
    for (int round = 0; round < 20; ++round) {
      const PeerKeys keys(random.secret());
      std::vector<ByteVector> plain;
      for (std::size_t i = 0; i < n; ++i)
        plain.push_back(plain_packet(random, 1'040 + random.below(round % 2 == 0 ? 1 : 900)));
      if (round % 4 == 3) plain[random.below(n)].resize(60);  // one that is not long
      const auto armored = [&](Isa level) {
        std::vector<ByteVector> packets = plain;
        std::vector<ArmorJob> jobs;
        for (ByteVector& p : packets) {
          jobs.push_back(
              {p.data(), static_cast<std::uint32_t>(p.size()), wire::Suite::kSalsaPoly, &keys, 0});
        }
        Armorer(level).armor(jobs);
        return packets;
      };
      const auto expected = armored(Isa::kRef);
      for (const Isa level : levels()) ASSERT_EQ(armored(level), expected) << isa_name(level);
    }
  }
}

TEST(Armor, AFlippedBitIsRefusedHopsMayChange) {
  Random random(7);
  const auto all = all_levels(random.secret());
  for (const auto& level : all) {
    for (const wire::Suite suite : kSuites) {
      for (const std::size_t length : {28U, 29U, 43U, 91U, 300U}) {
        const ByteVector plain = plain_packet(random, length);
        const ByteVector sealed = level->armored(plain, suite);
        for (std::size_t bit = 0; bit < 8 * length; ++bit) {
          ByteVector packet = sealed;
          packet[bit / 8] = static_cast<std::uint8_t>(packet[bit / 8] ^ (1U << bit % 8));
          const bool hops = bit / 8 == wire::kFlagsOffset && bit % 8 < 3;
          ASSERT_EQ(level->dearmor(packet.data(), length), hops)
              << isa_name(level->isa) << " suite " << static_cast<int>(suite) << " length "
              << length << " bit " << bit;
        }
      }
    }
  }
}

/// A packet of a batch of mixed lengths, suites and peers.
struct Mixed {
  ByteVector plain;
  wire::Suite suite;
  std::size_t peer;
};

TEST(Armor, BatchesOfRandomMixesWithBadOnesAnywhere) {
  Random random(8);
  constexpr std::size_t kPeers = 5;
  std::vector<SharedSecret> secrets;
  for (std::size_t i = 0; i < kPeers; ++i) secrets.push_back(random.secret());

  struct Side {
    explicit Side(Isa level) : isa(level), armorer(level) {}

    Isa isa;
    Armorer armorer;
    std::vector<PeerKeys> keys;
  };

  std::vector<std::unique_ptr<Side>> sides;
  for (const Isa isa : levels()) {
    sides.push_back(std::make_unique<Side>(isa));
    for (const SharedSecret& secret : secrets) sides.back()->keys.push_back(keys_at(secret, isa));
  }
  for (int round = 0; round < 150; ++round) {
    std::vector<Mixed> mix(1 + random.below(Armorer::kBatchMax));
    const bool short_ones = round % 3 == 0;
    for (Mixed& m : mix) {
      const std::size_t most = short_ones ? 100 : round % 3 == 1 ? 1500 : 10'000;
      m.plain = plain_packet(random, wire::kHeaderSize + random.below(most));
      m.suite = kSuites[random.below(3)];
      m.peer = random.below(kPeers);
    }
    // one by one, by the definition
    std::vector<ByteVector> expected;
    for (const Mixed& m : mix) {
      expected.push_back(m.plain);
      ArmorJob job = {expected.back().data(), static_cast<std::uint32_t>(m.plain.size()), m.suite,
                      &sides[0]->keys[m.peer], 0};
      sides[0]->armorer.armor({&job, 1});
    }
    const std::size_t bad = random.below(2 * mix.size());  // often none
    for (const auto& side : sides) {
      std::vector<ByteVector> packets;
      for (const Mixed& m : mix) packets.push_back(m.plain);
      std::vector<ArmorJob> seals;
      for (std::size_t i = 0; i < mix.size(); ++i) {
        seals.push_back({packets[i].data(), static_cast<std::uint32_t>(packets[i].size()),
                         mix[i].suite, &side->keys[mix[i].peer], 0});
      }
      side->armorer.armor(seals);
      for (std::size_t i = 0; i < mix.size(); ++i) {
        ASSERT_EQ(packets[i], expected[i])
            << isa_name(side->isa) << " suite " << static_cast<int>(mix[i].suite) << " length "
            << packets[i].size() << " at " << i << " of " << mix.size();
      }
      if (bad < mix.size()) packets[bad].back() ^= 1;
      std::vector<DearmorJob> opens;
      for (std::size_t i = 0; i < mix.size(); ++i) {
        opens.push_back({packets[i].data(), static_cast<std::uint32_t>(packets[i].size()),
                         &side->keys[mix[i].peer], false});
      }
      side->armorer.dearmor(opens);
      for (std::size_t i = 0; i < mix.size(); ++i) {
        ASSERT_EQ(opens[i].ok, i != bad) << isa_name(side->isa) << " at " << i;
        const bool plain = std::equal(packets[i].begin() + wire::kVerbOffset, packets[i].end(),
                                      mix[i].plain.begin() + wire::kVerbOffset);
        // what is forged gives away nothing
        ASSERT_EQ(plain, i != bad) << isa_name(side->isa) << " at " << i;
      }
    }
  }
}

TEST(Armor, WhatIsForgedIsBurnedOrLeftAsItCame) {
  Random random(9);
  const auto all = all_levels(random.secret());
  for (const auto& level : all) {
    const ByteVector plain = plain_packet(random, 500);
    ByteVector siv = level->armored(plain, wire::Suite::kAesGmacSiv);
    siv[100] ^= 1;
    EXPECT_FALSE(level->dearmor(siv.data(), siv.size()));
    EXPECT_TRUE(std::all_of(siv.begin() + wire::kVerbOffset, siv.end(),
                            [](std::uint8_t b) { return b == 0; }));
    ByteVector salsa = level->armored(plain, wire::Suite::kSalsaPoly);
    salsa[100] ^= 1;
    const ByteVector came = salsa;
    EXPECT_FALSE(level->dearmor(salsa.data(), salsa.size()));
    EXPECT_EQ(salsa, came);
  }
}

TEST(Isa, SipHashOfManyIsThatOfEach) {
  using Batch =
      void (*)(const SipKey&, const SipBatch&, unsigned, unsigned, std::uint64_t*) noexcept;
  Random random(77);
  std::vector<Batch> all = {siphash_batch_ref, siphash_batch};
  if (best_isa() >= Isa::kAvx2) all.push_back(siphash_batch_avx2);
  if (best_isa() >= Isa::kAvx512) all.push_back(siphash_batch_avx512);
  const ByteVector key_bytes = random.bytes(16);
  SipKey key;
  std::memcpy(&key.k0, key_bytes.data(), 8);
  std::memcpy(&key.k1, key_bytes.data() + 8, 8);
  for (const std::size_t length : {4u, 7u, 8u, 10u, 13u, 16u, 22u, 23u}) {
    SipBatch batch{};
    std::vector<ByteVector> messages;
    const auto words = static_cast<unsigned>(length / 8 + 1);
    for (unsigned i = 0; i < SipBatch::kMost; ++i) {
      messages.push_back(random.bytes(length));
      std::uint8_t padded[24] = {};
      std::memcpy(padded, messages[i].data(), length);
      for (unsigned w = 0; w < words; ++w) std::memcpy(&batch.word[w][i], padded + 8 * w, 8);
      batch.word[words - 1][i] = SipBatch::last(length, batch.word[words - 1][i]);
    }
    for (const Batch hash : all) {
      for (unsigned n = 0; n <= SipBatch::kMost; ++n) {
        std::uint64_t out[SipBatch::kMost];
        hash(key, batch, words, n, out);
        for (unsigned i = 0; i < n; ++i) {
          ASSERT_EQ(out[i], siphash(key, messages[i])) << length << " bytes, " << i << " of " << n;
          std::uint8_t reference[8];
          std::uint8_t raw_key[16];
          std::memcpy(raw_key, &key, 16);
          crypto_shorthash(reference, messages[i].data(), length, raw_key);
          ASSERT_EQ(std::memcmp(reference, &out[i], 8), 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace orrery::crypto
