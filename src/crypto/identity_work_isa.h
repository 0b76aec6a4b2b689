// What stands behind identity_work.h: one digest by one instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace orrery::crypto {

inline constexpr std::size_t kWorkWords = 262144;  // 2 MiB of 8-byte words

/// Not initialised, not secret. The first half of a digest fills it.
struct alignas(64) WorkMemory {
  std::uint64_t word[kWorkWords];
};

/// One digest. state[16]: salsa_state() of block 0. digest[8]: comes in as SHA-512 of the key, goes
/// out as D; both as raw bytes, eight at a time.
using Work = void(const std::uint32_t* state, std::uint64_t* digest, WorkMemory& memory) noexcept;

Work work_ref, work_avx2, work_avx512;

}  // namespace orrery::crypto
