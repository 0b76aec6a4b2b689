// HELLO and its OK: who we are, where we think you are, which worlds we hold.
//
// HELLO: [1] protocol, [1] major, [1] minor, [2] revision, [8] time, identity, endpoint, [8] planet
// id, [8] planet time,
//        masked: [2] moons, moons x ([1] type, [8] id, [8] time), extensions
// OK:    [8] echoed time, [1] protocol, [1] major, [1] minor, [2] revision, endpoint, [2] worlds
// length, worlds Source: docs/protocol/03-verbs.md 0x01; tests/vectors/hello.json.
#pragma once

#include <optional>

#include "wire/endpoint.h"
#include "wire/header.h"
#include "wire/identity.h"

namespace orrery::wire {

inline constexpr std::uint8_t kWorldTypePlanet = 1;
inline constexpr std::uint8_t kWorldTypeMoon = 127;

struct SoftwareVersion {
  std::uint8_t protocol = 0;
  std::uint8_t major = 0;
  std::uint8_t minor = 0;
  std::uint16_t revision = 0;
  friend bool operator==(const SoftwareVersion&, const SoftwareVersion&) = default;
};

struct Hello {
  SoftwareVersion version;
  std::int64_t timestamp = 0;  // ms, the sender's wall clock
  Identity identity;
  Endpoint sent_to;  // nil when absent
  std::uint64_t planet_id = 0;
  std::uint64_t planet_timestamp = 0;
  std::size_t masked_at = 0;  // payload offset of the masked tail; 0 when the packet ends before it
};

/// A moon that the sender has (timestamp) or wants (timestamp 0).
struct MoonEntry {
  std::uint8_t type = kWorldTypeMoon;
  std::uint64_t id = 0;
  std::uint64_t timestamp = 0;
};

/// Clear part of HELLO. Nothing if it ends before the end of the identity or the endpoint is
/// malformed.
[[nodiscard]] inline std::optional<Hello> decode_hello(Bytes payload) {
  Reader r(payload);
  Hello h;
  h.version.protocol = r.u8();
  h.version.major = r.u8();
  h.version.minor = r.u8();
  h.version.revision = r.u16();
  h.timestamp = r.i64();
  auto parsed = read_identity(r);
  if (!parsed) return std::nullopt;
  burn(parsed->private_key);
  h.identity = parsed->identity;
  if (r.remaining() == 0) return h;
  h.sent_to = read_endpoint(r);
  if (!r.ok()) return std::nullopt;
  if (r.remaining() < 16) return h;
  h.planet_id = r.u64();
  h.planet_timestamp = r.u64();
  if (r.remaining() != 0) h.masked_at = r.position();
  return h;
}

/// Writes the clear part and returns the payload offset at which the masked tail begins.
inline std::size_t encode_hello(Writer& w, const Hello& h) {
  const std::size_t begin = w.size();
  w.u8(h.version.protocol);
  w.u8(h.version.major);
  w.u8(h.version.minor);
  w.u16(h.version.revision);
  w.i64(h.timestamp);
  write_identity(w, h.identity);
  write_endpoint(w, h.sent_to);
  w.u64(h.planet_id);
  w.u64(h.planet_timestamp);
  return w.size() - begin;
}

/// Calls `each(MoonEntry)` for every moon of an unmasked tail; false if the list is cut short.
template <typename Each>
[[nodiscard]] bool for_each_moon(Bytes tail, Each each) {
  Reader r(tail);
  const std::uint16_t count = r.u16();
  if (!r.ok() || r.remaining() < std::size_t{count} * 17) return false;
  for (std::uint16_t i = 0; i < count; ++i) {
    MoonEntry entry{r.u8(), r.u64(), r.u64()};
    if (entry.type == kWorldTypeMoon) each(entry);
  }
  return true;
}

inline void write_moon_entry(Writer& w, const MoonEntry& entry) {
  w.u8(entry.type);
  w.u64(entry.id);
  w.u64(entry.timestamp);
}

/// Payload of OK(HELLO) behind the in-re fields.
struct HelloOk {
  std::int64_t timestamp = 0;  // echoed
  SoftwareVersion version;
  Endpoint seen_from;  // nil when absent
  Bytes worlds;        // concatenated worlds; view into the payload
};

/// Nothing if it ends before the version or the endpoint or the worlds are cut short.
[[nodiscard]] inline std::optional<HelloOk> decode_hello_ok(Bytes rest) {
  Reader r(rest);
  HelloOk ok;
  ok.timestamp = r.i64();
  ok.version.protocol = r.u8();
  ok.version.major = r.u8();
  ok.version.minor = r.u8();
  ok.version.revision = r.u16();
  if (!r.ok()) return std::nullopt;
  if (r.remaining() != 0) ok.seen_from = read_endpoint(r);
  if (r.ok() && r.remaining() >= 2) ok.worlds = r.bytes(r.u16());
  if (!r.ok()) return std::nullopt;
  return ok;
}

inline void encode_hello_ok(Writer& w, const HelloOk& ok) {
  w.i64(ok.timestamp);
  w.u8(ok.version.protocol);
  w.u8(ok.version.major);
  w.u8(ok.version.minor);
  w.u16(ok.version.revision);
  write_endpoint(w, ok.seen_from);
  w.u16(static_cast<std::uint16_t>(ok.worlds.size()));
  w.bytes(ok.worlds);
}

}  // namespace orrery::wire
