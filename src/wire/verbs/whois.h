// WHOIS: addresses back to back; its OK: identities back to back.
// Source: docs/protocol/03-verbs.md 0x04.
#pragma once

#include "wire/identity.h"

namespace orrery::wire {

/// Calls `each(Address)` for every whole address; trailing bytes are ignored.
template <typename Each>
void for_each_whois_address(Bytes payload, Each each) {
  Reader r(payload);
  while (r.remaining() >= Address::kSize) each(Address{r.u40()});
}

/// Calls `each(const Identity&)` for every identity of OK(WHOIS); false if the list ends malformed.
template <typename Each>
[[nodiscard]] bool for_each_whois_identity(Bytes rest, Each each) {
  Reader r(rest);
  while (r.remaining() != 0) {
    auto parsed = read_identity(r);
    if (!parsed) return false;
    burn(parsed->private_key);
    each(parsed->identity);
  }
  return true;
}

}  // namespace orrery::wire
