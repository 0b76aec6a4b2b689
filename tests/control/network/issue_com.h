// A certificate of membership as a controller issues it; for forged ones, another key signs.
#pragma once

#include "crypto/kdf.h"
#include "wire/credential.h"

namespace orrery::test {

inline wire::CertificateOfMembership issue_com(const crypto::SecretIdentity& controller,
                                               wire::NetworkId network, const wire::Identity& to,
                                               std::int64_t timestamp, std::uint64_t max_delta) {
  wire::CertificateOfMembership com;
  const auto hash = crypto::fingerprint(to);
  com.qualifiers[0] = {0, static_cast<std::uint64_t>(timestamp), max_delta};
  com.qualifiers[1] = {1, network.value, 0};
  com.qualifiers[2] = {2, to.address.value, wire::CertificateOfMembership::kAnyDelta};
  for (std::size_t i = 0; i < 4; ++i) {
    com.qualifiers[3 + i] = {3 + i, load_be64(hash.data() + 8 * i),
                             wire::CertificateOfMembership::kAnyDelta};
  }
  com.count = 7;
  com.signed_by = controller.address();
  com.signature = crypto::sign(controller, wire::com_signed_bytes(com));
  return com;
}

}  // namespace orrery::test
