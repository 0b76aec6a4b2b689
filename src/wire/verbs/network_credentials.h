// NETWORK_CREDENTIALS: COMs, a zero byte, then counted lists of capabilities, tags, revocations,
// ownership certificates. Source: docs/protocol/03-verbs.md 0x0a; docs/protocol/08-credentials.md
// section 9; tests/vectors/credential_push.json.
#pragma once

#include "wire/credential.h"

namespace orrery::wire {

/// Visits every credential in order: `visit(const T&)` for each of the five kinds. The packet may
/// end after any list. False at the first malformed one (what came before was visited).
template <typename Visitor>
[[nodiscard]] bool for_each_credential(Bytes payload, Visitor&& visit) {
  Reader r(payload);
  while (r.remaining() != 0 && payload[r.position()] != 0) {
    const auto com = read_com(r);
    if (!com) return false;
    visit(*com);
  }
  if (r.remaining() == 0) return true;
  r.skip(1);
  const auto list = [&](auto read) {
    if (r.remaining() == 0) return true;
    const std::uint16_t count = r.u16();
    for (std::uint16_t i = 0; i < count && r.ok(); ++i) {
      const auto credential = read(r);
      if (!credential) return false;
      visit(*credential);
    }
    return r.ok();
  };
  return list(read_capability) && list(read_tag) && list(read_revocation) && list(read_ownership);
}

}  // namespace orrery::wire
