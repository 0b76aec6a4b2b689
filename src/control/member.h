// What this node holds of one peer in one network: its certificates, and what has been revoked.
//
// Credentials are filed under the member they were issued to, whoever delivered them. All
// comparisons are between timestamps the controller made, never with our clock. The threshold of
// the membership certificate and those of tags, capabilities and ownership are kept apart: revoking
// a tag does not cut the member off (the reference node does; see docs/protocol/08-credentials.md
// section 9.3). Every list is bounded; the oldest credential gives way.
// Source: docs/protocol/08-credentials.md sections 8 to 10; tests/vectors/membership.json.
#pragma once

#include <map>
#include <memory>

#include "fib/credential_check.h"
#include "fib/records.h"
#include "wire/network_config.h"

namespace orrery::control {

enum class AddResult : std::uint8_t {
  kNew,
  kRedundant,
  kNeedsSigner,
  // rejected:
  kStale,    // older than what is held
  kRevoked,  // not newer than a revocation
  kInvalid,  // wrong signature, or no credential at all
  kNotHeld,  // the lists are full of newer ones
};

[[nodiscard]] constexpr bool rejected(AddResult result) {
  return result >= AddResult::kStale;
}

class Membership {
 public:
  static constexpr std::size_t kMaxThresholds = 1024;

  AddResult add(const wire::CertificateOfMembership& com, const fib::IdentityLookup& lookup);
  AddResult add(const wire::Tag& tag, const fib::IdentityLookup& lookup);
  AddResult add(const wire::Capability& capability, const fib::IdentityLookup& lookup);
  AddResult add(const wire::CertificateOfOwnership& ownership, const fib::IdentityLookup& lookup);
  AddResult add(const wire::Revocation& revocation, const fib::IdentityLookup& lookup);

  /// The gate of a private network. `their_hash`: fingerprint of the member's identity.
  [[nodiscard]] bool allowed(const wire::CertificateOfMembership& mine, Bytes their_hash) const;

  /// Put out, and no certificate of afterwards has come.
  [[nodiscard]] bool revoked() const {
    return com_threshold_ != 0 && com_timestamp() <= com_threshold_;
  }

  /// Credentials that are valid beside a configuration of this timestamp and max delta.
  [[nodiscard]] std::vector<fib::Tag> usable_tags(const wire::NetworkConfig& config) const;
  [[nodiscard]] std::vector<fib::CapabilityRules> usable_capabilities(
      const wire::NetworkConfig& config) const;
  [[nodiscard]] fib::Ownership usable_ownership(const wire::NetworkConfig& config) const;

  [[nodiscard]] std::int64_t com_timestamp() const { return com_ ? com_.timestamp() : 0; }

  [[nodiscard]] std::int64_t com_threshold() const { return com_threshold_; }

 private:
  struct HeldCapability {
    wire::Capability capability;
    std::shared_ptr<const std::vector<wire::Rule>> rules;  // as published; one list for all records
  };

  using ThresholdKey = std::pair<std::uint8_t, std::uint32_t>;  // credential type, id

  [[nodiscard]] std::int64_t threshold(wire::CredentialType type, std::uint32_t id) const;
  [[nodiscard]] bool usable(const wire::NetworkConfig& config, std::int64_t timestamp,
                            wire::CredentialType type, std::uint32_t id) const;

  wire::CertificateOfMembership com_;
  std::int64_t com_threshold_ = 0;
  std::map<std::uint32_t, wire::Tag> tags_;
  std::map<std::uint32_t, HeldCapability> capabilities_;
  std::map<std::uint32_t, wire::CertificateOfOwnership> ownerships_;
  std::map<ThresholdKey, std::int64_t> thresholds_;
};

/// IPs and MACs of a certificate, appended to what rules see.
void append_ownership(fib::Ownership& to, const wire::CertificateOfOwnership& from);
/// The rules of a capability as a list that records share.
[[nodiscard]] std::shared_ptr<const std::vector<wire::Rule>> shared_rules(
    const wire::Capability& capability);

/// NETWORK_CREDENTIALS payloads that carry all of a configuration's credentials: certificate,
/// capabilities, tags, ownership; a new packet where the next item might not fit.
/// Source: docs/protocol/08-credentials.md section 11.1; tests/vectors/credential_push.json.
[[nodiscard]] std::vector<ByteVector> pack_credentials(const wire::NetworkConfig& config);
/// A packet with nothing but this revocation.
[[nodiscard]] ByteVector pack_revocation(const wire::Revocation& revocation);

}  // namespace orrery::control
