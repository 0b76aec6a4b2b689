#include "wire/checksum.h"

namespace orrery::wire {
namespace {

// Sums of 32-bit words in 64-bit lanes, whose order in memory does not matter until the end
// (RFC 1071 section 2). No carry is lost below 2^32 words.
using Words = std::uint64_t __attribute__((vector_size(32)));

constexpr std::size_t kStride = 2 * sizeof(Words);

// By reference: passing vectors would depend on the instruction set.
[[gnu::always_inline]] inline void load(Words& w, const std::uint8_t* p) {
  std::memcpy(&w, p, sizeof w);
}

[[gnu::always_inline]] inline void add_halves(Words& sum, const Words& w) {
  sum += (w & 0xffffffff) + (w >> 32);
}

[[gnu::always_inline]] inline std::uint64_t total(const Words& a, const Words& b) {
  return a[0] + a[1] + a[2] + a[3] + b[0] + b[1] + b[2] + b[3];
}

/// The sum of n bytes, a multiple of kStride; copies them, too, if asked.
template <bool kCopy>
[[gnu::always_inline]] inline std::uint64_t sum(std::uint8_t* to, const std::uint8_t* p,
                                                std::size_t n) {
  Words even{}, odd{};
  for (std::size_t i = 0; i < n; i += kStride) {
    Words a, b;
    load(a, p + i);
    load(b, p + i + sizeof a);
    if constexpr (kCopy) {
      std::memcpy(to + i, &a, sizeof a);
      std::memcpy(to + i + sizeof a, &b, sizeof b);
    }
    add_halves(even, a);
    add_halves(odd, b);
  }
  return total(even, odd);
}

[[gnu::target_clones("avx2", "default")]] std::uint64_t sum_words(const std::uint8_t* p,
                                                                  std::size_t n) {
  return sum<false>(nullptr, p, n);
}

[[gnu::target_clones("avx2", "default")]] std::uint64_t copy_words(std::uint8_t* to,
                                                                   const std::uint8_t* p,
                                                                   std::size_t n) {
  return sum<true>(to, p, n);
}

/// The sum so far, of words in host order, and of fewer than kStride bytes more; in network order.
std::uint32_t add_rest(std::uint64_t sum, Bytes rest, std::uint32_t start) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  const std::uint8_t* p = rest.data();
  std::size_t n = rest.size();
  for (; n >= 4; p += 4, n -= 4) {
    std::uint32_t w;
    std::memcpy(&w, p, sizeof w);
    sum += w;
  }
  if (n != 0) {
    std::uint32_t w = 0;
    std::memcpy(&w, p, n);
    sum += w;
  }
  sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
  const auto folded = checksum_fold(static_cast<std::uint32_t>(sum));
  return checksum_fold(start) + static_cast<std::uint32_t>(__builtin_bswap16(folded));
}

}  // namespace

std::uint32_t checksum_add(Bytes bytes, std::uint32_t sum) {
  const std::size_t whole = bytes.size() & ~(kStride - 1);
  return add_rest(sum_words(bytes.data(), whole), bytes.subspan(whole), sum);
}

std::uint32_t checksum_copy(MutableBytes to, Bytes bytes, std::uint32_t sum) {
  const std::size_t whole = bytes.size() & ~(kStride - 1);
  const Bytes rest = bytes.subspan(whole);
  std::memcpy(to.data() + whole, rest.data(), rest.size());
  return add_rest(copy_words(to.data(), bytes.data(), whole), rest, sum);
}

std::uint16_t checksum_fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace orrery::wire
