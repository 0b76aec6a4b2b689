#include "crypto/salsa20.h"

namespace orrery::crypto {

void salsa2012_batch(Isa level, std::span<const SalsaJob> jobs) noexcept {
  switch (level) {
    case Isa::kRef:
      return salsa2012_batch_ref(jobs);
    case Isa::kAvx2:
      return salsa2012_batch_avx2(jobs);
    case Isa::kAvx512:
      return salsa2012_batch_avx512(jobs);
  }
}

void salsa2012_xor(const SalsaKey& key, const std::uint8_t nonce[8], std::uint32_t block,
                   MutableBytes data) {
  SalsaJob job = {salsa_state(key, nonce, 0), data.data(), static_cast<std::uint32_t>(data.size()),
                  block, nullptr};
  salsa2012_batch(isa(), {&job, 1});
  burn({reinterpret_cast<std::uint8_t*>(job.state.data()), sizeof job.state});
}

}  // namespace orrery::crypto
