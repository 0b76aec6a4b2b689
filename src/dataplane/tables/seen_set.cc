#include "dataplane/tables/seen_set.h"

#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "crypto/siphash_batch.h"

namespace orrery::dataplane {
namespace {

constexpr std::uint32_t kRound = 0x80000000;  // of a tag: which round of the ring
constexpr std::size_t kHugePage = 2u << 20;   // bytes
constexpr std::uint32_t kAllSlots = 0xffff;

/// What one look at a line tells, a bit for each slot, and what it saw there.
struct View {
  alignas(16) std::uint32_t slot[SeenSet::kIdsPerLine];
  std::uint32_t rounds = 0;  // the round of the slot's tag
  std::uint32_t equal = 0;   // the tag is the one sought
};

#if defined(__SANITIZE_THREAD__)
View look(const std::atomic<std::uint32_t>* tags, std::uint32_t tag) noexcept {
  View view;
  for (unsigned i = 0; i < SeenSet::kIdsPerLine; ++i) {
    const std::uint32_t value = tags[i].load(std::memory_order_relaxed);
    view.slot[i] = value;
    view.rounds |= (value >> 31) << i;
    view.equal |= static_cast<std::uint32_t>((value & ~kRound) == tag) << i;
  }
  return view;
}
#else
/// Slots are read four at a time; each by itself is read whole. These are no atomic loads to the
/// compiler, so the fence keeps it from looking once for all rounds of a loop.
View look(const std::atomic<std::uint32_t>* tags, std::uint32_t tag) noexcept {
  const auto* line = reinterpret_cast<const __m128i*>(tags);
  const __m128i sought = _mm_set1_epi32(static_cast<int>(tag));
  const __m128i without_round = _mm_set1_epi32(0x7fffffff);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  View view;
  for (unsigned i = 0; i < 4; ++i) {
    const __m128i four = _mm_load_si128(line + i);
    _mm_store_si128(reinterpret_cast<__m128i*>(view.slot) + i, four);
    const __m128i same = _mm_cmpeq_epi32(_mm_and_si128(four, without_round), sought);
    view.rounds |= static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(four))) << (4 * i);
    view.equal |= static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(same))) << (4 * i);
  }
  return view;
}
#endif

}  // namespace

std::size_t SeenSet::default_ids(std::size_t memory_bytes) {
  const std::size_t ids = memory_bytes / 512 / sizeof(std::uint32_t);
  return std::bit_floor(std::clamp(ids, std::size_t{1} << 20, std::size_t{1} << 24));
}

Result<std::unique_ptr<SeenSet>> SeenSet::make(std::size_t ids, SipKey key) {
  const std::size_t count = std::bit_ceil(std::clamp(ids, kFewest, kMost)) / kIdsPerLine;
  const std::size_t bytes = count * sizeof(Line);
  void* memory = std::aligned_alloc(std::min(bytes, kHugePage), bytes);
  if (memory == nullptr) {
    return failure(Errc::kFull,
                   "no memory for the ids of " + std::to_string(count * kIdsPerLine) + " packets");
  }
  // A line is a page of its own to the processor, otherwise: where the kernel gives none, it costs
  // a walk of the page table for each packet.
  (void)::madvise(memory, bytes, MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  return std::unique_ptr<SeenSet>(new SeenSet(static_cast<Line*>(memory), count, key));
}

void SeenSet::Free::operator()(Line* lines) const noexcept {
  std::free(lines);
}

void SeenSet::hash(const std::uint64_t* ids, const std::uint64_t* sources, unsigned n,
                   std::uint64_t* hash) const noexcept {
  // [8] id, [5] source
  crypto::SipBatch names;
  for (unsigned i = 0; i < n; ++i) {
    names.word[0][i] = ids[i];
    names.word[1][i] = crypto::SipBatch::last(13, sources[i]);
  }
  crypto::siphash_batch(key_, names, 2, n, hash);
}

bool SeenSet::insert(std::uint64_t hash) noexcept {
  std::atomic<std::uint32_t>* tags = lines_[hash & mask_].tag;
  const auto top = static_cast<std::uint32_t>(hash >> 33);
  const std::uint32_t tag = top == 0 ? 1 : top;  // 0 is what an empty slot looks like
  while (true) {
    const View view = look(tags, tag);
    if (view.equal != 0) return true;
    // Slots of the newest round come first: as many ones, where its bit is a one. Which round it is
    // no branch could foretell.
    const std::uint32_t round = view.rounds & 1;
    const std::uint32_t written = (view.rounds ^ (round - 1)) & kAllSlots;
    const auto full = static_cast<std::uint32_t>(std::countr_one(written));  // 1 to 16
    const std::uint32_t place = full & 15;
    const std::uint32_t bit = (round ^ (full >> 4)) << 31;  // a full line begins the next
    std::uint32_t before = view.slot[place];                // 1. of the other round
    if (tags[place].compare_exchange_strong(before, tag | bit, std::memory_order_relaxed))
      return false;
  }
}

bool SeenSet::insert(std::uint64_t id, wire::Address source) noexcept {
  std::uint64_t one[kBatch];
  hash(&id, &source.value, 1, one);
  return insert(one[0]);
}

}  // namespace orrery::dataplane
