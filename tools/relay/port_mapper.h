// The NAT of a relay: UDP source ports of side A are others on side B, and become others again when
// it is told to forget them. What comes for a port that no one has is dropped, as a NAT does.
//
// Ports are turned by a mask, so nothing runs out. Only IPv4 UDP that is not fragmented has ports
// here; all else passes. Checksums are kept right (RFC 1624).
#pragma once

#include <bitset>
#include <cstdint>
#include <span>

namespace orrery::relay {

class PortMapper {
 public:
  /// From now on ports are turned by this mask; 0: as they are.
  void rebind(std::uint16_t mask) {
    mask_ = mask;
    used_.reset();
  }

  /// An Ethernet frame on its way; false: it is dropped.
  bool to_b(std::span<std::uint8_t> frame);
  bool to_a(std::span<std::uint8_t> frame);

 private:
  std::uint16_t mask_ = 0;
  std::bitset<65'536> used_;  // ports of side A that sent something since the last rebind
};

}  // namespace orrery::relay
