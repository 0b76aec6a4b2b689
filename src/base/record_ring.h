// Records of any length from one thread to another: a ring of bytes with a single producer and a
// single consumer. A full ring refuses; nobody waits.
//
// Two marks that only grow, in bytes: taken <= laid out <= taken + capacity. A record lies in one
// piece behind a word with its size, in multiples of eight; what does not fit before the end of the
// ring begins anew at its start, and a word of kWrap says so.
//
//   Invariant 1: bytes behind `laid_out_` are the producer's alone, those before it the consumer's
//                until `taken_` has passed them.
#pragma once

#include <atomic>
#include <memory>

#include "base/bytes.h"
#include "base/layout.h"

namespace orrery {

class RecordRing {
 public:
  /// `capacity`: bytes, a power of two from 16 on. Pages that nobody writes do not become resident.
  explicit RecordRing(std::size_t capacity)
      : capacity_(capacity), bytes_(new std::uint8_t[capacity]) {}

  // --- the producer

  /// Room for a record of `size` bytes, aligned to eight, to be filled before commit(); null when
  /// there is none. What is not committed is forgotten by the next call.
  [[nodiscard]] std::uint8_t* reserve(std::size_t size) noexcept {
    const std::size_t need = kHead + rounded(size);
    const std::size_t at = place(filled_);
    const std::size_t skip = need > capacity_ - at ? capacity_ - at : 0;
    if (skip + need > capacity_ - (filled_ - free_until_)) {
      free_until_ = taken_.load(std::memory_order_acquire);  // Invariant 1
      if (skip + need > capacity_ - (filled_ - free_until_)) return nullptr;
    }
    if (skip != 0) store(at, kWrap);
    const std::size_t begin = skip != 0 ? 0 : at;
    store(begin, size);
    next_ = filled_ + skip + need;
    return bytes_.get() + begin + kHead;
  }

  /// Gives away what reserve() has returned.
  void commit() noexcept {
    filled_ = next_;
    laid_out_.store(filled_, std::memory_order_release);  // Invariant 1
  }

  // --- the consumer

  /// The oldest record, valid until pop(); nothing when there is none.
  [[nodiscard]] std::optional<Bytes> front() noexcept {
    if (emptied_ == laid_out_.load(std::memory_order_acquire)) return std::nullopt;
    if (load(place(emptied_)) == kWrap) emptied_ += capacity_ - place(emptied_);
    const std::size_t at = place(emptied_);
    return Bytes{bytes_.get() + at + kHead, load(at)};
  }

  /// REQUIRES: front() has returned a record.
  void pop() noexcept {
    emptied_ += kHead + rounded(load(place(emptied_)));
    taken_.store(emptied_, std::memory_order_release);  // Invariant 1
  }

 private:
  static constexpr std::size_t kHead = 8;
  static constexpr std::size_t kWrap = ~std::size_t{0};

  [[nodiscard]] static std::size_t rounded(std::size_t size) { return (size + 7) / 8 * 8; }

  [[nodiscard]] std::size_t place(std::uint64_t mark) const { return mark & (capacity_ - 1); }

  void store(std::size_t at, std::size_t word) { std::memcpy(bytes_.get() + at, &word, kHead); }

  [[nodiscard]] std::size_t load(std::size_t at) const {
    std::size_t word;
    std::memcpy(&word, bytes_.get() + at, kHead);
    return word;
  }

  const std::size_t capacity_;
  const std::unique_ptr<std::uint8_t[]> bytes_;
  // The producer's own.
  alignas(kCacheLine) std::uint64_t filled_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t free_until_ = 0;  // as it was when last looked at: `taken_` may be further
  std::atomic<std::uint64_t> laid_out_{0};
  // The consumer's own.
  alignas(kCacheLine) std::uint64_t emptied_ = 0;
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace orrery
