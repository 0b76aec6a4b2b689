// Two blocks side by side: VAES and VPCLMULQDQ over AVX2.
#include <immintrin.h>

#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_VAES256_FEATURES)
#include "crypto/aes_gmac_siv_lanes.h"

namespace orrery::crypto {
namespace {

struct Lanes {
  using V = __m256i;
  static constexpr std::size_t kBlocks = 2;
  static constexpr std::size_t kFlight = 8;

  static V load(const void* p) { return _mm256_loadu_si256(static_cast<const V*>(p)); }

  static void store(void* p, V v) { _mm256_storeu_si256(static_cast<V*>(p), v); }

  static V load_first(const void* p, std::size_t n) {
    V v = _mm256_setzero_si256();
    std::memcpy(&v, p, n);
    return v;
  }

  static void store_first(void* p, V v, std::size_t n) { std::memcpy(p, &v, n); }

  static V broadcast(__m128i v) { return _mm256_broadcastsi128_si256(v); }

  static V widen(__m128i v) { return _mm256_zextsi128_si256(v); }

  static __m128i fold(V v) {
    return _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  }

  static V ordinals() { return _mm256_set_epi32(0, 0, 0, 1, 0, 0, 0, 0); }

  static V bytes(V v, V order) { return _mm256_shuffle_epi8(v, order); }

  static V swap(V v) { return _mm256_shuffle_epi32(v, 0x4e); }

  static V add32(V a, V b) { return _mm256_add_epi32(a, b); }

  static V sum(V a, V b) { return _mm256_xor_si256(a, b); }

  static V sum(V a, V b, V c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }

  template <int kHalves>
  static V clmul(V a, V b) {
    return _mm256_clmulepi64_epi128(a, b, kHalves);
  }

  static V enc(V v, V round) { return _mm256_aesenc_epi128(v, round); }

  static V enclast(V v, V round) { return _mm256_aesenclast_epi128(v, round); }
};

}  // namespace

const SivKernel kSivVaes256 = {"vaes256", SivLanes<Lanes>::expand, SivLanes<Lanes>::seal,
                               SivLanes<Lanes>::open};

}  // namespace orrery::crypto

ORRERY_TARGET_END
