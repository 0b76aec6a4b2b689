// Eight messages side by side, one to a 64-bit lane, with IFMA: limbs of 44, 44 and 42 bits.
//
// All lanes end together: a shorter message begins later, and before it begins its lane sees blocks
// of value zero, which leave an accumulator of zero alone. So nothing has to be masked but loads.
// A step is four blocks of every lane: h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, one carry.
#include <immintrin.h>

#include "crypto/poly1305.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX512_FEATURES)
#include "crypto/poly1305_finish.h"

namespace orrery::crypto {
namespace {

using Lanes = std::uint64_t __attribute__((vector_size(64)));

constexpr std::size_t kLanes = 8;
constexpr std::uint64_t kMask44 = (1ULL << 44) - 1;
constexpr std::uint64_t kMask42 = (1ULL << 42) - 1;
constexpr std::uint64_t kTop = 1ULL << 40;  // 2^128 in limb 2

[[gnu::always_inline]] inline __m512i raw(Lanes v) {
  return reinterpret_cast<__m512i>(v);
}

[[gnu::always_inline]] inline Lanes lanes(__m512i v) {
  return reinterpret_cast<Lanes>(v);
}

/// sum + low 52 bits of a * b.
[[gnu::always_inline]] inline Lanes mul_low(Lanes sum, Lanes a, Lanes b) {
  return lanes(_mm512_madd52lo_epu64(raw(sum), raw(a), raw(b)));
}

/// sum + bits 52.. of a * b.
[[gnu::always_inline]] inline Lanes mul_high(Lanes sum, Lanes a, Lanes b) {
  return lanes(_mm512_madd52hi_epu64(raw(sum), raw(a), raw(b)));
}

/// An element in three limbs.
struct Element {
  Lanes v0, v1, v2;
};

/// A power of r with its limbs 1 and 2 times 20 (2^132 = 20 mod p).
struct Power {
  Lanes r0, r1, r2, s1, s2;

  Power() = default;

  explicit Power(const Element& e) : r0(e.v0), r1(e.v1), r2(e.v2), s1(e.v1 * 20), s2(e.v2 * 20) {}
};

/// A sum of products, before its carries: limb i is low[i] + 2^52 high[i].
struct Sum {
  Lanes low0{}, low1{}, low2{}, high0{}, high1{}, high2{};

  [[gnu::always_inline]] void add(const Element& a, const Power& p) {
    low0 = mul_low(low0, a.v0, p.r0);
    low1 = mul_low(low1, a.v0, p.r1);
    low2 = mul_low(low2, a.v0, p.r2);
    high0 = mul_high(high0, a.v0, p.r0);
    high1 = mul_high(high1, a.v0, p.r1);
    high2 = mul_high(high2, a.v0, p.r2);
    low0 = mul_low(low0, a.v1, p.s2);
    low1 = mul_low(low1, a.v1, p.r0);
    low2 = mul_low(low2, a.v1, p.r1);
    high0 = mul_high(high0, a.v1, p.s2);
    high1 = mul_high(high1, a.v1, p.r0);
    high2 = mul_high(high2, a.v1, p.r1);
    low0 = mul_low(low0, a.v2, p.s1);
    low1 = mul_low(low1, a.v2, p.s2);
    low2 = mul_low(low2, a.v2, p.r0);
    high0 = mul_high(high0, a.v2, p.s1);
    high1 = mul_high(high1, a.v2, p.s2);
    high2 = mul_high(high2, a.v2, p.r0);
  }

