// Ethernet addresses of members, multicast groups, and the IPv6 addresses derived from (address,
// network). Source: docs/protocol/06-networks-and-mac.md sections 2, 3;
// docs/protocol/10-multicast-arp-ndp.md section 1; tests/vectors/addresses.json.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/address.h"
#include "wire/endpoint.h"

namespace orrery::wire {

/// 48-bit Ethernet address.
struct Mac {
  static constexpr std::size_t kSize = 6;

  std::uint64_t value = 0;  // low 48 bits, first octet on top

  explicit constexpr operator bool() const { return value != 0; }

  [[nodiscard]] constexpr std::uint8_t first_octet() const {
    return static_cast<std::uint8_t>(value >> 40);
  }

  [[nodiscard]] constexpr bool is_multicast() const { return (first_octet() & 1) != 0; }

  [[nodiscard]] constexpr bool is_broadcast() const { return value == 0xffffffffffffULL; }

  friend constexpr auto operator<=>(Mac, Mac) = default;

  static Mac load(const std::uint8_t* p) {
    return Mac{(static_cast<std::uint64_t>(load_be16(p)) << 32) | load_be32(p + 2)};
  }

  void store(std::uint8_t* p) const {
    store_be16(p, static_cast<std::uint16_t>(value >> 32));
    store_be32(p + 2, static_cast<std::uint32_t>(value));
  }
};

inline constexpr Mac kBroadcastMac{0xffffffffffffULL};

/// (MAC, additional distinguishing information) within a network.
struct MulticastGroup {
  Mac mac;
  std::uint32_t adi = 0;
  friend constexpr auto operator<=>(MulticastGroup, MulticastGroup) = default;
};

[[nodiscard]] constexpr std::uint8_t mac_first_octet(NetworkId network) {
  const auto f = static_cast<std::uint8_t>((network.value & 0xfe) | 0x02);
  return f == 0x52 ? 0x32 : f;  // 0x52 clashes with common hypervisors
}

/// What turns an address into MAC octets 1..5: bytes 6, 5, 4, 3, 2 of the network, the most
/// significant being byte 0.
[[nodiscard]] constexpr std::uint64_t mac_mask(NetworkId network) {
  return (__builtin_bswap64(network.value) >> 16) & 0xffffffffffULL;
}

[[nodiscard]] constexpr Mac mac_of(Address address, NetworkId network) {
  return Mac{(static_cast<std::uint64_t>(mac_first_octet(network)) << 40) |
             (address.value ^ mac_mask(network))};
}

/// Inverse of mac_of; ignores the first octet.
[[nodiscard]] constexpr Address address_of(Mac mac, NetworkId network) {
  return Address{(mac.value & 0xffffffffffULL) ^ mac_mask(network)};
}

/// The group that resolves an IP: (broadcast, address) for IPv4, solicited-node MAC for IPv6.
[[nodiscard]] MulticastGroup resolution_group(const Endpoint& ip);
/// RFC 4193 style address, prefix length 88 in the port field.
[[nodiscard]] Endpoint rfc4193_address(Address address, NetworkId network);
/// 6PLANE address ending in ::1, prefix length 40 in the port field.
[[nodiscard]] Endpoint sixplane_address(Address address, NetworkId network);

/// "d2:7c:f0:8d:0b:a2"
[[nodiscard]] std::string to_string(Mac mac);
/// Six hexadecimal octets; ':' and '-' between them are optional.
[[nodiscard]] std::optional<Mac> parse_mac(std::string_view text);

}  // namespace orrery::wire
