// The algorithm of AES-GMAC-SIV over L::kBlocks AES blocks side by side. Included inside a stretch
// of target.h by one file for each instruction set, which brings the lane type L:
//
//   V, kBlocks                          vector of kBlocks blocks of 16 bytes
//   load, load_first, store, store_first  whole, or the first n bytes alone (the rest reads as 0)
//   broadcast, widen, fold              a block to all lanes; to lane 0, others 0; XOR of all lanes
//   bytes, swap, add32, clmul<imm>      shuffle of bytes and swap of 64-bit halves in each block,
//                                       sum of 32-bit words, carry-less product of halves
//   enc, enclast                        AES rounds
//
// GHASH works on byte-reversed blocks with operands times x, so that a product needs no shift; the
// reduction folds the low 64 bits twice by x^63 + x^62 + x^57 (0xC2...). Source: Gueron, Kounavis,
// "Intel Carry-Less Multiplication Instruction and its Usage for Computing the GCM Mode".
#pragma once

namespace orrery::crypto {

template <typename L>
struct SivLanes {
  using V = typename L::V;
  static constexpr std::size_t kWidth = 16 * L::kBlocks;  // bytes
  static constexpr std::size_t kStep = 16;                // blocks of GHASH between reductions
  static constexpr unsigned kFlight = 8;                  // vectors or blocks of AES in flight

  static __m128i load_block(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }

  static void store_block(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

  static __m128i reversal() {
    return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }

  static V reversed(V v) { return L::bytes(v, L::broadcast(reversal())); }

  static __m128i reversed_block(__m128i v) { return _mm_shuffle_epi8(v, reversal()); }

  /// Sum of 256-bit products, lane by lane: lo + mi * x^64 + hi * x^128.
  struct Sum {
    V lo, mi, hi;

    Sum(V x, V h)
        : lo(L::template clmul<0x00>(x, h)),
          mi(L::sum(L::template clmul<0x01>(x, h), L::template clmul<0x10>(x, h))),
          hi(L::template clmul<0x11>(x, h)) {}

    void add(V x, V h) {
      lo = L::sum(lo, L::template clmul<0x00>(x, h));
      mi = L::sum(mi, L::template clmul<0x01>(x, h), L::template clmul<0x10>(x, h));
      hi = L::sum(hi, L::template clmul<0x11>(x, h));
    }

    /// The field element: every lane reduced, all lanes added.
    __m128i reduced() const {
      const V poly = L::broadcast(_mm_set1_epi64x(static_cast<long long>(0xC200000000000000ULL)));
      const V m = L::sum(mi, L::swap(lo), L::template clmul<0x00>(lo, poly));
      return L::fold(L::sum(hi, L::swap(m), L::template clmul<0x00>(m, poly)));
    }
  };

  /// GHASH over header (padded to a block), payload (padded) and lengths; byte-reversed.
  static __m128i ghash(const SivJob& job) {
    const GmacKeys& keys = job.keys->own;
    const std::uint8_t* p = job.packet + wire::kVerbOffset;
    std::size_t n = job.length - wire::kVerbOffset;
    const auto power = [&](std::size_t k) { return L::load(keys.power(k)); };
    const auto one_power = [&](std::size_t k) { return L::widen(load_block(keys.power(k))); };

    // [5] destination, [5] source, [1] flags without hops
    const __m128i mask = _mm_set_epi8(0, 0, 0, 0, 0, static_cast<char>(~wire::kHopsMask), -1, -1,
                                      -1, -1, -1, -1, -1, -1, -1, -1);
    __m128i x =
        reversed_block(_mm_and_si128(load_block(job.packet + wire::kDestinationOffset), mask));
    std::size_t behind = 1;  // the header is a block of its own, the running sum joins the next
    const __m128i lengths = _mm_set_epi64x(static_cast<long long>((kBlock + n) * 8), 0);
    while (n > 16 * kStep) {
      Sum sum(L::widen(x), one_power(kStep + behind));
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kStep; k += L::kBlocks)
        sum.add(reversed(L::load(p + 16 * k)), power(kStep - k));
      x = sum.reduced();
      behind = 0;
      p += 16 * kStep;
      n -= 16 * kStep;
    }
    std::size_t k = (n + 15) / 16 + 1;  // power of the next block; the lengths have the first
    Sum sum(L::widen(x), one_power(k + behind));
    sum.add(L::widen(lengths), one_power(1));
    for (; n >= kWidth; n -= kWidth, p += kWidth, k -= L::kBlocks)
      sum.add(reversed(L::load(p)), power(k));
    if (n != 0) sum.add(reversed(L::load_first(p, n)), power(k));
    return sum.reduced();
  }

