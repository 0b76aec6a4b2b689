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
    sip_detail::State s{key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                        key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL};
    for (unsigned w = 0; w < words; ++w) s.absorb(in.word[w][i]);
    s.v2 ^= 0xff;
    for (int r = 0; r < 4; ++r) s.round();
    hash[i] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
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
