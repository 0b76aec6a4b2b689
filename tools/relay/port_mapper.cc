#include "relay/port_mapper.h"

namespace orrery::relay {

namespace {

std::uint16_t load(const std::uint8_t* p) {
  return static_cast<std::uint16_t>(p[0] << 8 | p[1]);
}

void store(std::uint8_t* p, std::uint16_t value) {
  p[0] = static_cast<std::uint8_t>(value >> 8);
  p[1] = static_cast<std::uint8_t>(value);
}

/// The UDP header of an Ethernet frame, or null.
std::uint8_t* udp_of(std::span<std::uint8_t> frame) {
  constexpr std::size_t kEthernet = 14, kIpLeast = 20, kUdp = 8;
  if (frame.size() < kEthernet + kIpLeast + kUdp || load(&frame[12]) != 0x0800) return nullptr;
  const std::uint8_t* ip = &frame[kEthernet];
  if (ip[9] != 17 || (load(ip + 6) & 0x3fff) != 0) return nullptr;
  const std::size_t head = 4u * (ip[0] & 15u);
  return head < kIpLeast || frame.size() < kEthernet + head + kUdp ? nullptr
                                                                   : &frame[kEthernet + head];
}

/// Replaces a port; its checksum (at 6) follows unless there is none.
void turn(std::uint8_t* udp, std::size_t port_at, std::uint16_t mask) {
  const std::uint16_t before = load(udp + port_at), after = before ^ mask;
  store(udp + port_at, after);
  const std::uint16_t sum = load(udp + 6);
  if (sum == 0) return;
  std::uint32_t next =
      static_cast<std::uint16_t>(~sum) + std::uint32_t{static_cast<std::uint16_t>(~before)} + after;
  next = (next & 0xffff) + (next >> 16);
  next = (next & 0xffff) + (next >> 16);
  const auto complement = static_cast<std::uint16_t>(~next);
  store(udp + 6, complement == 0 ? 0xffff : complement);
}

}  // namespace

bool PortMapper::to_b(std::span<std::uint8_t> frame) {
  std::uint8_t* udp = udp_of(frame);
  if (mask_ == 0 || udp == nullptr) return true;
  used_.set(load(udp));
  turn(udp, 0, mask_);
  return true;
}

bool PortMapper::to_a(std::span<std::uint8_t> frame) {
  std::uint8_t* udp = udp_of(frame);
  if (mask_ == 0 || udp == nullptr) return true;
  if (!used_.test(load(udp + 2) ^ mask_)) return false;
  turn(udp, 2, mask_);
  return true;
}

}  // namespace orrery::relay
