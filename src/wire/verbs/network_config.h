// NETWORK_CONFIG_REQUEST, and the signed chunk that its OK and NETWORK_CONFIG carry.
// Source: docs/protocol/03-verbs.md 0x0b, 0x0c; docs/protocol/07-network-config.md sections 2, 5;
// tests/vectors/netconf_request.json, netconf_delivery.json.
#pragma once

#include <optional>

#include "wire/header.h"

namespace orrery::wire {

struct NetworkConfigRequest {
  NetworkId network;
  Bytes metadata;                   // dictionary; may be empty
  std::uint64_t have_revision = 0;  // 0 also when absent
  std::uint64_t have_timestamp = 0;
};

[[nodiscard]] inline std::optional<NetworkConfigRequest> decode_network_config_request(
    Bytes payload) {
  Reader r(payload);
  NetworkConfigRequest q;
  q.network = NetworkId{r.u64()};
  if (!r.ok()) return std::nullopt;
  if (r.remaining() == 0) return q;
  q.metadata = r.bytes(r.u16());
  if (!r.ok()) return std::nullopt;
  if (r.remaining() >= 16) {
    q.have_revision = r.u64();
    q.have_timestamp = r.u64();
  }
  return q;
}

inline void encode_network_config_request(Writer& w, const NetworkConfigRequest& q) {
  w.u64(q.network.value);
  w.u16(static_cast<std::uint16_t>(q.metadata.size()));
  w.bytes(q.metadata);
  w.u64(q.have_revision);
  w.u64(q.have_timestamp);
}

/// [8] network, [2] length, data, [1] flags, [8] update id, [4] total length, [4] offset, [1] 1,
/// [2] 96, [96] signature.
struct ConfigChunk {
  static constexpr std::uint8_t kPropagate = 0x01;
  static constexpr std::size_t kOverhead = 126;  // bytes beside the data

  NetworkId network;
  Bytes data;
  bool has_signature = false;  // false: legacy form, a whole configuration in one unsigned chunk
  std::uint8_t flags = 0;
  std::uint64_t update_id = 0;
  std::uint32_t total = 0;   // bytes of the whole dictionary
  std::uint32_t offset = 0;  // byte offset of this chunk
  Bytes signed_region;       // view: network id to offset
  Bytes signature;           // 96 bytes; view
  Bytes body;                // view: everything, for passing on unchanged
};

/// Nothing when cut short, or signed with another type or length.
[[nodiscard]] inline std::optional<ConfigChunk> decode_config_chunk(Bytes body) {
  Reader r(body);
  ConfigChunk c;
  c.network = NetworkId{r.u64()};
  c.data = r.bytes(r.u16());
  if (!r.ok()) return std::nullopt;
  c.body = body;
  if (r.remaining() == 0) {
    c.total = static_cast<std::uint32_t>(c.data.size());
    return c;
  }
  c.has_signature = true;
  c.flags = r.u8();
  c.update_id = r.u64();
  c.total = r.u32();
  c.offset = r.u32();
  const std::size_t signed_size = r.position();
  if (r.u8() != 1 || r.u16() != 96) r.fail();
  c.signature = r.bytes(96);
  if (!r.ok()) return std::nullopt;
  c.signed_region = body.first(signed_size);
  c.body = body.first(r.position());
  return c;
}

/// The signed region; append_config_signature() follows once it has been signed.
inline void encode_config_chunk(Writer& w, const ConfigChunk& c) {
  w.u64(c.network.value);
  w.u16(static_cast<std::uint16_t>(c.data.size()));
  w.bytes(c.data);
  w.u8(c.flags);
  w.u64(c.update_id);
  w.u32(c.total);
  w.u32(c.offset);
}

inline void append_config_signature(Writer& w, Bytes signature96) {
  w.u8(1);
  w.u16(96);
  w.bytes(signature96);
}

}  // namespace orrery::wire
