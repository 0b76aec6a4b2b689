// Four blocks side by side: VAES and VPCLMULQDQ over AVX-512.
#include <immintrin.h>

#include "crypto/aes_gmac_siv.h"
#include "crypto/armor.h"
#include "crypto/target.h"

ORRERY_TARGET_BEGIN(ORRERY_AVX512_FEATURES)
#include "crypto/aes_gmac_siv_lanes.h"

namespace orrery::crypto {
namespace {

struct Lanes {
  using V = __m512i;
  static constexpr std::size_t kBlocks = 4;
  static constexpr std::size_t kFlight = 4;

  static V load(const void* p) { return _mm512_loadu_si512(p); }

  static void store(void* p, V v) { _mm512_storeu_si512(p, v); }

  /// REQUIRES: n <= 64.
  static __mmask64 first(std::size_t n) { return _bzhi_u64(~0ULL, static_cast<unsigned>(n)); }

  static V load_first(const void* p, std::size_t n) { return _mm512_maskz_loadu_epi8(first(n), p); }

  static void store_first(void* p, V v, std::size_t n) { _mm512_mask_storeu_epi8(p, first(n), v); }

  static V broadcast(__m128i v) { return _mm512_broadcast_i32x4(v); }

  static V widen(__m128i v) { return _mm512_zextsi128_si512(v); }

  static __m128i fold(V v) {
    const __m256i half =
        _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }

  static V ordinals() { return _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0); }

  static V bytes(V v, V order) { return _mm512_shuffle_epi8(v, order); }

  static V swap(V v) { return _mm512_shuffle_epi32(v, _MM_PERM_BADC); }

  static V add32(V a, V b) { return _mm512_add_epi32(a, b); }

  static V sum(V a, V b) { return _mm512_xor_si512(a, b); }

  static V sum(V a, V b, V c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }

  template <int kHalves>
  static V clmul(V a, V b) {
    return _mm512_clmulepi64_epi128(a, b, kHalves);
  }

  static V enc(V v, V round) { return _mm512_aesenc_epi128(v, round); }

  static V enclast(V v, V round) { return _mm512_aesenclast_epi128(v, round); }
};

}  // namespace

const SivKernel kSivVaes512 = {"vaes512", SivLanes<Lanes>::expand, SivLanes<Lanes>::seal,
                               SivLanes<Lanes>::open};

}  // namespace orrery::crypto

ORRERY_TARGET_END
