// Memory for keys: never swapped, not in core dumps, zero in a forked child, burned when given
// back.
//
// One pool for the process, of fixed-size slots (multiples of 64 bytes, at most 4096) cut from
// chunks that stay until the process ends, so that a slot of a retired peer is known to be zero.
// Where the kernel refuses to lock (RLIMIT_MEMLOCK without CAP_IPC_LOCK) the pool goes on unlocked
// and counts; the daemon warns. Safe from several threads; not for the packet path.
// Source: security 2.30 as summarised in docs/architecture.md.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace orrery::crypto {

struct LockedMemory {
  std::size_t locked = 0;      // bytes of chunks
  std::size_t not_locked = 0;  // bytes of chunks that the kernel would not lock
  std::size_t in_use = 0;      // bytes of slots
};

[[nodiscard]] LockedMemory locked_memory();

/// A slot of `size` bytes, all zero, aligned to 64. Aborts without memory. REQUIRES: size <= 4096.
[[nodiscard]] void* locked_allocate(std::size_t size);
/// Burns the slot and gives it back. `size` as it was asked for.
void locked_free(void* slot, std::size_t size) noexcept;

template <typename T>
struct LockedDelete {
  void operator()(T* object) const noexcept {
    object->~T();
    locked_free(object, sizeof(T));
  }
};

/// An object in locked memory, owned.
template <typename T>
using Locked = std::unique_ptr<T, LockedDelete<T>>;

template <typename T, typename... Arguments>
[[nodiscard]] Locked<T> make_locked(Arguments&&... arguments) {
  static_assert(alignof(T) <= 64);
  return Locked<T>(new (locked_allocate(sizeof(T))) T(std::forward<Arguments>(arguments)...));
}

}  // namespace orrery::crypto
