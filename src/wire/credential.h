// Certificates of membership, tags, capabilities, certificates of ownership and revocations:
// layouts and the exact bytes that are signed. Whether a signature holds is
// fib/credential_check.h's business. Source: docs/protocol/08-credentials.md;
// tests/vectors/com.json, tag.json, capability.json, coo.json, revocation.json.
#pragma once

#include <array>
#include <optional>

#include "base/cursor.h"
#include "wire/address.h"
#include "wire/endpoint.h"
#include "wire/mac.h"
#include "wire/rule.h"

namespace orrery::wire {

using Signature96 = std::array<std::uint8_t, 96>;

/// Codes that appear in revocations.
enum class CredentialType : std::uint8_t {
  kMembership = 1,
  kCapability = 2,
  kTag = 3,
  kOwnership = 4,
  kRevocation = 6,
};

inline constexpr std::size_t kMaxQualifiers = 8;
inline constexpr std::size_t kMaxCustody = 7;
inline constexpr std::size_t kMaxThings = 16;

/// [1] 1, [2] n, n x ([8] id, [8] value, [8] max delta), [5] signer, [96] signature if the signer
/// is not zero.
struct CertificateOfMembership {
  struct Qualifier {
    std::uint64_t id = 0;
    std::uint64_t value = 0;
    std::uint64_t max_delta = 0;
    friend bool operator==(const Qualifier&, const Qualifier&) = default;
  };

  static constexpr std::uint64_t kTimestamp = 0;
  static constexpr std::uint64_t kNetwork = 1;
  static constexpr std::uint64_t kIssuedTo = 2;
  static constexpr std::uint64_t kHash0 = 3;  // 3..6: the first 32 bytes of the identity's SHA-384
  static constexpr std::uint64_t kAnyDelta = ~std::uint64_t{0};

  std::array<Qualifier, kMaxQualifiers> qualifiers{};  // ids never decrease
  std::uint8_t count = 0;
  Address signed_by;
  Signature96 signature{};

  explicit operator bool() const { return count != 0; }

  [[nodiscard]] std::optional<std::uint64_t> value(std::uint64_t id) const;

  [[nodiscard]] std::int64_t timestamp() const {
    return static_cast<std::int64_t>(value(kTimestamp).value_or(0));
  }

  [[nodiscard]] NetworkId network() const { return NetworkId{value(kNetwork).value_or(0)}; }

  [[nodiscard]] Address issued_to() const { return Address{value(kIssuedTo).value_or(0)}; }

  friend bool operator==(const CertificateOfMembership&, const CertificateOfMembership&) = default;
};

[[nodiscard]] std::optional<CertificateOfMembership> read_com(Reader& reader);
void write_com(Writer& writer, const CertificateOfMembership& com);
/// The qualifier tuples as on the wire.
[[nodiscard]] ByteVector com_signed_bytes(const CertificateOfMembership& com);
/// Evaluated with the deltas of `mine`; `their_hash`: SHA-384 of the identity that holds `theirs`
/// (48 bytes, 32 are used). A certificate of theirs without hash qualifiers is refused when ours
/// has them.
[[nodiscard]] bool agrees(const CertificateOfMembership& mine,
                          const CertificateOfMembership& theirs, Bytes their_hash);

/// [8] network, [8] timestamp, [4] id, [4] value, [5] to, [5] by, signature block, extra.
struct Tag {
  NetworkId network;
  std::int64_t timestamp = 0;
  std::uint32_t id = 0;
  std::uint32_t value = 0;
  Address issued_to;
  Address signed_by;
  Signature96 signature{};
  friend bool operator==(const Tag&, const Tag&) = default;
};

[[nodiscard]] std::optional<Tag> read_tag(Reader& reader);
void write_tag(Writer& writer, const Tag& tag);
[[nodiscard]] ByteVector tag_signed_bytes(const Tag& tag);

/// [8] network, [8] timestamp, [4] id, [2] rules, rules, [1] max custody, custody entries, [5]
/// zero, extra.
struct Capability {
  struct Custody {
    Address to;
    Address from;
    Signature96 signature{};
    friend bool operator==(const Custody&, const Custody&) = default;
  };

  NetworkId network;
  std::int64_t timestamp = 0;
  std::uint32_t id = 0;
  std::uint16_t rule_count = 0;
  std::array<Rule, kMaxCapabilityRules> rules{};
  std::uint8_t max_custody = 1;
  std::uint8_t custody_count = 0;
  std::array<Custody, kMaxCustody> custody{};

  [[nodiscard]] Address issued_to() const {
    return custody_count == 0 ? Address{} : custody[custody_count - 1u].to;
  }

  friend bool operator==(const Capability&, const Capability&) = default;
};

[[nodiscard]] std::optional<Capability> read_capability(Reader& reader);
void write_capability(Writer& writer, const Capability& capability);
/// The same for every holder of the chain.
[[nodiscard]] ByteVector capability_signed_bytes(const Capability& capability);

/// [8] network, [8] timestamp, [8] flags, [4] id, [2] n, n x ([1] type, [16] value), [5] to, [5]
/// by, signature block, extra.
struct CertificateOfOwnership {
  static constexpr std::uint8_t kMac = 1;
  static constexpr std::uint8_t kIpv4 = 2;
  static constexpr std::uint8_t kIpv6 = 3;

  struct Thing {
    std::uint8_t type = 0;
    std::array<std::uint8_t, 16> value{};  // zero-padded on the right
    friend bool operator==(const Thing&, const Thing&) = default;
  };

  NetworkId network;
  std::int64_t timestamp = 0;
  std::uint64_t flags = 0;
  std::uint32_t id = 0;
  std::uint16_t count = 0;
  std::array<Thing, kMaxThings> things{};
  Address issued_to;
  Address signed_by;
  Signature96 signature{};

  [[nodiscard]] bool owns(const Endpoint& ip) const;
  [[nodiscard]] bool owns(Mac mac) const;
  /// False when full.
  bool add(const Endpoint& ip);
  bool add(Mac mac);
  friend bool operator==(const CertificateOfOwnership&, const CertificateOfOwnership&) = default;
};

[[nodiscard]] std::optional<CertificateOfOwnership> read_ownership(Reader& reader);
void write_ownership(Writer& writer, const CertificateOfOwnership& ownership);
[[nodiscard]] ByteVector ownership_signed_bytes(const CertificateOfOwnership& ownership);

/// [4] 0, [4] id, [8] network, [4] 0, [4] credential id, [8] threshold, [8] flags, [5] target, [5]
/// by, [1] type, signature, extra.
struct Revocation {
  static constexpr std::uint64_t kFastPropagation = 1;

  std::uint32_t id = 0;
  NetworkId network;
  std::uint32_t credential_id = 0;
  std::int64_t threshold = 0;  // credentials up to and including this timestamp are invalid
  std::uint64_t flags = 0;
  Address target;
  Address signed_by;
  std::uint8_t type = 0;  // CredentialType
  Signature96 signature{};
  friend bool operator==(const Revocation&, const Revocation&) = default;
};

[[nodiscard]] std::optional<Revocation> read_revocation(Reader& reader);
void write_revocation(Writer& writer, const Revocation& revocation);
[[nodiscard]] ByteVector revocation_signed_bytes(const Revocation& revocation);

}  // namespace orrery::wire
