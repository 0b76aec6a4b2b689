#include "crypto/siphash_batch.h"

namespace orrery::crypto {
namespace {

using Batch = void (*)(const SipKey&, const SipBatch&, unsigned, unsigned, std::uint64_t*) noexcept;

Batch choose() {
  switch (isa()) {
    case Isa::kAvx512:
      return siphash_batch_avx512;
    case Isa::kAvx2:
      return siphash_batch_avx2;
    case Isa::kRef:
      break;
  }
  return siphash_batch_ref;
}

}  // namespace

void siphash_batch_ref(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                       std::uint64_t* hash) noexcept {
  for (unsigned i = 0; i < n; ++i) {
    sip_detail::State s(key);
    for (unsigned w = 0; w < words; ++w) s.absorb(in.word[w][i]);
    hash[i] = s.finish();
  }
}

void siphash_batch(const SipKey& key, const SipBatch& in, unsigned words, unsigned n,
                   std::uint64_t* hash) noexcept {
  static const Batch kBatch = choose();
  // A few are not worth a pass over sixteen.
  if (n <= 2) return siphash_batch_ref(key, in, words, n, hash);
  kBatch(key, in, words, n, hash);
}

}  // namespace orrery::crypto
