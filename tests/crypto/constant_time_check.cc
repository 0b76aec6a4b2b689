// Whether the time of our own code depends on secrets, as far as valgrind can tell.
//
// Every secret is marked as undefined memory, and the code is run over lengths and sizes of
// batches: memcheck then reports each branch and each address that depends on one. Public are
// headers, lengths, sizes of batches, what stands on the wire, and the verdict of dearmor
// (constant_time.supp).
//
// What this cannot see: instructions whose time depends on their operands (divisions; the code has
// none), and AVX-512 and VAES, which valgrind 3.19 does not know. Their files share their text with
// those that are checked (salsa2012_lanes.h, aes_gmac_siv_lanes.h, poly1305_finish.h), but for
// poly1305_avx512.cc. OpenSSL and ipsec-mb take part where our code calls them, in the variants
// that they choose under valgrind; they are trusted, not checked.
//
// Run by tests/crypto/constant_time_test; with --leak=branch|table|compare it leaks on purpose.
// Source of the method: A. Langley, ctgrind.
#include <cstdio>

#if !__has_include(<valgrind/memcheck.h>)

int main() {
  std::fputs("constant_time: built without valgrind, which tools/setup installs\n", stderr);
  return 1;
}

#else

#include <valgrind/memcheck.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <string_view>

#include "base/siphash.h"
#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"
#include "crypto/id_permutation.h"
#include "crypto/poly1305.h"
#include "crypto/salsa20.h"

namespace orrery::crypto {
namespace {

/// Lengths of payload, 0 .. kLengths - 1 bytes.
constexpr std::size_t kLengths = 2101;

void mark_secret(MutableBytes bytes) {
  VALGRIND_MAKE_MEM_UNDEFINED(bytes.data(), bytes.size());
}

void mark_public(Bytes bytes) {
  VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size());
}

/// A public copy.
template <typename T>
T revealed(T value) {
  VALGRIND_MAKE_MEM_DEFINED(&value, sizeof value);
  return value;
}

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "constant_time: %s\n", what);
  std::exit(1);
}

/// What comes of a secret must be one, or the run has proved nothing.
void require_secret(Bytes bytes, const char* what) {
  ByteVector undefined(bytes.size());  // a bit for each bit
  (void)VALGRIND_GET_VBITS(bytes.data(), undefined.data(), bytes.size());
  for (const std::uint8_t bits : undefined) require(bits != 0, what);
}

std::uint8_t next_byte() {
  static std::uint32_t state = 1;
  state = state * 1664525 + 1013904223;
  return static_cast<std::uint8_t>(state >> 24);
}

void fill(MutableBytes bytes) {
  for (std::uint8_t& b : bytes) b = next_byte();
}

ByteVector secret_bytes(std::size_t n) {
  ByteVector bytes(n);
  fill(bytes);
  mark_secret(bytes);
  return bytes;
}

SharedSecret shared_secret() {
  SharedSecret secret;
  fill(secret);
  mark_secret(secret);
  return secret;
}

/// Every length once, short and long ones beside each other.
std::size_t mixed_length(std::size_t i) {
  return i * 997 % kLengths;
}

/// Sizes of batches, over and over: below, at and above the numbers of lanes.
std::size_t batch_size(std::size_t i) {
  constexpr std::size_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 64};
  return kSizes[i % std::size(kSizes)];
}

/// Calls body(first, n) for numbers from 0 to kLengths in such batches.
template <typename Body>
void in_batches(Body body) {
  for (std::size_t at = 0, i = 0; at < kLengths; ++i) {
    const std::size_t n = std::min(batch_size(i), kLengths - at);
    body(at, n);
    at += n;
  }
}

void check_salsa_block() {
  SalsaKey key;
  fill(key);
  mark_secret(key);
  std::uint8_t nonce[8];
  fill(nonce);
  for (const int rounds : {12, 20}) {
    for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1} << 32}) {
      std::uint8_t out[64];
      salsa_block(salsa_state(key, nonce, counter), rounds, out);
      require_secret(out, "a block of Salsa20 is public");
    }
  }
}

