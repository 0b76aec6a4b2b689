// Whether a credential is genuine: right signer, right signature. The signer's identity comes from
// a look-up, since it may have to be asked for first. Source: docs/protocol/08-credentials.md
// sections 2.3, 4 to 7; tests/vectors/{com,tag,capability,coo,revocation}.json `verify`.
#pragma once

#include <functional>

#include "crypto/curve.h"
#include "wire/credential.h"

namespace orrery::fib {

enum class CredentialCheck : std::uint8_t { kValid, kInvalid, kSignerUnknown };

/// Identity of an address, or null when it is not known. Valid during the check.
using IdentityLookup = std::function<const wire::Identity*(wire::Address)>;

/// `unknown`, when given, receives the address that must be looked up after kSignerUnknown.
[[nodiscard]] CredentialCheck check(const wire::CertificateOfMembership& com,
                                    const IdentityLookup& lookup, wire::Address* unknown = nullptr);
[[nodiscard]] CredentialCheck check(const wire::Tag& tag, const IdentityLookup& lookup,
                                    wire::Address* unknown = nullptr);
[[nodiscard]] CredentialCheck check(const wire::Capability& capability,
                                    const IdentityLookup& lookup, wire::Address* unknown = nullptr);
[[nodiscard]] CredentialCheck check(const wire::CertificateOfOwnership& ownership,
                                    const IdentityLookup& lookup, wire::Address* unknown = nullptr);
[[nodiscard]] CredentialCheck check(const wire::Revocation& revocation,
                                    const IdentityLookup& lookup, wire::Address* unknown = nullptr);

}  // namespace orrery::fib
