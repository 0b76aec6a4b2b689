// Which instruction set our own code uses: chosen once, at first use, by what the processor has and
// by ORRERY_ISA (ref, avx2, avx512), which can only lower it. Tests run every level; valgrind needs
// ref or avx2.
//
//   ref      portable code and ipsec-mb's SSE code
//   avx2     AVX2, BMI2, AES-NI and PCLMULQDQ; VAES and VPCLMULQDQ of 256 bits where they are
//   avx512   AVX-512 F, BW, DQ, VL, VBMI, VBMI2 and IFMA, VAES, VPCLMULQDQ: Ice Lake, Zen 4 and
//   later
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace orrery::crypto {

enum class Isa : std::uint8_t { kRef, kAvx2, kAvx512 };

/// What runs: best_isa() lowered by ORRERY_ISA. A name in there that is none ends the program with
/// a line on stderr and exit code 2.
[[nodiscard]] Isa isa();
/// What the processor has.
[[nodiscard]] Isa best_isa();
/// Whether it has VAES and VPCLMULQDQ beside AVX2.
[[nodiscard]] bool has_vaes();
/// Whether vectors have units and queues of their own beside those of the general registers, as
/// AMD's have. Intel's share their ports, so work in general registers does not come for nothing
/// between that in vectors.
[[nodiscard]] bool has_separate_vector_units();
[[nodiscard]] const char* isa_name(Isa isa);
[[nodiscard]] std::optional<Isa> isa_of(std::string_view name);

}  // namespace orrery::crypto
