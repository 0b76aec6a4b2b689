// Regions of a file that are compiled for more than the baseline: ORRERY_TARGET_BEGIN("avx2") ...
// ORRERY_TARGET_END. Not flags for whole files: inline functions of included headers would then be
// compiled for that target, too, and the linker might choose those copies for everybody. So all
// other headers stand before the region, and what is in it has internal linkage but for its entry
// points.
#pragma once

#define ORRERY_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define ORRERY_TARGET_BEGIN(isa) \
  ORRERY_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define ORRERY_TARGET_END ORRERY_PRAGMA(clang attribute pop)
#else
#define ORRERY_TARGET_BEGIN(isa)  \
  ORRERY_PRAGMA(GCC push_options) \
  ORRERY_PRAGMA(GCC target(isa))
#define ORRERY_TARGET_END ORRERY_PRAGMA(GCC pop_options)
#endif

// What each kind of file is compiled for; cpu.h asks the processor for the same.
#define ORRERY_AESNI_FEATURES   "aes,pclmul,ssse3,sse4.1"
#define ORRERY_AVX2_FEATURES    "avx2,bmi2"
#define ORRERY_VAES256_FEATURES "avx2,aes,pclmul,vaes,vpclmulqdq"
#define ORRERY_AVX512_FEATURES                                                                 \
  "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512ifma,avx2,bmi2,aes,pclmul," \
  "vaes,"                                                                                      \
  "vpclmulqdq"