void check_salsa_batch(Isa level) {
  in_batches([&](std::size_t first, std::size_t n) {
    std::vector<SalsaJob> jobs(n);
    std::deque<ByteVector> data;
    for (std::size_t i = 0; i < n; ++i) {
      std::array<std::uint64_t, 4> key;
      const MutableBytes bytes(reinterpret_cast<std::uint8_t*>(key.data()), sizeof key);
      fill(bytes);
      mark_secret(bytes);
      ByteVector& payload = data.emplace_back(secret_bytes(mixed_length(first + i)));
      ByteVector& one_time = data.emplace_back(secret_bytes(64));
      jobs[i] = {salsa_state(key, first + i), payload.data(),
                 static_cast<std::uint32_t>(payload.size()), static_cast<std::uint32_t>(i % 3),
                 i % 3 == 1 ? one_time.data() : nullptr};
    }
    salsa2012_batch(level, jobs);
    for (const ByteVector& bytes : data) require_secret(bytes, "a stream is public");
  });
}

void check_poly1305(Isa level) {
  in_batches([&](std::size_t first, std::size_t n) {
    std::vector<PolyJob> jobs(n);
    std::deque<ByteVector> data;
    for (std::size_t i = 0; i < n; ++i) {
      const ByteVector& message = data.emplace_back(secret_bytes(mixed_length(first + i)));
      const ByteVector& key = data.emplace_back(secret_bytes(32));
      jobs[i] = {message.data(), static_cast<std::uint32_t>(message.size()), key.data(), {}};
    }
    if (level == Isa::kRef) {
      for (PolyJob& job : jobs) poly1305_ref(job);
    } else {
      for (std::size_t i = 0; i < n; i += 4) {
        PolyJob* lanes[4];
        const std::size_t used = std::min<std::size_t>(4, n - i);
        for (std::size_t lane = 0; lane < used; ++lane) lanes[lane] = &jobs[i + lane];
        poly1305_avx2(lanes, used);
      }
    }
    for (const PolyJob& job : jobs) require_secret(job.mac, "a MAC is public");
  });
}

/// Three peers, and packets of all lengths between them: armored, then dearmored with every third
/// one forged.
void check_armor(Isa level, wire::Suite suite) {
  std::vector<PeerKeys> peers;
  for (int i = 0; i < 3; ++i) {
    PeerKeys& keys = peers.emplace_back(shared_secret());
    keys.expand(level);
    const std::uint32_t(&rounds)[60] = keys.aes().encrypt;
    require_secret({reinterpret_cast<const std::uint8_t*>(rounds), sizeof rounds},
                   "a key schedule is public");
  }
  Armorer armorer(level);
  in_batches([&](std::size_t first, std::size_t n) {
    std::deque<ByteVector> packets, plain;
    std::vector<ArmorJob> armor;
    std::vector<DearmorJob> dearmor;
    for (std::size_t i = 0; i < n; ++i) {
      ByteVector& packet = packets.emplace_back(wire::kVerbOffset + 1 + mixed_length(first + i));
      fill(packet);
      packet[wire::kFlagsOffset] = 0;
      plain.push_back(packet);
      mark_secret(MutableBytes(packet).subspan(wire::kVerbOffset));
      const auto length = static_cast<std::uint32_t>(packet.size());
      armor.push_back({packet.data(), length, suite, &peers[i % peers.size()], 0});
      dearmor.push_back({packet.data(), length, &peers[i % peers.size()], false});
    }
    armorer.armor(armor);
    for (std::size_t i = 0; i < n; ++i) {
      require_secret(Bytes(packets[i]).subspan(wire::kMacOffset, 8), "a MAC is public");
      require_secret(Bytes(packets[i]).subspan(wire::kVerbOffset), "a payload is public");
      mark_public(packets[i]);  // it goes on the wire
      if (i % 3 == 2) packets[i].back() ^= 1;
    }
    armorer.dearmor(dearmor);
    for (std::size_t i = 0; i < n; ++i) {
      require(revealed(dearmor[i].ok) == (i % 3 != 2), "a packet got the wrong verdict");
      if (i % 3 == 2) continue;
      if (suite != wire::Suite::kMacOnly)
        require_secret(Bytes(packets[i]).subspan(wire::kVerbOffset), "a plaintext is public");
      mark_public(packets[i]);
      require(std::equal(packets[i].begin() + wire::kVerbOffset, packets[i].end(),
                         plain[i].begin() + wire::kVerbOffset),
              "a packet did not come back as it was");
    }
  });
}

