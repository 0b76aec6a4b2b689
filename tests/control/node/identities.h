// Real identities for tests of the node: those of the golden vectors.
#pragma once

#include <stdexcept>

#include "crypto/curve.h"
#include "support/vectors.h"

namespace orrery::test {

/// The number-th identity of identity.json, `valid`, with its private key.
inline crypto::SecretIdentity identity_of_vectors(std::size_t number) {
  static const nlohmann::json cases = load_vectors("identity.json")["valid"];
  const auto parsed = wire::parse_identity(cases.at(number)["secret_text"].get<std::string>());
  if (!parsed || !parsed->has_private) throw std::runtime_error("identity.json: no such secret");
  return {parsed->identity, parsed->private_key};
}

}  // namespace orrery::test