  /// Limbs below 2^44, 2^44 + 2^18 and 2^42.
  [[gnu::always_inline]] Element carried() const {
    Element e;
    e.v0 = low0 & kMask44;
    const Lanes limb1 = low1 + (low0 >> 44) + (high0 << 8);
    e.v1 = limb1 & kMask44;
    const Lanes limb2 = low2 + (limb1 >> 44) + (high1 << 8);
    e.v2 = limb2 & kMask42;
    const Lanes over = (limb2 >> 42) + (high2 << 10);  // times 2^130 = 5
    e.v0 += over + (over << 2);
    e.v1 += e.v0 >> 44;
    e.v0 &= kMask44;
    return e;
  }
};

[[gnu::always_inline]] inline Element product(const Element& a, const Power& p) {
  Sum sum;
  sum.add(a, p);
  return sum.carried();
}

/// The limbs of a block of each lane, without 2^128.
[[gnu::always_inline]] inline Element limbs(Lanes low, Lanes high) {
  const Lanes middle = lanes(_mm512_shrdi_epi64(raw(low), raw(high), 44));
  return {low & kMask44, middle & kMask44, high >> 24};
}

/// 32 bytes of each of two messages.
[[gnu::always_inline]] inline __m512i two(const std::uint8_t* a, const std::uint8_t* b) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// row[2 * block] and row[2 * block + 1]: the low and high halves of the four blocks at at(lane),
/// of every lane. Half of the way goes by inserting what is loaded, which any vector unit does; on
/// some processors only one of them shuffles.
template <typename At>
[[gnu::always_inline]] inline void load_blocks(Lanes (&row)[8], At at) {
#pragma GCC unroll 2
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned offset = 32 * half;
    const __m512i m02 = two(at(0) + offset, at(2) + offset);  // two blocks of 0, two of 2
    const __m512i m13 = two(at(1) + offset, at(3) + offset);
    const __m512i m46 = two(at(4) + offset, at(6) + offset);
    const __m512i m57 = two(at(5) + offset, at(7) + offset);
    const __m512i low0123 = _mm512_unpacklo_epi64(m02, m13);  // of 0 and 1, both blocks; of 2 and 3
    const __m512i low4567 = _mm512_unpacklo_epi64(m46, m57);
    const __m512i high0123 = _mm512_unpackhi_epi64(m02, m13);
    const __m512i high4567 = _mm512_unpackhi_epi64(m46, m57);
    row[4 * half] = lanes(_mm512_shuffle_i64x2(low0123, low4567, 0x88));
    row[4 * half + 1] = lanes(_mm512_shuffle_i64x2(high0123, high4567, 0x88));
    row[4 * half + 2] = lanes(_mm512_shuffle_i64x2(low0123, low4567, 0xdd));
    row[4 * half + 3] = lanes(_mm512_shuffle_i64x2(high0123, high4567, 0xdd));
  }
}

/// Four blocks of every lane, at at(lane); `top[block]` is 2^128 for every lane whose block is
/// whole.
template <typename At>
[[gnu::always_inline]] inline void step(Element& h, At at, const Lanes (&top)[4],
                                        const Power (&powers)[4]) {
  Lanes row[8];
  load_blocks(row, at);
  Sum sum;
  for (unsigned block = 3; block > 0; --block) {
    Element m = limbs(row[2 * block], row[2 * block + 1]);
    m.v2 |= top[block];
    sum.add(m, powers[3 - block]);
  }
  Element m = limbs(row[0], row[1]);
  m.v0 += h.v0;
  m.v1 += h.v1;
  m.v2 = (m.v2 | top[0]) + h.v2;
  sum.add(m, powers[3]);
  h = sum.carried();
}

std::size_t blocks_of(const PolyJob& message) {
  return (message.length + 15) / 16;
}

/// What a row of 64 bytes holds of a message when `to_end` blocks are left to its end.
struct Part {
  Part(const PolyJob& message, std::size_t to_end) {
    // The row may begin before the message, and the message may end in it.
    begin = static_cast<std::ptrdiff_t>(16 * blocks_of(message)) -
            static_cast<std::ptrdiff_t>(16 * to_end);
    const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(message.length) - begin;
    const auto skip = static_cast<unsigned>(begin >= 0 ? 0 : begin > -64 ? -begin : 64);
    const auto end = static_cast<unsigned>(left < 64 ? left : 64);
    mask = _bzhi_u64(~0ULL, end) & ~_bzhi_u64(~0ULL, skip);
    padding = std::uint64_t{end % 16 != 0} << (end & 63);
    whole = _pdep_u32(_bzhi_u32(15, end / 16) & ~_bzhi_u32(15, skip / 16), 0x01010101);
  }

  /// The address may lie before the message; masked bytes are not touched.
  void copy(const PolyJob& message, std::uint8_t* to) const {
    const auto at =
        reinterpret_cast<std::uintptr_t>(message.data) + static_cast<std::uintptr_t>(begin);
    const __m512i v = _mm512_maskz_loadu_epi8(mask, reinterpret_cast<const void*>(at));
    _mm512_store_si512(to, _mm512_mask_set1_epi8(v, padding, 1));
  }

