// Node addresses and network identifiers, the two names everything else hangs on.
// Source: docs/protocol/01-identity.md section 2, docs/protocol/06-networks-and-mac.md section 1.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace orrery::wire {

/// 40-bit node address. 0 and everything starting with byte 0xff is reserved.
struct Address {
  static constexpr std::size_t kSize = 5;  // bytes on the wire

  std::uint64_t value = 0;  // low 40 bits

  explicit constexpr operator bool() const { return value != 0; }

  [[nodiscard]] constexpr bool is_reserved() const { return value == 0 || (value >> 32) == 0xff; }

  friend constexpr auto operator<=>(Address, Address) = default;
};

/// 64-bit network identifier: controller address, then 24 bits of the controller's choice.
struct NetworkId {
  std::uint64_t value = 0;

  explicit constexpr operator bool() const { return value != 0; }

  [[nodiscard]] constexpr Address controller() const { return Address{value >> 24}; }

  /// First byte 0xff: no controller exists, members make the configuration themselves.
  [[nodiscard]] constexpr bool is_adhoc() const { return (value >> 56) == 0xff; }

  friend constexpr auto operator<=>(NetworkId, NetworkId) = default;
};

/// Ten lower-case hexadecimal digits.
[[nodiscard]] std::string to_string(Address address);
/// Sixteen lower-case hexadecimal digits.
[[nodiscard]] std::string to_string(NetworkId id);
/// Exactly ten hexadecimal digits; reserved addresses parse.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
/// Exactly sixteen hexadecimal digits.
[[nodiscard]] std::optional<NetworkId> parse_network_id(std::string_view text);

}  // namespace orrery::wire

template <>
struct std::hash<orrery::wire::Address> {
  std::size_t operator()(orrery::wire::Address a) const noexcept {
    return std::hash<std::uint64_t>{}(a.value);
  }
};

template <>
struct std::hash<orrery::wire::NetworkId> {
  std::size_t operator()(orrery::wire::NetworkId n) const noexcept {
    return std::hash<std::uint64_t>{}(n.value);
  }
};
