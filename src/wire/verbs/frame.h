// FRAME: [8] network, [2] ethertype, payload. EXT_FRAME: [8] network, [1] flags, [COM], [6]
// destination, [6] source, [2] ethertype, payload. Source: docs/protocol/03-verbs.md 0x06, 0x07.
#pragma once

#include <optional>

#include "wire/credential.h"
#include "wire/mac.h"

namespace orrery::wire {

inline constexpr std::size_t kFrameHead = 10;     // payload bytes before the Ethernet payload
inline constexpr std::size_t kExtFrameHead = 23;  // without a certificate

inline constexpr std::uint8_t kExtFrameCom = 0x01;
inline constexpr std::uint8_t kExtFrameWantsOk = 0x10;
/// Subtypes, as flags. Source: docs/protocol/09-rules-engine.md section 7.1.
inline constexpr std::uint8_t kExtFrameTeeOut = 0x02;
inline constexpr std::uint8_t kExtFrameRedirectOut = 0x04;
inline constexpr std::uint8_t kExtFrameWatchOut = 0x16;
inline constexpr std::uint8_t kExtFrameTeeIn = 0x08;
inline constexpr std::uint8_t kExtFrameRedirectIn = 0x0a;
inline constexpr std::uint8_t kExtFrameWatchIn = 0x1c;

struct Frame {
  NetworkId network;
  std::uint16_t ethertype = 0;
  Bytes payload;
};

[[nodiscard]] inline std::optional<Frame> decode_frame(Bytes payload) {
  Reader r(payload);
  Frame f{NetworkId{r.u64()}, r.u16(), {}};
  if (!r.ok()) return std::nullopt;
  f.payload = r.rest();
  return f;
}

inline void encode_frame(Writer& w, const Frame& f) {
  w.u64(f.network.value);
  w.u16(f.ethertype);
  w.bytes(f.payload);
}

struct ExtFrame {
  NetworkId network;
  std::uint8_t flags = 0;
  std::optional<CertificateOfMembership> com;
  bool has_frame = true;  // false: the packet ends before the MACs
  Mac destination;
  Mac source;
  std::uint16_t ethertype = 0;
  Bytes payload;
};

/// Nothing when the network, flags or an attached certificate is cut short or malformed.
[[nodiscard]] inline std::optional<ExtFrame> decode_ext_frame(Bytes payload) {
  Reader r(payload);
  ExtFrame f;
  f.network = NetworkId{r.u64()};
  f.flags = r.u8();
  if ((f.flags & kExtFrameCom) != 0) f.com = read_com(r);
  if (!r.ok()) return std::nullopt;
  if (r.remaining() < 14) {
    f.has_frame = false;
    return f;
  }
  f.destination = Mac::load(r.bytes(6).data());
  f.source = Mac::load(r.bytes(6).data());
  f.ethertype = r.u16();
  f.payload = r.rest();
  return f;
}

inline void write_mac(Writer& w, Mac mac) {
  std::array<std::uint8_t, 6> octets;
  mac.store(octets.data());
  w.bytes(octets);
}

/// Never writes a certificate.
inline void encode_ext_frame(Writer& w, const ExtFrame& f) {
  w.u64(f.network.value);
  w.u8(f.flags);
  write_mac(w, f.destination);
  write_mac(w, f.source);
  w.u16(f.ethertype);
  w.bytes(f.payload);
}

}  // namespace orrery::wire
