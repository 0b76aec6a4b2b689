// Four messages side by side, one to a 64-bit lane: five limbs of 26 bits, as vpmuludq multiplies
// 32 bits.
//
// All lanes end together, as in poly1305_avx512.cc: a shorter message begins later, after blocks of
// value zero. A step is four blocks of every lane: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r.
#include <immintrin.h>

#include "crypto/poly1305.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX2_FEATURES)
#include "crypto/poly1305_finish.h"

namespace orrery::crypto {
namespace {

using Lanes = std::uint64_t __attribute__((vector_size(32)));

constexpr std::size_t kLanes = 4;
constexpr std::uint64_t kMask26 = (1ULL << 26) - 1;
constexpr std::uint64_t kTop = 1ULL << 24;  // 2^128 in limb 4

__m256i raw(Lanes v) {
  return reinterpret_cast<__m256i>(v);
}

Lanes lanes(__m256i v) {
  return reinterpret_cast<Lanes>(v);
}

/// Product of the low 32 bits.
Lanes mul(Lanes a, Lanes b) {
  return lanes(_mm256_mul_epu32(raw(a), raw(b)));
}

/// An element in five limbs.
struct Element {
  Lanes v[5];
};

/// A power of r, and its limbs 1 to 4 times 5 (2^130 = 5 mod p).
struct Power {
  Lanes r[5], s[5];

  Power() = default;

  explicit Power(const Element& e) {
    for (unsigned i = 0; i < 5; ++i) {
      r[i] = e.v[i];
      s[i] = e.v[i] + (e.v[i] << 2);
    }
  }
};

/// A sum of products, before its carries.
struct Sum {
  Lanes d[5] = {};

  void add(const Element& a, const Power& p) {
#pragma GCC unroll 5
    for (unsigned i = 0; i < 5; ++i) {
#pragma GCC unroll 5
      for (unsigned j = 0; j < 5; ++j) {
        const unsigned k = (i + j) % 5;
        d[k] += mul(a.v[i], i + j < 5 ? p.r[j] : p.s[j]);
      }
    }
  }

  /// Limbs below 2^26, but for limb 1: below 2^26 + 2^12.
  Element carried() const {
    Element e;
    Lanes carry{};
#pragma GCC unroll 5
    for (unsigned i = 0; i < 5; ++i) {
      const Lanes limb = d[i] + carry;
      e.v[i] = limb & kMask26;
      carry = limb >> 26;
    }
    e.v[0] += carry + (carry << 2);
    e.v[1] += e.v[0] >> 26;
    e.v[0] &= kMask26;
    return e;
  }
};

Element product(const Element& a, const Power& p) {
  Sum sum;
  sum.add(a, p);
  return sum.carried();
}

/// The limbs of a block of each lane, without 2^128.
Element limbs(Lanes low, Lanes high) {
  return {{low & kMask26, (low >> 26) & kMask26, ((low >> 52) | (high << 12)) & kMask26,
           (high >> 14) & kMask26, high >> 40}};
}

/// row[lane] (32 bytes of a message: two blocks) becomes the low half of the first block of every
/// lane, its high half, and the same of the second.
void transpose(Lanes (&row)[4]) {
  const __m256i low01 = _mm256_unpacklo_epi64(raw(row[0]), raw(row[1]));
  const __m256i high01 = _mm256_unpackhi_epi64(raw(row[0]), raw(row[1]));
  const __m256i low23 = _mm256_unpacklo_epi64(raw(row[2]), raw(row[3]));
  const __m256i high23 = _mm256_unpackhi_epi64(raw(row[2]), raw(row[3]));
  row[0] = lanes(_mm256_permute2x128_si256(low01, low23, 0x20));
  row[1] = lanes(_mm256_permute2x128_si256(high01, high23, 0x20));
  row[2] = lanes(_mm256_permute2x128_si256(low01, low23, 0x31));
  row[3] = lanes(_mm256_permute2x128_si256(high01, high23, 0x31));
}

/// One step over 64 bytes of each lane; `top[block]` is 2^128 for every lane whose block is whole.
void step(Element& h, const std::uint8_t* const (&data)[kLanes], const Lanes (&top)[4],
          const Power (&powers)[4]) {
  Sum sum;
#pragma GCC unroll 2
  for (unsigned half = 0; half < 2; ++half) {
    Lanes row[4];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      row[lane] =
          lanes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(data[lane] + 32 * half)));
    }
    transpose(row);
    for (unsigned block = 0; block < 2; ++block) {
      Element m = limbs(row[2 * block], row[2 * block + 1]);
      m.v[4] |= top[2 * half + block];
      if (half == 0 && block == 0) {
        for (unsigned i = 0; i < 5; ++i) m.v[i] += h.v[i];
      }
      sum.add(m, powers[3 - 2 * half - block]);
    }
  }
  h = sum.carried();
}

