// The checksum of the Internet protocols as RFC 1071 words it, to compare with.
#pragma once

#include "base/bytes.h"

namespace orrery {

/// Word by word; the complement, as it stands in a header. `sum` is what was added before.
inline std::uint16_t reference_checksum(Bytes bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace orrery
