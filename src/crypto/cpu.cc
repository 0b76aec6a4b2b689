#include "crypto/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace orrery::crypto {
namespace {

Isa detect() {
  __builtin_cpu_init();
  Isa best = Isa::kRef;
  if (__builtin_cpu_supports("avx2")) best = Isa::kAvx2;
  if (best == Isa::kAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    best = Isa::kAvx512;
  const char* wanted = std::getenv("ORRERY_ISA");
  if (wanted == nullptr) return best;
  const std::string_view name(wanted);
  const Isa cap = name == "ref" ? Isa::kRef : name == "avx2" ? Isa::kAvx2 : Isa::kAvx512;
  return std::min(best, cap);
}

}  // namespace

Isa isa() {
  static const Isa kChosen = detect();
  return kChosen;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kRef:
      return "ref";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "ref";
}

}  // namespace orrery::crypto
