// What one node keeps of another in one network: credentials that were accepted, and what has been revoked.
//
// Credentials only move forward: an older one, or one at or below a revocation threshold, is rejected. The thresholds of tags,
// capabilities and ownership stay apart from the membership's (the reference mixes them up).
// Source: docs/protocol/08-credentials.md sections 8 to 10; tests/vectors/membership.json.
#pragma once

#include <map>

#include "base/time.h"
#include "fib/credential_check.h"
#include "fib/records.h"
#include "wire/network_config.h"

namespace orrery::control {

enum class Accepted : std::uint8_t { kNew, kRedundant, kRejected, kNeedsSigner };

class MemberRecord {
 public:
  Accepted add(const wire::CertificateOfMembership& com, const fib::IdentityLookup& lookup, wire::Address* unknown);
  Accepted add(const wire::Tag& tag, const fib::IdentityLookup& lookup, wire::Address* unknown);
  Accepted add(const wire::Capability& capability, const fib::IdentityLookup& lookup, wire::Address* unknown);
  Accepted add(const wire::CertificateOfOwnership& ownership, const fib::IdentityLookup& lookup, wire::Address* unknown);
  /// kNew: the threshold grew; pass it on if it asks for fast propagation.
  Accepted add(const wire::Revocation& revocation, const fib::IdentityLookup& lookup, wire::Address* unknown);

  /// The gate of a private network. `hash`: SHA-384 of the member's identity.
  [[nodiscard]] bool allowed(const wire::NetworkConfig& config, Bytes hash) const;
  /// Tags, capabilities and ownership that are valid against our configuration now.
  void current(const wire::NetworkConfig& config, fib::Member& out) const;

  [[nodiscard]] const wire::CertificateOfMembership& com() const { return com_; }
  [[nodiscard]] std::int64_t com_threshold() const { return com_threshold_; }

  Millis last_push = 0;          // mono, our credentials to it; 0 never
  Millis last_like = 0;          // mono, our multicast groups to it
  Millis last_need_error = 0;    // mono, "need certificate" sent to it
  Millis last_credentials = 0;   // mono, credentials packet accepted from it
  double check_tokens = 10;      // verification bucket: failures and inline certificates, 5 a second, burst 10
  Millis check_at = 0;
  bool seen = false;             // a frame or credential arrived from it, or we sent to it

 private:
  using RevocationKey = std::pair<std::uint8_t, std::uint32_t>;  // type, id

  template <typename T>
  Accepted add_to(std::map<std::uint32_t, T>& store, wire::CredentialType type, const T& credential,
                  const fib::IdentityLookup& lookup, wire::Address* unknown);
  [[nodiscard]] bool valid_now(const wire::NetworkConfig& config, wire::CredentialType type, std::uint32_t id,
                               std::int64_t timestamp) const;

  wire::CertificateOfMembership com_;
  std::int64_t com_threshold_ = 0;
  std::map<std::uint32_t, wire::Tag> tags_;
  std::map<std::uint32_t, wire::Capability> capabilities_;
  std::map<std::uint32_t, wire::CertificateOfOwnership> ownerships_;
  std::map<RevocationKey, std::int64_t> thresholds_;
};

/// The parts of a configuration that the frame path needs.
[[nodiscard]] fib::Network network_record(const wire::NetworkConfig& config);
[[nodiscard]] fib::CapabilityRules capability_rules(const wire::Capability& capability);
void add_ownership(const wire::CertificateOfOwnership& ownership, fib::Ownership& out);

}  // namespace orrery::control
