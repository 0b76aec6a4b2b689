#include "crypto/siphash_batch.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX512_FEATURES)
#include "crypto/siphash_lanes.h"

namespace orrery::crypto {

void siphash_batch_avx512(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                          std::uint64_t* hash) noexcept {
  using Lanes = std::uint64_t __attribute__((vector_size(64)));
  siphash_lanes<Lanes, 2>(key, in, words, n, hash);
}

}  // namespace orrery::crypto

ORRERY_TARGET_END
