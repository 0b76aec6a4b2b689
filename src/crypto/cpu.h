// Which instruction set our own code uses: chosen once, at first use, by what the processor has and
// by ORRERY_ISA (ref, avx2, avx512), which can only lower it. Tests run every level; valgrind needs
// ref or avx2.
#pragma once

#include <cstdint>

namespace orrery::crypto {

enum class Isa : std::uint8_t { kRef, kAvx2, kAvx512 };

[[nodiscard]] Isa isa();
[[nodiscard]] const char* isa_name(Isa isa);

}  // namespace orrery::crypto
