#include "crypto/siphash_batch.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX2_FEATURES)
#include "crypto/siphash_lanes.h"

namespace orrery::crypto {

void siphash_batch_avx2(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                        std::uint64_t* hash) noexcept {
  using Lanes = std::uint64_t __attribute__((vector_size(32)));
  siphash_lanes<Lanes, 4>(key, in, words, n, hash);
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
