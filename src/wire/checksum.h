// The checksum of the Internet protocols, over bytes of any length. Source: RFC 1071.
#pragma once

#include "base/bytes.h"

namespace orrery::wire {

/// One's-complement sum over bytes in network order; `sum` is a running value.
[[nodiscard]] std::uint32_t checksum_add(Bytes bytes, std::uint32_t sum);
/// The same, and copies the bytes. REQUIRES: to.size() >= bytes.size(), no overlap.
[[nodiscard]] std::uint32_t checksum_copy(MutableBytes to, Bytes bytes, std::uint32_t sum);
[[nodiscard]] std::uint16_t checksum_fold(std::uint32_t sum);

/// What stands in a header: the complement.
[[nodiscard]] inline std::uint16_t checksum_field(std::uint32_t sum) {
  return static_cast<std::uint16_t>(~checksum_fold(sum));
}

/// The same in UDP, whose zero says that there is none; to TCP 0xffff is as good.
[[nodiscard]] inline std::uint16_t checksum_field_nonzero(std::uint32_t sum) {
  const std::uint16_t field = checksum_field(sum);
  return field == 0 ? std::uint16_t{0xffff} : field;
}

}  // namespace orrery::wire
