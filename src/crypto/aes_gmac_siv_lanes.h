// The algorithm of AES-GMAC-SIV over L::kBlocks AES blocks side by side. Included inside a stretch
// of target.h by one file for each instruction set, which brings the lane type L:
//
//   V, kBlocks                          vector of kBlocks blocks of 16 bytes
//   kFlight                             vectors whose AES rounds, interleaved, hide their latency
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
  static constexpr std::size_t kFlight = L::kFlight;      // vectors of CTR that hide the latency
  static constexpr std::size_t kFlightBytes = kFlight * kWidth;
  static constexpr std::size_t kPeers = 8;  // single blocks in flight, each under its own key

  static __m128i load_block(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }

  static void store_block(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

  static __m128i reversal() {
    return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }

  static V reversed(V v) { return L::bytes(v, L::broadcast(reversal())); }

  static __m128i reversed_block(__m128i v) { return _mm_shuffle_epi8(v, reversal()); }

  /// The sum of the two halves of each block, in both.
  static V halves(V v) { return L::sum(v, L::swap(v)); }

  /// Powers of H for as many blocks as there are lanes.
  struct Power {
    V power, halves;
  };

  /// Sum of 256-bit products, lane by lane, by Karatsuba: lo + (mi - lo - hi) * x^64 + hi * x^128.
  struct Sum {
    V lo, mi, hi;

    Sum() = default;

    Sum(V x, const Power& h)
        : lo(L::template clmul<0x00>(x, h.power)),
          mi(L::template clmul<0x00>(halves(x), h.halves)),
          hi(L::template clmul<0x11>(x, h.power)) {}

    void add(V x, const Power& h) {
      lo = L::sum(lo, L::template clmul<0x00>(x, h.power));
      mi = L::sum(mi, L::template clmul<0x00>(halves(x), h.halves));
      hi = L::sum(hi, L::template clmul<0x11>(x, h.power));
    }

    /// The field element: every lane reduced, all lanes added.
    __m128i reduced() const {
      const V poly = L::broadcast(_mm_set1_epi64x(static_cast<long long>(0xC200000000000000ULL)));
      const V middle = L::sum(mi, lo, hi);
      const V m = L::sum(middle, L::swap(lo), L::template clmul<0x00>(lo, poly));
      return L::fold(L::sum(hi, L::swap(m), L::template clmul<0x00>(m, poly)));
    }
  };

  /// GHASH over header (padded to a block), payload (padded) and lengths of a packet. A flight of
  /// the payload may be taken vector by vector, between the rounds of somebody else's AES: the two
  /// use different units of the processor.
  class Ghash {
   public:
    [[gnu::always_inline]] explicit Ghash(const SivJob& job)
        : keys_(&job.keys->own),
          p_(job.packet + wire::kVerbOffset),
          n_(job.length - wire::kVerbOffset),
          lengths_(_mm_set_epi64x(static_cast<long long>((16 + n_) * 8), 0)) {
      // [5] destination, [5] source, [1] flags without hops
      const __m128i mask = _mm_set_epi8(0, 0, 0, 0, 0, static_cast<char>(~wire::kHopsMask), -1, -1,
                                        -1, -1, -1, -1, -1, -1, -1, -1);
      x_ = reversed_block(_mm_and_si128(load_block(job.packet + wire::kDestinationOffset), mask));
    }

    [[nodiscard]] bool has_flight() const { return n_ >= kFlightBytes; }

    /// Vector `v` of a flight, 0 .. kFlight - 1 in order.
    [[gnu::always_inline]] void vector(std::size_t v) {
      constexpr std::size_t kBlocks = kFlight * L::kBlocks;
      if (v == 0) sum_ = Sum(L::widen(x_), one_power(kBlocks + behind_));
      sum_.add(reversed(L::load(p_ + v * kWidth)), power(kBlocks - v * L::kBlocks));
      if (v + 1 < kFlight) return;
      x_ = sum_.reduced();
      behind_ = 0;
      p_ += kFlightBytes;
      n_ -= kFlightBytes;
    }

    /// The rest; the hash, byte-reversed.
    [[gnu::always_inline]] __m128i finish() {
      while (has_flight()) {
#pragma GCC unroll 8
        for (std::size_t v = 0; v < kFlight; ++v) vector(v);
      }
      std::size_t k = (n_ + 15) / 16 + 1;  // power of the next block; the lengths have the first
      Sum sum(L::widen(x_), one_power(k + behind_));
      sum.add(L::widen(lengths_), one_power(1));
      for (; n_ >= kWidth; n_ -= kWidth, p_ += kWidth, k -= L::kBlocks)
        sum.add(reversed(L::load(p_)), power(k));
      if (n_ != 0) sum.add(reversed(L::load_first(p_, n_)), power(k));
      return sum.reduced();
    }

   private:
    [[nodiscard]] Power power(std::size_t k) const {
      return {L::load(keys_->power(k)), L::load(keys_->halves(k))};
    }

    [[nodiscard]] Power one_power(std::size_t k) const {
      return {L::widen(load_block(keys_->power(k))), L::widen(load_block(keys_->halves(k)))};
    }

    const GmacKeys* keys_;
    const std::uint8_t* p_;
    std::size_t n_;
    __m128i lengths_;
    __m128i x_;               // the running sum, in front of the next block
    std::size_t behind_ = 1;  // the header is a block of its own, a running sum joins the next one
    Sum sum_;
  };

  /// N vectors of CTR, the last one perhaps partial: `n` bytes in all. `beside(i)` is called for
  /// i = 0 .. 12 between the rounds.
  template <std::size_t N, typename Beside>
  [[gnu::always_inline]] static void ctr_vectors(const V (&rounds)[15], V& counter, std::uint8_t* p,
                                                 std::size_t n, Beside beside) {
    const V step = L::broadcast(_mm_set_epi32(0, 0, 0, static_cast<int>(L::kBlocks)));
    V x[N];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < N; ++i) {
      x[i] = L::sum(reversed(counter), rounds[0]);
      counter = L::add32(counter, step);
    }
#pragma GCC unroll 16
    for (std::size_t r = 1; r < 14; ++r) {
#pragma GCC unroll 8
      for (std::size_t i = 0; i < N; ++i) x[i] = L::enc(x[i], rounds[r]);
      beside(r - 1);
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < N; ++i) {
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

  /// The last vectors, 1 to kFlight of them.
  template <std::size_t N = 1>
  static void ctr_rest(const V (&rounds)[15], V& counter, std::uint8_t* p, std::size_t n) {
    if (N == kFlight || n <= N * kWidth) {
      ctr_vectors<N>(rounds, counter, p, n, [](std::size_t) {});
    } else if constexpr (N < kFlight) {
      ctr_rest<N + 1>(rounds, counter, p, n);
    }
  }

  /// CTR over the payload of a packet, and beside it the GHASH of another one, as far as it goes.
  /// Inlined, so that the state of that stays in registers.
  [[gnu::always_inline]] static void ctr(const SivJob& job, __m128i first, Ghash* other) {
    std::uint8_t* p = job.packet + wire::kVerbOffset;
    std::size_t n = job.length - wire::kVerbOffset;
    V rounds[15];
#pragma GCC unroll 15
    for (std::size_t r = 0; r < 15; ++r)
      rounds[r] = L::broadcast(load_block(job.keys->encrypt + 4 * r));
    // The low 32 bits count (bit 31 is clear at first, so they never overflow).
    V counter = L::add32(L::broadcast(reversed_block(first)), L::ordinals());
    if (other != nullptr) {
      for (; n >= kFlightBytes && other->has_flight(); n -= kFlightBytes, p += kFlightBytes) {
        ctr_vectors<kFlight>(rounds, counter, p, kFlightBytes, [&](std::size_t i) {
          if (i < kFlight) other->vector(i);
        });
      }
    }
    for (; n >= kFlightBytes; n -= kFlightBytes, p += kFlightBytes)
      ctr_vectors<kFlight>(rounds, counter, p, kFlightBytes, [](std::size_t) {});
    if (n != 0) ctr_rest(rounds, counter, p, n);
  }

  /// The encrypted id/MAC block as first counter: bit 7 of byte 12 clear.
  static __m128i counter_of(__m128i block) {
    return _mm_and_si128(
        block, _mm_set_epi8(-1, -1, -1, 0x7f, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  }

  enum class Direction { kEncrypt, kDecrypt };

  /// One block under each of kPeers keys, side by side.
  template <Direction kDirection>
  static void crypt_blocks(const std::uint32_t* const (&rounds)[kPeers], __m128i (&x)[kPeers]) {
    constexpr bool kEncrypt = kDirection == Direction::kEncrypt;
#pragma GCC unroll 8
    for (unsigned j = 0; j < kPeers; ++j) x[j] = _mm_xor_si128(x[j], load_block(rounds[j]));
#pragma GCC unroll 2
    for (unsigned r = 1; r < 14; ++r) {
#pragma GCC unroll 8
      for (unsigned j = 0; j < kPeers; ++j) {
        const __m128i key = load_block(rounds[j] + 4 * r);
        x[j] = kEncrypt ? _mm_aesenc_si128(x[j], key) : _mm_aesdec_si128(x[j], key);
      }
    }
#pragma GCC unroll 8
    for (unsigned j = 0; j < kPeers; ++j) {
      const __m128i key = load_block(rounds[j] + 4 * 14);
      x[j] = kEncrypt ? _mm_aesenclast_si128(x[j], key) : _mm_aesdeclast_si128(x[j], key);
    }
  }

  /// GMAC tags folded to 64 bits, from GHASH and ids (the low halves of `ids`): [8] fold, [8] 0.
  static void folded_tags(const std::uint32_t* const (&k0)[kPeers], const __m128i (&ids)[kPeers],
                          const __m128i* hashes, __m128i (&fold)[kPeers]) {
    const __m128i one = _mm_set_epi32(0x01000000, 0, 0, 0);  // [8] id, [4] 0, [4] 1
#pragma GCC unroll 8
    for (unsigned j = 0; j < kPeers; ++j) fold[j] = _mm_or_si128(_mm_move_epi64(ids[j]), one);
    crypt_blocks<Direction::kEncrypt>(k0, fold);
#pragma GCC unroll 8
    for (unsigned j = 0; j < kPeers; ++j) {
      const __m128i tag = _mm_xor_si128(fold[j], reversed_block(hashes[j]));
      fold[j] = _mm_move_epi64(_mm_xor_si128(tag, _mm_shuffle_epi32(tag, 0x4e)));
    }
  }

  /// kPeers jobs from `at` on; beyond the end, the last one again.
  static const SivJob& job_at(std::span<SivJob> jobs, std::size_t at) {
    return jobs[at < jobs.size() ? at : jobs.size() - 1];
  }

  /// Packets whose keys are on their way from memory while one is worked on: with many peers their
  /// schedules are no longer in the first two cache levels. 8 packets of 64 bytes last as long as a
  /// read from the third, and 8 schedules leave the first level its room.
  static constexpr std::size_t kAhead = 8;

  static void prefetch_bytes(const void* from, std::size_t size) {
    const auto* p = static_cast<const char*>(from);
    for (std::size_t at = 0; at < size; at += 64) _mm_prefetch(p + at, _MM_HINT_T0);
    _mm_prefetch(p + size - 1, _MM_HINT_T0);
  }

  /// What job `i` reads of its keys; nothing when the job before it reads the same.
  [[gnu::always_inline]] static void prefetch_keys(std::span<SivJob> jobs, std::size_t i,
                                                   bool opening) {
    if (i >= jobs.size() || (i != 0 && jobs[i].keys == jobs[i - 1].keys)) return;
    const AesKeys& keys = *jobs[i].keys;
    prefetch_bytes(keys.encrypt, sizeof keys.encrypt);
    if (opening) prefetch_bytes(keys.decrypt, sizeof keys.decrypt);
    prefetch_bytes(keys.own.rounds, sizeof keys.own.rounds);
    // Of the powers the lowest ones, as many as blocks with those of header and lengths.
    const std::size_t powers = std::min<std::size_t>(
        GmacKeys::kPowers, (jobs[i].length - wire::kVerbOffset + 15) / 16 + 2);
    prefetch_bytes(keys.own.power(powers), powers * 16);
    prefetch_bytes(keys.own.halves(powers), powers * 16);
  }

  static constexpr std::size_t kRoom = (Armorer::kBatchMax + kPeers - 1) / kPeers * kPeers;

  /// Id and MAC of kPeers packets from `at` on, encrypted; their hashes are at `hashes`.
  static void seal_tags(std::span<SivJob> jobs, std::size_t at, const __m128i* hashes,
                        __m128i (&blocks)[kPeers]) {
    const std::uint32_t* k0[kPeers];
    const std::uint32_t* k1[kPeers];
    __m128i ids[kPeers];
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kPeers; ++j) {
      const SivJob& job = job_at(jobs, at + j);
      k0[j] = job.keys->own.rounds;
      k1[j] = job.keys->encrypt;
      ids[j] = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(job.packet));
    }
    folded_tags(k0, ids, hashes, blocks);
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kPeers; ++j) blocks[j] = _mm_unpacklo_epi64(ids[j], blocks[j]);
    crypt_blocks<Direction::kEncrypt>(k1, blocks);
  }

  static void seal(IMB_MGR* /*manager*/, std::span<SivJob> jobs) noexcept {
    // While a group is encrypted, the next one is hashed.
    __m128i hashes[kPeers] = {};
    for (std::size_t i = 0; i < kAhead; ++i) prefetch_keys(jobs, i, false);
    for (std::size_t i = 0; i < kPeers && i < jobs.size(); ++i) {
      prefetch_keys(jobs, i + kAhead, false);
      hashes[i] = Ghash(jobs[i]).finish();
    }
    for (std::size_t at = 0; at < jobs.size(); at += kPeers) {
      __m128i blocks[kPeers];
      seal_tags(jobs, at, hashes, blocks);
      for (std::size_t j = 0; j < kPeers && at + j < jobs.size(); ++j) {
        const SivJob& job = jobs[at + j];
        _mm_storel_epi64(reinterpret_cast<__m128i*>(job.packet), blocks[j]);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(job.packet + wire::kMacOffset),
                         _mm_unpackhi_epi64(blocks[j], blocks[j]));
        prefetch_keys(jobs, at + kPeers + j + kAhead, false);
        if (at + kPeers + j < jobs.size()) {
          Ghash next(jobs[at + kPeers + j]);
          ctr(job, counter_of(blocks[j]), &next);
          hashes[j] = next.finish();
        } else {
          ctr(job, counter_of(blocks[j]), nullptr);
        }
      }
    }
  }

  static void open(IMB_MGR* /*manager*/, std::span<SivJob> jobs) noexcept {
    __m128i hashes[kRoom];
    __m128i blocks[kRoom];
    for (std::size_t i = 0; i < kAhead; ++i) prefetch_keys(jobs, i, true);
    // While a packet is decrypted, the one before it is hashed.
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      prefetch_keys(jobs, i + kAhead, true);
      const auto half = [&](std::size_t at) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(jobs[i].packet + at));
      };
      blocks[i] = _mm_unpacklo_epi64(half(0), half(wire::kMacOffset));
      if (i == 0) {
        ctr(jobs[0], counter_of(blocks[0]), nullptr);
      } else {
        Ghash before(jobs[i - 1]);
        ctr(jobs[i], counter_of(blocks[i]), &before);
        hashes[i - 1] = before.finish();
      }
    }
    hashes[jobs.size() - 1] = Ghash(jobs[jobs.size() - 1]).finish();
    for (std::size_t i = 0; i < jobs.size(); i += kPeers) {
      const std::uint32_t* k0[kPeers];
      const std::uint32_t* k1[kPeers];
      __m128i plain[kPeers];
      __m128i fold[kPeers];
#pragma GCC unroll 8
      for (unsigned j = 0; j < kPeers; ++j) {
        const SivJob& job = job_at(jobs, i + j);
        k0[j] = job.keys->own.rounds;
        k1[j] = job.keys->decrypt;
        if (i + j >= jobs.size()) hashes[i + j] = blocks[i + j] = _mm_setzero_si128();
        plain[j] = blocks[i + j];
      }
      crypt_blocks<Direction::kDecrypt>(k1, plain);
      folded_tags(k0, plain, hashes + i, fold);
#pragma GCC unroll 8
      for (unsigned j = 0; j < kPeers; ++j) {
        if (i + j >= jobs.size()) break;
        // [8] fold XOR the MAC's half: all zero when authentic
        const __m128i difference =
            _mm_move_epi64(_mm_xor_si128(fold[j], _mm_unpackhi_epi64(plain[j], plain[j])));
        jobs[i + j].ok = _mm_testz_si128(difference, difference) != 0;
        jobs[i + j].id = __builtin_bswap64(static_cast<std::uint64_t>(_mm_cvtsi128_si64(plain[j])));
      }
    }
    for (const SivJob& job : jobs) {
      if (!job.ok) [[unlikely]]
        burn({job.packet + wire::kVerbOffset, job.length - wire::kVerbOffset});
    }
  }

  /// a * b of byte-reversed elements, b times x.
  static __m128i times(__m128i a, __m128i b) {
    return Sum(L::widen(a), {L::widen(b), halves(L::widen(b))}).reduced();
  }

  static void expand(IMB_MGR* manager, const std::uint8_t k0[32], const std::uint8_t k1[32],
                     AesKeys& keys) {
    alignas(16) std::uint32_t unused[15 * 4];
    GmacKeys& own = keys.own;
    IMB_AES_KEYEXP_256(manager, k1, keys.encrypt, keys.decrypt);
    IMB_AES_KEYEXP_256(manager, k0, own.rounds, unused);
    burn({reinterpret_cast<std::uint8_t*>(unused), sizeof unused});
    std::memset(own.powers, 0, sizeof own.powers);
    std::memset(own.power_halves, 0, sizeof own.power_halves);

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
      store_block(own.power_halves[GmacKeys::kPowers - n],
                  _mm_xor_si128(power, _mm_shuffle_epi32(power, 0x4e)));
      if (n == GmacKeys::kPowers) break;
      power = times(power, h);
    }
  }
};

}  // namespace orrery::crypto