/// Word `at` (64 bits) of every message's key.
Lanes words(const PolyJob* const (&message)[kLanes], std::size_t at) {
  std::uint64_t word[kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    std::memcpy(&word[lane], message[lane]->key + 8 * at, 8);
  Lanes v;
  std::memcpy(&v, word, sizeof v);
  return v;
}

}  // namespace

void poly1305_avx2(PolyJob* const* jobs, std::size_t n) noexcept {
  const PolyJob* message[kLanes];  // lanes that are left over work on the last message, too
  std::size_t blocks[kLanes];
  std::size_t most = 0, fewest = ~std::size_t{0};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    message[lane] = jobs[lane < n ? lane : n - 1];
    blocks[lane] = (message[lane]->length + 15) / 16;
    most = blocks[lane] > most ? blocks[lane] : most;
    fewest = blocks[lane] < fewest ? blocks[lane] : fewest;
  }
  const Element r =
      limbs(words(message, 0) & 0x0ffffffc0fffffffULL, words(message, 1) & 0x0ffffffc0ffffffcULL);
  Power powers[4];  // r^1 .. r^4
  powers[0] = Power(r);
  const Element r2 = product(r, powers[0]);
  powers[1] = Power(r2);
  powers[2] = Power(product(r2, powers[0]));
  powers[3] = Power(product(r2, powers[1]));

  Element h = {};
  const std::size_t steps = (most + 3) / 4;
  const std::size_t all_whole = steps - fewest / 4;  // from this step on no lane waits
  for (std::size_t s = 0; s < steps; ++s) {
    const std::uint8_t* data[kLanes];
    Lanes top[4];
    const std::size_t to_end = 4 * (steps - s);  // blocks from here to the end of every message
    if (s >= all_whole && s + 1 < steps) {
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        data[lane] = message[lane]->data + 16 * (blocks[lane] - to_end);
      for (Lanes& t : top) t = Lanes{} + kTop;
      step(h, data, top, powers);
      continue;
    }
    std::uint8_t padded[kLanes][64] = {};
    for (Lanes& t : top) t = Lanes{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      data[lane] = padded[lane];
      if (blocks[lane] + 4 <= to_end) continue;
      const std::size_t wait = to_end > blocks[lane] ? to_end - blocks[lane] : 0;  // blocks
      const std::size_t begin = 16 * (blocks[lane] + wait - to_end);               // in the message
      const std::size_t left = message[lane]->length - begin;
      const std::size_t room = 64 - 16 * wait;
      const std::size_t size = left < room ? left : room;
      std::uint8_t* at = padded[lane] + 16 * wait;
      std::memcpy(at, message[lane]->data + begin, size);
      if (size % 16 != 0) at[size] = 1;
      for (std::size_t block = wait; 16 * (block + 1) <= 16 * wait + size; ++block)
        top[block][lane] = kTop;
    }
    step(h, data, top, powers);
  }
  // five limbs of 26 bits as three of 44, 44 and 42
  const auto mac =
      poly1305_finish(h.v[0] + ((h.v[1] & 0x3ffff) << 26),
                      (h.v[1] >> 18) + (h.v[2] << 8) + ((h.v[3] & 0x3ff) << 34),
                      (h.v[3] >> 10) + (h.v[4] << 16), words(message, 2), words(message, 3));
  for (std::size_t lane = 0; lane < n; ++lane) {
    const std::uint64_t out[2] = {mac.low[lane], mac.high[lane]};
    std::memcpy(jobs[lane]->mac.data(), out, 16);
  }
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