  /// N vectors of CTR, the last one perhaps partial: `n` bytes in all.
  template <unsigned N>
  static void ctr_vectors(const V (&rounds)[15], V& counter, std::uint8_t* p, std::size_t n) {
    const V step = L::broadcast(_mm_set_epi32(0, 0, 0, static_cast<int>(L::kBlocks)));
    V x[N];
#pragma GCC unroll 8
    for (unsigned i = 0; i < N; ++i) {
      x[i] = L::sum(reversed(counter), rounds[0]);
      counter = L::add32(counter, step);
    }
#pragma GCC unroll 16
    for (unsigned r = 1; r < 14; ++r) {
#pragma GCC unroll 8
      for (unsigned i = 0; i < N; ++i) x[i] = L::enc(x[i], rounds[r]);
    }
#pragma GCC unroll 8
    for (unsigned i = 0; i < N; ++i) {
      x[i] = L::enclast(x[i], rounds[14]);
      std::uint8_t* at = p + i * kWidth;
      const std::size_t rest = n - i * kWidth;
      if (i + 1 < N || rest == kWidth) {
        L::store(at, L::sum(x[i], L::load(at)));
      } else {
        L::store_first(at, L::sum(x[i], L::load_first(at, rest)), rest);
      }
    }
  }

  static void ctr(const SivJob& job, __m128i first) {
    std::uint8_t* p = job.packet + wire::kVerbOffset;
    std::size_t n = job.length - wire::kVerbOffset;
    V rounds[15];
#pragma GCC unroll 15
    for (unsigned r = 0; r < 15; ++r)
      rounds[r] = L::broadcast(load_block(job.keys->encrypt + 4 * r));
    // The low 32 bits count (bit 31 is clear at first, so they never overflow).
    V counter = L::add32(L::broadcast(reversed_block(first)), L::ordinals());
    for (; n > kFlight * kWidth; n -= kFlight * kWidth, p += kFlight * kWidth)
      ctr_vectors<kFlight>(rounds, counter, p, kFlight * kWidth);
    switch ((n + kWidth - 1) / kWidth) {
      case 1:
        return ctr_vectors<1>(rounds, counter, p, n);
      case 2:
        return ctr_vectors<2>(rounds, counter, p, n);
      case 3:
        return ctr_vectors<3>(rounds, counter, p, n);
      case 4:
        return ctr_vectors<4>(rounds, counter, p, n);
      case 5:
        return ctr_vectors<5>(rounds, counter, p, n);
      case 6:
        return ctr_vectors<6>(rounds, counter, p, n);
      case 7:
        return ctr_vectors<7>(rounds, counter, p, n);
      case 8:
        return ctr_vectors<8>(rounds, counter, p, n);
      default:
        return;
    }
  }

  /// The encrypted id/MAC block as first counter: bit 7 of byte 12 clear.
  static __m128i counter_of(__m128i block) {
    return _mm_and_si128(
        block, _mm_set_epi8(-1, -1, -1, 0x7f, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  }

  /// One block of each of kFlight peers' keys, side by side.
  static void encrypt_blocks(const std::uint32_t* const (&rounds)[kFlight], __m128i (&x)[kFlight]) {
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j) x[j] = _mm_xor_si128(x[j], load_block(rounds[j]));
#pragma GCC unroll 2
    for (unsigned r = 1; r < 14; ++r) {
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j)
        x[j] = _mm_aesenc_si128(x[j], load_block(rounds[j] + 4 * r));
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j)
      x[j] = _mm_aesenclast_si128(x[j], load_block(rounds[j] + 4 * 14));
  }

  static void decrypt_blocks(const std::uint32_t* const (&rounds)[kFlight], __m128i (&x)[kFlight]) {
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j) x[j] = _mm_xor_si128(x[j], load_block(rounds[j]));
#pragma GCC unroll 2
    for (unsigned r = 1; r < 14; ++r) {
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j)
        x[j] = _mm_aesdec_si128(x[j], load_block(rounds[j] + 4 * r));
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j)
      x[j] = _mm_aesdeclast_si128(x[j], load_block(rounds[j] + 4 * 14));
  }

  /// GMAC tags folded to 64 bits, from GHASH and ids (the low halves of `ids`): [8] fold, [8] 0.
  static void folded_tags(const std::uint32_t* const (&k0)[kFlight], const __m128i (&ids)[kFlight],
                          const __m128i* hashes, __m128i (&fold)[kFlight]) {
    const __m128i one = _mm_set_epi32(0x01000000, 0, 0, 0);  // [8] id, [4] 0, [4] 1
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j) fold[j] = _mm_or_si128(_mm_move_epi64(ids[j]), one);
    encrypt_blocks(k0, fold);
