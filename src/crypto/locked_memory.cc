#include "crypto/locked_memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/bytes.h"

namespace orrery::crypto {
namespace {

constexpr std::size_t kAlign = 64;
constexpr std::size_t kSlotMax = 4096;
/// Small enough for the usual limit of 8 MiB, large enough that a chunk is a rare system call.
constexpr std::size_t kChunk = std::size_t{256} << 10;

struct FreeSlot {
  FreeSlot* next;
};

struct Pool {
  std::mutex mutex;
  FreeSlot* free[kSlotMax / kAlign + 1] = {};  // by size in units of kAlign
  LockedMemory counts;
};

Pool& pool() {
  // Never destroyed: keys of other static objects may be freed after it would be.
  static Pool& pool = *new Pool;
  return pool;
}

std::size_t units_of(std::size_t size) {
  return (size + kAlign - 1) / kAlign;
}

/// Cuts a new chunk into slots. REQUIRES: the pool's mutex.
void grow(Pool& p, std::size_t units) {
  void* memory = mmap(nullptr, kChunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::fputs("no memory for keys\n", stderr);
    std::abort();
  }
  // Advice that an old kernel does not know costs nothing but that protection.
  madvise(memory, kChunk, MADV_DONTDUMP);
  madvise(memory, kChunk, MADV_WIPEONFORK);
  (mlock(memory, kChunk) == 0 ? p.counts.locked : p.counts.not_locked) += kChunk;
  auto* bytes = static_cast<std::uint8_t*>(memory);
  for (std::size_t at = 0; at + units * kAlign <= kChunk; at += units * kAlign)
    p.free[units] = new (bytes + at) FreeSlot{p.free[units]};
}

}  // namespace

LockedMemory locked_memory() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  return p.counts;
}

void* locked_allocate(std::size_t size) {
  const std::size_t units = units_of(size);
  if (units == 0 || units > kSlotMax / kAlign) {
    std::fputs("a key of impossible size\n", stderr);
    std::abort();
  }
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  if (p.free[units] == nullptr) grow(p, units);
  FreeSlot* slot = p.free[units];
  p.free[units] = slot->next;
  slot->next = nullptr;  // the rest is zero already
  p.counts.in_use += units * kAlign;
  return slot;
}

void locked_free(void* slot, std::size_t size) noexcept {
  const std::size_t units = units_of(size);
  burn({static_cast<std::uint8_t*>(slot), units * kAlign});
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.free[units] = new (slot) FreeSlot{p.free[units]};
  p.counts.in_use -= units * kAlign;
}

}  // namespace orrery::crypto
