// Poly1305 in the general registers, a few blocks at a time: work for the units of the processor
// that a stream cipher in vectors leaves idle. Two messages at once, since a block waits some 14
// cycles for the one before it. Private to crypto; included inside a stretch of target.h for
// AVX-512. Source: D. J. Bernstein, "The Poly1305-AES message-authentication code"; limbs of 64, 64
// and the few bits above.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "crypto/poly1305.h"
#include "crypto/poly1305_finish.h"

namespace orrery::crypto {

/// The first `limit` messages of a batch, in their order, as they become ready. All calls between
/// two of ready() are inlined into the rounds of the cipher, without a second way for rounds with
/// nothing to do: a rider that waits works on zeros. at<0>() .. at<3>() stand inside a double
/// round, between begin() and end().
class PolyRider {
 public:
  PolyRider(PolyJob* jobs, std::size_t limit) : jobs_(jobs), limit_(limit) {}

  /// The first n messages of the batch are complete, and their keys are known.
  void ready(std::size_t n) { ready_ = n < limit_ ? n : limit_; }

  /// Whether there is work for a whole double round; else edge() is to be called.
  [[gnu::always_inline]] bool begin() const { return slow_.left >= kSlow && quick_.left >= kQuick; }

  template <int kAt>
  [[gnu::always_inline]] void at() {
    if constexpr (kAt == 3) slow_.next();
    if constexpr (kAt == 1 || kAt == 2) quick_.next();
  }

  [[gnu::always_inline]] void end() {
    slow_.left -= kSlow;
    quick_.left -= kQuick;
  }

  /// Ends messages of which little is left, and begins the next.
  [[gnu::always_inline]] void edge() {
    turn_over(slow_, kSlow);
    turn_over(quick_, kQuick);
  }

  /// Ends what has been begun. Returns how many MACs are written.
  std::size_t finish() {
    if (slow_.job != nullptr) slow_.end();
    if (quick_.job != nullptr) quick_.end();
    return begun_;
  }

 private:
  static constexpr std::uint32_t kSlow = 16, kQuick = 32;  // bytes a double round
  static constexpr std::uint8_t kIdle[kQuick] = {};

  struct Message {
    PolyJob* job = nullptr;
    const std::uint8_t* data = nullptr;
    std::uint32_t left = 0;                // bytes
    std::uint64_t r0 = 0, r1 = 0, s1 = 0;  // s1 = 5 r1 / 4, r1 being a multiple of 4
    std::uint64_t h0 = 0, h1 = 0, h2 = 0;

    /// Something to do for one double round, of which nothing comes.
    [[gnu::always_inline]] void idle() {
      data = kIdle;
      left = sizeof kIdle;
    }

    [[gnu::always_inline]] void begin(PolyJob& j) {
      job = &j;
      data = j.data;
      left = j.length;
      r0 = load_le64(j.key) & 0x0ffffffc0fffffffULL;
      r1 = load_le64(j.key + 8) & 0x0ffffffc0ffffffcULL;
      s1 = r1 + (r1 >> 2);
      h0 = h1 = h2 = 0;
    }

    [[gnu::always_inline]] void next() {
      absorb(data, 1);
      data += 16;
    }

    [[gnu::always_inline]] void end() {
      for (; left >= 16; left -= 16) next();
      if (left > 0) {
        const __m128i rest =
            _mm_maskz_loadu_epi8(static_cast<__mmask16>(_bzhi_u32(0xffff, left)), data);
        alignas(16) std::uint8_t block[16];
        _mm_store_si128(reinterpret_cast<__m128i*>(block),
                        _mm_mask_set1_epi8(rest, static_cast<__mmask16>(1u << left), 1));
        absorb(block, 0);
        left = 0;
      }
      constexpr std::uint64_t kMask44 = (1ULL << 44) - 1;
      const auto mac = poly1305_finish(h0 & kMask44, ((h0 >> 44) | (h1 << 20)) & kMask44,
                                       (h1 >> 24) | (h2 << 40), load_le64(job->key + 16),
                                       load_le64(job->key + 24));
      std::memcpy(job->mac.data(), &mac, 16);
      job = nullptr;
    }

    /// h = (h + block + top 2^128) r mod 2^130 - 5, but for its two or three bits above 2^130. In
    /// assembly because compilers take sums of 128 bits through memory, and every cycle of this
    /// chain counts.
    [[gnu::always_inline]] void absorb(const std::uint8_t* block, std::uint64_t top) {
      std::uint64_t low0, high0, low1, high1, low2, high2;
      asm("add %[m0], %[h0]\n\t"
          "adc %[m1], %[h1]\n\t"
          "adc %[top], %[h2]\n\t"
          "mov %[h0], %%rdx\n\t"
          "mulx %[r0], %[low0], %[high0]\n\t"
          "mulx %[r1], %[low1], %[high1]\n\t"
          "mov %[h1], %%rdx\n\t"
          "mulx %[s1], %[low2], %[high2]\n\t"
          "mulx %[r0], %[h0], %[h1]\n\t"
          "mov %[h2], %%rdx\n\t"
          "imul %[s1], %%rdx\n\t"
          "imul %[r0], %[h2]\n\t"
          // low0, low1, h2 = h0 r0 + h1 s1, h0 r1 + h1 r0 + h2 s1, h2 r0, carried upwards
          "add %%rdx, %[low1]\n\t"
          "adc $0, %[high1]\n\t"
          "add %[low2], %[low0]\n\t"
          "adc %[high2], %[high0]\n\t"
          "add %[h0], %[low1]\n\t"
          "adc %[h1], %[high1]\n\t"
          "add %[high0], %[low1]\n\t"
          "adc %[high1], %[h2]\n\t"
          // 2^130 = 5: h2 / 4 comes back five times
          "mov %[h2], %[high0]\n\t"
          "mov %[h2], %[high1]\n\t"
          "and $-4, %[high0]\n\t"
          "shr $2, %[high1]\n\t"
          "and $3, %[h2]\n\t"
          "add %[high0], %[high1]\n\t"
          "mov %[low0], %[h0]\n\t"
          "mov %[low1], %[h1]\n\t"
          "add %[high1], %[h0]\n\t"
          "adc $0, %[h1]\n\t"
          "adc $0, %[h2]"
          : [h0] "+&r"(h0), [h1] "+&r"(h1), [h2] "+&r"(h2), [low0] "=&r"(low0),
            [high0] "=&r"(high0), [low1] "=&r"(low1), [high1] "=&r"(high1), [low2] "=&r"(low2),
            [high2] "=&r"(high2)
          : [m0] "rm"(load_le64(block)), [m1] "rm"(load_le64(block + 8)), [top] "er"(top),
            [r0] "m"(r0), [r1] "m"(r1), [s1] "m"(s1)
          : "rdx", "cc");
    }
  };

  [[gnu::always_inline]] void turn_over(Message& m, std::uint32_t need) {
    while (m.left < need) {
      if (m.job != nullptr) m.end();
      if (begun_ < ready_) {
        m.begin(jobs_[begun_++]);
      } else {
        m.idle();
      }
    }
  }

  PolyJob* jobs_;
  std::size_t limit_;
  std::size_t ready_ = 0, begun_ = 0;
  Message slow_, quick_;
};

}  // namespace orrery::crypto