void check_equal() {
  for (std::size_t n = 0; n < 100; ++n) {
    const ByteVector a = secret_bytes(n);
    ByteVector b = a;
    require(revealed(constant_time_equal(a, b)), "equal bytes differ");
    if (n == 0) continue;
    b[n / 2] ^= 1;
    require(!revealed(constant_time_equal(a, b)), "different bytes are equal");
  }
}

void check_hello() {
  const SharedSecret secret = shared_secret();
  for (std::size_t n = wire::kHeaderSize; n < 400; ++n) {
    ByteVector packet(n);
    fill(packet);
    const auto key = mix_key(secret, packet, n);
    require_secret(key, "the key of a packet is public");
    const std::size_t start = wire::kHeaderSize + n % 60;
    const MutableBytes tail = MutableBytes(packet).subspan(std::min(start, n));
    mark_secret(tail);
    mask_hello_tail(packet, start, secret);
    require_secret(tail, "the tail of a HELLO is public");
  }
}

void check_ids() {
  SipKey key;
  const MutableBytes bytes(reinterpret_cast<std::uint8_t*>(&key), sizeof key);
  fill(bytes);
  mark_secret(bytes);
  const IdPermutation permutation(key);
  for (std::uint64_t number = 0; number < 100; ++number) {
    const std::uint64_t id = permutation(number);
    require_secret({reinterpret_cast<const std::uint8_t*>(&id), sizeof id}, "an id is public");
  }
}

/// The negative control: what must be found.
void leak(std::string_view how) {
  volatile std::uint8_t table[256] = {};
  const ByteVector secret = secret_bytes(16), guess(16);
  if (how == "branch") {
    if ((secret[3] & 1) != 0) table[0] = 1;
  } else if (how == "table") {
    table[0] = table[secret[3]];
  } else if (how == "compare") {
    table[0] = std::equal(secret.begin(), secret.end(), guess.begin()) ? 1 : 0;
  } else {
    require(false, "--leak= wants branch, table or compare");
  }
}

int run(int argc, char** argv) {
  require(RUNNING_ON_VALGRIND != 0,
          "runs under valgrind only; use tests/crypto/constant_time_test");
  constexpr std::string_view kLeak = "--leak=";
  if (argc == 2 && std::string_view(argv[1]).starts_with(kLeak)) {
    leak(std::string_view(argv[1]).substr(kLeak.size()));
    return 0;
  }
  require(argc == 1, "takes no argument but --leak=branch|table|compare");
  check_equal();
  check_salsa_block();
  check_hello();
  check_ids();
  for (const Isa level : {Isa::kRef, Isa::kAvx2}) {
    if (level > best_isa()) break;
    check_salsa_batch(level);
    check_poly1305(level);
    for (const auto suite :
         {wire::Suite::kMacOnly, wire::Suite::kSalsaPoly, wire::Suite::kAesGmacSiv})
      check_armor(level, suite);
    std::printf("checked %s, cipher 3 by %s\n", isa_name(level), siv_kernel(level).name);
  }
  return 0;
}

}  // namespace
}  // namespace orrery::crypto

int main(int argc, char** argv) {
  return orrery::crypto::run(argc, argv);
}

#endif