  std::ptrdiff_t begin;  // bytes, in the message
  __mmask64 mask;        // bytes of the message
  __mmask64 padding;     // the byte behind the message, which is 1, if it is inside a block
  std::uint32_t whole;   // byte `block` is 1: that block is whole
};

/// A step in which some messages have not begun or the last blocks are not whole: `to_end` blocks
/// before the end of every message.
[[gnu::always_inline]] inline void partial_step(Element& h, const PolyJob* const (&message)[kLanes],
                                                bool alike, std::size_t to_end,
                                                const Power (&powers)[4]) {
  alignas(64) std::uint8_t row[kLanes][64];
  std::uint32_t whole = 0;  // byte `block`, bit `lane`
  if (alike) {
    const Part part(*message[0], to_end);
    for (std::size_t lane = 0; lane < kLanes; ++lane) part.copy(*message[lane], row[lane]);
    whole = part.whole * 0xff;
  } else {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const Part part(*message[lane], to_end);
      part.copy(*message[lane], row[lane]);
      whole |= part.whole << lane;
    }
  }
  Lanes top[4];
  for (unsigned block = 0; block < 4; ++block) {
    top[block] = lanes(_mm512_maskz_set1_epi64(static_cast<__mmask8>(whole >> (8 * block)),
                                               static_cast<long long>(kTop)));
  }
  step(h, [&](std::size_t lane) { return row[lane]; }, top, powers);
}

/// 16 bytes of every lane: their low and high halves.
struct Halves {
  Lanes low, high;
};

/// The 16 bytes at `offset` of every message's key.
Halves key_half(const PolyJob* const (&message)[kLanes], std::size_t offset) {
  const auto block = [&](std::size_t lane) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(message[lane]->key + offset));
  };
  // lanes 0, 2, 4, 6 and 1, 3, 5, 7
  __m512i even = _mm512_castsi128_si512(block(0));
  even = _mm512_inserti32x4(even, block(2), 1);
  even = _mm512_inserti32x4(even, block(4), 2);
  even = _mm512_inserti32x4(even, block(6), 3);
  __m512i odd = _mm512_castsi128_si512(block(1));
  odd = _mm512_inserti32x4(odd, block(3), 1);
  odd = _mm512_inserti32x4(odd, block(5), 2);
  odd = _mm512_inserti32x4(odd, block(7), 3);
  return {lanes(_mm512_unpacklo_epi64(even, odd)), lanes(_mm512_unpackhi_epi64(even, odd))};
}

}  // namespace

void poly1305_avx512(PolyJob* const* jobs, std::size_t n) noexcept {
  const PolyJob* message[kLanes];  // lanes that are left over work on the last message, too
  std::size_t most = 0, fewest = ~std::size_t{0};
  bool alike = true;  // all of one length
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    message[lane] = jobs[lane < n ? lane : n - 1];
    const std::size_t blocks = blocks_of(*message[lane]);
    alike = alike && message[lane]->length == message[0]->length;
    most = blocks > most ? blocks : most;
    fewest = blocks < fewest ? blocks : fewest;
  }
  const Halves key = key_half(message, 0);
  const Element r = limbs(key.low & 0x0ffffffc0fffffffULL, key.high & 0x0ffffffc0ffffffcULL);
  Power powers[4];  // r^1 .. r^4
  powers[0] = Power(r);
  const Element r2 = product(r, powers[0]);
  powers[1] = Power(r2);
  powers[2] = Power(product(r2, powers[0]));
  powers[3] = Power(product(r2, powers[1]));

  Element h = {Lanes{}, Lanes{}, Lanes{}};
  // Blocks before the end of every message, four at a time.
  std::size_t to_end = (most + 3) / 4 * 4;
  while (to_end > fewest / 4 * 4 && to_end > 4) {
    partial_step(h, message, alike, to_end, powers);
    to_end -= 4;
  }
  const std::uint8_t* end[kLanes];  // of the last block, whole or not
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    end[lane] = message[lane]->data + 16 * blocks_of(*message[lane]);
  const Lanes whole = Lanes{} + kTop;
  const Lanes all[4] = {whole, whole, whole, whole};
  for (; to_end > 4; to_end -= 4) {
    step(h, [&](std::size_t lane) { return end[lane] - 16 * to_end; }, all, powers);
  }
  if (to_end != 0) partial_step(h, message, alike, to_end, powers);
  const Halves s = key_half(message, 16);
  const auto mac = poly1305_finish(h.v0, h.v1, h.v2, s.low, s.high);
  for (std::size_t lane = 0; lane < n; ++lane) {
    const std::uint64_t out[2] = {mac.low[lane], mac.high[lane]};
    std::memcpy(jobs[lane]->mac.data(), out, 16);
  }
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
