// PUSH_DIRECT_PATHS: [2] count, records of [1] flags, [2] extension length, extension, [1] type,
// [1] length, IP, [2] port. Source: docs/protocol/03-verbs.md 0x10.
#pragma once

#include "wire/endpoint.h"

namespace orrery::wire {

struct DirectPath {
  static constexpr std::uint8_t kForget = 0x01;
  static constexpr std::uint8_t kRedirect = 0x02;
  std::uint8_t flags = 0;
  Endpoint endpoint;
};

/// Calls `each(DirectPath)` for every IPv4 or IPv6 record; false at the first inconsistency (what
/// came before was seen).
template <typename Each>
[[nodiscard]] bool for_each_direct_path(Bytes payload, Each each) {
  Reader r(payload);
  const std::uint16_t count = r.u16();
  for (std::uint16_t i = 0; i < count && r.ok(); ++i) {
    DirectPath path;
    path.flags = r.u8();
    r.skip(r.u16());
    const std::uint8_t type = r.u8();
    const Bytes address = r.bytes(r.u8());
    if (!r.ok()) return false;
    if (type == 4 && address.size() == 6) {
      path.endpoint = Endpoint::v4(load_be32(address.data()), load_be16(address.data() + 4));
    } else if (type == 6 && address.size() == 18) {
      path.endpoint = Endpoint::v6(address.first(16), load_be16(address.data() + 16));
    } else if (type == 4 || type == 6) {
      return false;
    } else {
      continue;
    }
    each(path);
  }
  return r.ok();
}

/// One record without extension.
inline void write_direct_path(Writer& w, const DirectPath& path) {
  w.u8(path.flags);
  w.u16(0);
  w.u8(path.endpoint.family);
  w.u8(static_cast<std::uint8_t>(path.endpoint.ip_size() + 2));
  w.bytes(path.endpoint.ip_bytes());
  w.u16(path.endpoint.port);
}

}  // namespace orrery::wire
