// RENDEZVOUS: [1] flags, [5] address, [2] port, [1] 4 or 16, IP.
// Source: docs/protocol/03-verbs.md 0x05.
#pragma once

#include <optional>

#include "wire/address.h"
#include "wire/endpoint.h"

namespace orrery::wire {

struct Rendezvous {
  std::uint8_t flags = 0;
  Address with;
  Endpoint endpoint;
};

/// Nothing for port 0, another IP length or a packet cut short.
[[nodiscard]] inline std::optional<Rendezvous> decode_rendezvous(Bytes payload) {
  Reader r(payload);
  Rendezvous v;
  v.flags = r.u8();
  v.with = Address{r.u40()};
  const std::uint16_t port = r.u16();
  const std::uint8_t size = r.u8();
  const Bytes ip = r.bytes(size);
  if (!r.ok() || port == 0) return std::nullopt;
  if (size == 4) {
    v.endpoint = Endpoint::v4(load_be32(ip.data()), port);
  } else if (size == 16) {
    v.endpoint = Endpoint::v6(ip, port);
  } else {
    return std::nullopt;
  }
  return v;
}

inline void encode_rendezvous(Writer& w, const Rendezvous& v) {
  w.u8(v.flags);
  w.u40(v.with.value);
  w.u16(v.endpoint.port);
  w.u8(static_cast<std::uint8_t>(v.endpoint.ip_size()));
  w.bytes(v.endpoint.ip_bytes());
}

}  // namespace orrery::wire
