// Sixteen blocks of the stream side by side.
#include <cstddef>
#include <cstdint>

#include "crypto/identity_work_isa.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN("avx512f")

#include "crypto/identity_work_lanes.h"

namespace orrery::crypto {

void work_avx512(const std::uint32_t* state, std::uint64_t* digest, WorkMemory& memory) noexcept {
  work<Lanes16>(state, digest, memory);
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
