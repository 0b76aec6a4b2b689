#include "crypto/cpu.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace orrery::crypto {
namespace {

constexpr const char* kNames[] = {"ref", "avx2", "avx512"};

Isa detect() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
  if (!avx2) return Isa::kRef;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") &&
                      __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512ifma");
  return avx512 && has_vaes() ? Isa::kAvx512 : Isa::kAvx2;
}

Isa capped(Isa best) {
  const char* wanted = std::getenv("ORRERY_ISA");
  if (wanted == nullptr) return best;
  const std::optional<Isa> cap = isa_of(wanted);
  if (!cap) {
    std::fprintf(stderr, "ORRERY_ISA: \"%s\" is none of ref, avx2, avx512\n", wanted);
    std::exit(2);
  }
  return std::min(best, *cap);
}

}  // namespace

Isa best_isa() {
  static const Isa kBest = detect();
  return kBest;
}

Isa isa() {
  static const Isa kChosen = capped(best_isa());
  return kChosen;
}

bool has_vaes() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq");
}

bool has_separate_vector_units() {
  __builtin_cpu_init();
  return __builtin_cpu_is("amd");
}

const char* isa_name(Isa isa) {
  return kNames[static_cast<std::size_t>(isa)];
}

std::optional<Isa> isa_of(std::string_view name) {
  for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512}) {
    if (name == isa_name(isa)) return isa;
  }
  return std::nullopt;
}

}  // namespace orrery::crypto
