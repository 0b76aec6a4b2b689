#include "wire/mac.h"

namespace orrery::wire {
MulticastGroup resolution_group(const Endpoint& ip) {
  if (ip.family == 4) return {kBroadcastMac, load_be32(ip.ip.data())};
  if (ip.family == 6) {
    const std::uint64_t tail = load_be32(ip.ip.data() + 12) & 0xffffff;
    return {Mac{0x3333ff000000ULL | tail}, 0};
  }
  return {};
}

Endpoint rfc4193_address(Address address, NetworkId network) {
  std::array<std::uint8_t, 16> ip{};
  Writer writer(ip);
  writer.u8(0xfd);
  writer.u64(network.value);
  writer.u16(0x9993);
  writer.u40(address.value);
  return Endpoint::v6(ip, 88);
}

Endpoint sixplane_address(Address address, NetworkId network) {
  std::array<std::uint8_t, 16> ip{};
  Writer writer(ip);
  writer.u8(0xfc);
  writer.u32(static_cast<std::uint32_t>(network.value ^ (network.value >> 32)));
  writer.u40(address.value);
  ip[15] = 1;
  return Endpoint::v6(ip, 40);
}

std::string to_string(Mac mac) {
  std::array<std::uint8_t, 6> octets;
  mac.store(octets.data());
  std::string text;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (i != 0) text += ':';
    text += to_hex(Bytes(octets).subspan(i, 1));
  }
  return text;
}

std::optional<Mac> parse_mac(std::string_view text) {
  std::uint64_t value = 0;
  int digits = 0;
  for (const char c : text) {
    if (c == ':' || c == '-') continue;
    const int digit = hex_digit(c);
    if (digit < 0 || ++digits > 12) return std::nullopt;
    value = (value << 4) | static_cast<std::uint64_t>(digit);
  }
  if (digits != 12) return std::nullopt;
  return Mac{value};
}

}  // namespace orrery::wire