#pragma GCC unroll 8
    for (unsigned j = 0; j < kFlight; ++j) {
      const __m128i tag = _mm_xor_si128(fold[j], reversed_block(hashes[j]));
      fold[j] = _mm_move_epi64(_mm_xor_si128(tag, _mm_shuffle_epi32(tag, 0x4e)));
    }
  }

  /// kFlight jobs from `at` on; beyond the end, the last one again.
  static const SivJob& job_at(std::span<SivJob> jobs, std::size_t at) {
    return jobs[at < jobs.size() ? at : jobs.size() - 1];
  }

  static constexpr std::size_t kRoom = (Armorer::kBatchMax + kFlight - 1) / kFlight * kFlight;

  static void seal(IMB_MGR* /*manager*/, std::span<SivJob> jobs) noexcept {
    __m128i hashes[kRoom];
    __m128i blocks[kRoom];
    for (std::size_t i = 0; i < jobs.size(); ++i) hashes[i] = ghash(jobs[i]);
    for (std::size_t i = 0; i < jobs.size(); i += kFlight) {
      const std::uint32_t* k0[kFlight];
      const std::uint32_t* k1[kFlight];
      __m128i ids[kFlight];
      __m128i fold[kFlight];
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j) {
        const SivJob& job = job_at(jobs, i + j);
        k0[j] = job.keys->own.rounds;
        k1[j] = job.keys->encrypt;
        ids[j] = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(job.packet));
        if (i + j >= jobs.size()) hashes[i + j] = _mm_setzero_si128();
      }
      folded_tags(k0, ids, hashes + i, fold);
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j) fold[j] = _mm_unpacklo_epi64(ids[j], fold[j]);
      encrypt_blocks(k1, fold);
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j) blocks[i + j] = fold[j];
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(jobs[i].packet), blocks[i]);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(jobs[i].packet + wire::kMacOffset),
                       _mm_unpackhi_epi64(blocks[i], blocks[i]));
      ctr(jobs[i], counter_of(blocks[i]));
    }
  }

  static void open(IMB_MGR* /*manager*/, std::span<SivJob> jobs) noexcept {
    __m128i hashes[kRoom];
    __m128i blocks[kRoom];
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto half = [&](std::size_t at) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(jobs[i].packet + at));
      };
      blocks[i] = _mm_unpacklo_epi64(half(0), half(wire::kMacOffset));
      ctr(jobs[i], counter_of(blocks[i]));
      hashes[i] = ghash(jobs[i]);
    }
    for (std::size_t i = 0; i < jobs.size(); i += kFlight) {
      const std::uint32_t* k0[kFlight];
      const std::uint32_t* k1[kFlight];
      __m128i plain[kFlight];
      __m128i fold[kFlight];
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j) {
        const SivJob& job = job_at(jobs, i + j);
        k0[j] = job.keys->own.rounds;
        k1[j] = job.keys->decrypt;
        if (i + j >= jobs.size()) hashes[i + j] = blocks[i + j] = _mm_setzero_si128();
        plain[j] = blocks[i + j];
      }
      decrypt_blocks(k1, plain);
      folded_tags(k0, plain, hashes + i, fold);
#pragma GCC unroll 8
      for (unsigned j = 0; j < kFlight; ++j) {
        if (i + j >= jobs.size()) break;
        // [8] fold XOR the MAC's half: all zero when authentic
        const __m128i difference =
            _mm_move_epi64(_mm_xor_si128(fold[j], _mm_unpackhi_epi64(plain[j], plain[j])));
        jobs[i + j].ok = _mm_testz_si128(difference, difference) != 0;
      }
    }
    for (const SivJob& job : jobs) {
      if (!job.ok) [[unlikely]]
        burn({job.packet + wire::kVerbOffset, job.length - wire::kVerbOffset});
    }
  }

  /// a * b of byte-reversed elements, b times x.
  static __m128i times(__m128i a, __m128i b) { return Sum(L::widen(a), L::widen(b)).reduced(); }

  static void expand(IMB_MGR* manager, const std::uint8_t k0[32], const std::uint8_t k1[32],
                     AesKeys& keys) {
    alignas(16) std::uint32_t unused[15 * 4];
    GmacKeys& own = keys.own;
    IMB_AES_KEYEXP_256(manager, k1, keys.encrypt, keys.decrypt);
    IMB_AES_KEYEXP_256(manager, k0, own.rounds, unused);
    burn({reinterpret_cast<std::uint8_t*>(unused), sizeof unused});
    std::memset(own.powers, 0, sizeof own.powers);

    // H = AES(K0, 0), times x
    __m128i h = load_block(own.rounds);
    for (unsigned r = 1; r < 14; ++r) h = _mm_aesenc_si128(h, load_block(own.rounds + 4 * r));
    h = reversed_block(_mm_aesenclast_si128(h, load_block(own.rounds + 4 * 14)));
    const __m128i top = _mm_srai_epi32(_mm_shuffle_epi32(h, 0xff), 31);  // all ones if x^127 is set
    const __m128i carry = _mm_slli_si128(_mm_srli_epi64(h, 63), 8);
    const __m128i poly = _mm_set_epi64x(static_cast<long long>(0xC200000000000000ULL), 1);
    h = _mm_xor_si128(_mm_or_si128(_mm_slli_epi64(h, 1), carry), _mm_and_si128(top, poly));
    __m128i power = h;
    for (std::size_t n = 1;; ++n) {
      store_block(own.powers[GmacKeys::kPowers - n], power);
      if (n == GmacKeys::kPowers) break;
      power = times(power, h);
    }
  }

 private:
  static constexpr std::size_t kBlock = 16;
};

}  // namespace orrery::crypto
