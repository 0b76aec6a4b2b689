#include "fib/credential_check.h"

namespace orrery::fib {
namespace {

CredentialCheck signed_by(wire::Address signer, Bytes message, const wire::Signature96& signature,
                          const IdentityLookup& lookup, wire::Address* unknown) {
  const wire::Identity* identity = lookup(signer);
  if (identity == nullptr) {
    if (unknown != nullptr) *unknown = signer;
    return CredentialCheck::kSignerUnknown;
  }
  return crypto::verify(identity->public_key, message, signature) ? CredentialCheck::kValid
                                                                  : CredentialCheck::kInvalid;
}

/// Only the network's controller signs.
template <typename Credential>
CredentialCheck controller_signed(const Credential& c, Bytes message, const IdentityLookup& lookup,
                                  wire::Address* unknown) {
  if (!c.signed_by || c.signed_by != c.network.controller()) return CredentialCheck::kInvalid;
  return signed_by(c.signed_by, message, c.signature, lookup, unknown);
}

}  // namespace

CredentialCheck check(const wire::CertificateOfMembership& com, const IdentityLookup& lookup,
                      wire::Address* unknown) {
  if (!com || !com.signed_by || com.signed_by != com.network().controller())
    return CredentialCheck::kInvalid;
  return signed_by(com.signed_by, wire::com_signed_bytes(com), com.signature, lookup, unknown);
}

CredentialCheck check(const wire::Tag& tag, const IdentityLookup& lookup, wire::Address* unknown) {
  return controller_signed(tag, wire::tag_signed_bytes(tag), lookup, unknown);
}

CredentialCheck check(const wire::Capability& c, const IdentityLookup& lookup,
                      wire::Address* unknown) {
  if (c.custody_count == 0) return CredentialCheck::kInvalid;
  const ByteVector message = wire::capability_signed_bytes(c);
  for (std::size_t i = 0; i < c.custody_count; ++i) {
    const auto& custody = c.custody[i];
    if (!custody.to || !custody.from) return CredentialCheck::kInvalid;
    if (i == 0 ? custody.from != c.network.controller() : custody.from != c.custody[i - 1].to) {
      return CredentialCheck::kInvalid;
    }
    const CredentialCheck one =
        signed_by(custody.from, message, custody.signature, lookup, unknown);
    if (one != CredentialCheck::kValid) return one;
  }
  return CredentialCheck::kValid;
}

CredentialCheck check(const wire::CertificateOfOwnership& o, const IdentityLookup& lookup,
                      wire::Address* unknown) {
  return controller_signed(o, wire::ownership_signed_bytes(o), lookup, unknown);
}

CredentialCheck check(const wire::Revocation& r, const IdentityLookup& lookup,
                      wire::Address* unknown) {
  return controller_signed(r, wire::revocation_signed_bytes(r), lookup, unknown);
}

}  // namespace orrery::fib
