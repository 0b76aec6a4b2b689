// Physical addresses: IP and UDP port of a path, and the same record with a prefix length in the
// port's place for networks, routes and assignments. Source: docs/protocol/00-overview.md
// section 4.1, docs/protocol/04-paths-and-roots.md section 9; tests/vectors/inetaddress.json.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/cursor.h"

namespace orrery::wire {

/// IP address with a 16-bit companion: UDP port or prefix length. A nil endpoint has family 0.
struct Endpoint {
  std::uint8_t family = 0;            // 0 nil, 4, 6
  std::array<std::uint8_t, 16> ip{};  // network order; IPv4 in the first 4 bytes, the rest zero
  std::uint16_t port = 0;             // UDP port, or prefix length in bits

  static Endpoint v4(std::uint32_t ip_be_number, std::uint16_t port);  // 0x0a000001 is 10.0.0.1
  static Endpoint v6(Bytes ip16, std::uint16_t port);

  explicit operator bool() const { return family != 0; }

  [[nodiscard]] std::size_t ip_size() const { return family == 4 ? 4 : family == 6 ? 16 : 0; }

  [[nodiscard]] Bytes ip_bytes() const { return Bytes(ip).first(ip_size()); }

  [[nodiscard]] bool same_ip(const Endpoint& o) const { return family == o.family && ip == o.ip; }

  /// Same address, other port or prefix length.
  [[nodiscard]] Endpoint with_port(std::uint16_t p) const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// Class of an IP address; a larger number is preferred as a path. Values are protocol constants.
enum class IpScope : std::uint8_t {
  kNone = 0,
  kMulticast = 1,
  kLoopback = 2,
  kPseudoPrivate = 3,
  kGlobal = 4,
  kLinkLocal = 5,
  kShared = 6,
  kPrivate = 7,
};

[[nodiscard]] IpScope scope_of(const Endpoint& endpoint);
/// Whether `network` (its port is the prefix length) contains the IP of `ip`. An IPv6
/// network with bits set beyond its prefix contains nothing (inetaddress.json `contains`).
[[nodiscard]] bool contains(const Endpoint& network, const Endpoint& ip);

/// "10.0.0.1/9993", "2001:db8::1/9993"; empty text for nil.
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
/// The IP alone.
[[nodiscard]] std::string ip_to_string(const Endpoint& endpoint);
/// "IP" or "IP/number", empty text for nil; see tests/vectors/inetaddress.json `text` for what is
/// accepted.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);

/// Wire form. Types 1 to 3 are skipped and yield nil; an unknown type fails the reader.
[[nodiscard]] Endpoint read_endpoint(Reader& reader);
void write_endpoint(Writer& writer, const Endpoint& endpoint);

}  // namespace orrery::wire
