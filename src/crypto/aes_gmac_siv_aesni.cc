// One block at a time: AES-NI and PCLMULQDQ.
#include <immintrin.h>

#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AESNI_FEATURES)
#include "crypto/aes_gmac_siv_lanes.h"

namespace orrery::crypto {
namespace {

struct Lanes {
  using V = __m128i;
  static constexpr std::size_t kBlocks = 1;
  static constexpr std::size_t kFlight = 8;

  static V load(const void* p) { return _mm_loadu_si128(static_cast<const V*>(p)); }

  static void store(void* p, V v) { _mm_storeu_si128(static_cast<V*>(p), v); }

  static V load_first(const void* p, std::size_t n) {
    V v = _mm_setzero_si128();
    std::memcpy(&v, p, n);
    return v;
  }

  static void store_first(void* p, V v, std::size_t n) { std::memcpy(p, &v, n); }

  static V broadcast(__m128i v) { return v; }

  static V widen(__m128i v) { return v; }

  static __m128i fold(V v) { return v; }

  static V ordinals() { return _mm_setzero_si128(); }

  static V bytes(V v, V order) { return _mm_shuffle_epi8(v, order); }

  static V swap(V v) { return _mm_shuffle_epi32(v, 0x4e); }

  static V add32(V a, V b) { return _mm_add_epi32(a, b); }

  static V sum(V a, V b) { return _mm_xor_si128(a, b); }

  static V sum(V a, V b, V c) { return _mm_xor_si128(_mm_xor_si128(a, b), c); }

  template <int kHalves>
  static V clmul(V a, V b) {
    return _mm_clmulepi64_si128(a, b, kHalves);
  }

  static V enc(V v, V round) { return _mm_aesenc_si128(v, round); }

  static V enclast(V v, V round) { return _mm_aesenclast_si128(v, round); }
};

}  // namespace

const SivKernel kSivAesni = {"aesni", SivLanes<Lanes>::expand, SivLanes<Lanes>::seal,
                             SivLanes<Lanes>::open};

}  // namespace orrery::crypto

ORRERY_TARGET_END
