// A network's configuration for one member: the dictionary as a struct.
//
// Decoding allocates, bounded by the limits below, since binary values are escaped in the
// dictionary: configurations arrive once a minute, not per packet. Source:
// docs/protocol/07-network-config.md section 4; tests/vectors/netconf.json.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/credential.h"

namespace orrery::wire {

inline constexpr std::size_t kMaxSpecialists = 512;  // 1.16; 1.14 members read 256
inline constexpr std::size_t kMaxRoutes = 128;
inline constexpr std::size_t kMaxStaticIps = 32;
inline constexpr std::size_t kMaxTags = 128;
inline constexpr std::size_t kMaxCapabilities = 128;
inline constexpr std::size_t kMaxOwnerships = 4;
inline constexpr std::size_t kMaxDnsServers = 4;
inline constexpr std::size_t kMaxConfigSize =
    484520;  // bytes of a dictionary a 1.14 member assembles
inline constexpr std::uint16_t kMtuDefault = 2800;
inline constexpr std::uint16_t kMtuMin = 1280;
inline constexpr std::uint16_t kMtuMax = 10000;

/// A node with a role: low 40 bits address, high 24 bits roles; unknown role bits are kept.
struct Specialist {
  static constexpr std::uint64_t kActiveBridge = 0x0000020000000000ULL;
  static constexpr std::uint64_t kAnchor = 0x0000040000000000ULL;
  static constexpr std::uint64_t kReplicator = 0x0000080000000000ULL;
  static constexpr std::uint64_t kNetworkRelay = 0x0000100000000000ULL;  // 1.16; shown, not used
  std::uint64_t value = 0;

  [[nodiscard]] Address address() const { return Address{value & 0xffffffffffULL}; }

  [[nodiscard]] bool has(std::uint64_t role) const { return (value & role) != 0; }

  friend bool operator==(const Specialist&, const Specialist&) = default;
};

struct Route {
  Endpoint target;  // prefix length in the port field
  Endpoint via;     // nil: on-link
  std::uint16_t flags = 0;
  std::uint16_t metric = 0;
  friend bool operator==(const Route&, const Route&) = default;
};

struct NetworkConfig {
  static constexpr std::uint64_t kBroadcast = 0x02;
  static constexpr std::uint64_t kNdpEmulation = 0x04;
  static constexpr std::uint64_t kUnknownMatch = 0x08;
  static constexpr std::uint64_t kNoCompression = 0x10;

  std::uint64_t version = 7;
  NetworkId network;
  std::int64_t timestamp = 0;              // controller's clock, ms
  std::uint64_t credential_max_delta = 0;  // ms
  std::uint64_t revision = 0;
  Address issued_to;
  Address trace_target;
  std::uint64_t trace_level = 0;
  std::uint64_t flags = 0;
  std::uint64_t multicast_limit = 0;
  bool is_public = false;
  std::string name;  // at most 127 bytes
  std::uint16_t mtu = kMtuDefault;
  std::optional<CertificateOfMembership> com;
  std::vector<Capability> capabilities;  // ascending id after decoding
  std::vector<Tag> tags;                 // ascending id after decoding
  std::vector<CertificateOfOwnership> ownerships;
  std::vector<Specialist> specialists;
  std::vector<Route> routes;
  std::vector<Endpoint> static_ips;  // prefix length in the port field
  std::vector<Rule> rules;
  std::string dns_domain;
  std::vector<Endpoint> dns_servers;
  std::optional<std::uint64_t> sso_version;
  bool sso_enabled = false;
  std::string authentication_url;                                          // version 0
  std::uint64_t authentication_expiry = 0;                                 // version 0
  std::string issuer_url, central_url, nonce, state, client_id, provider;  // version 1

  [[nodiscard]] bool has_flag(std::uint64_t flag) const { return (flags & flag) != 0; }

  friend bool operator==(const NetworkConfig&, const NetworkConfig&) = default;
};

/// Nothing for what a member must reject (section 4.5).
[[nodiscard]] std::optional<NetworkConfig> decode_network_config(Bytes dictionary);
/// Keys in the reference's order.
[[nodiscard]] ByteVector encode_network_config(const NetworkConfig& config);

}  // namespace orrery::wire
