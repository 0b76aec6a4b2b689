// MULTICAST_LIKE, MULTICAST_GATHER, MULTICAST_FRAME and the answers to them.
// Source: docs/protocol/03-verbs.md 0x09, 0x0d, 0x0e; docs/protocol/10-multicast-arp-ndp.md
// sections 4 to 6.
#pragma once

#include <optional>

#include "wire/credential.h"
#include "wire/verbs/frame.h"

namespace orrery::wire {

struct MulticastLike {
  static constexpr std::size_t kSize = 18;  // bytes: [8] network, [6] MAC, [4] ADI
  NetworkId network;
  MulticastGroup group;
};

/// Calls `each(MulticastLike)` for every whole record.
template <typename Each>
void for_each_like(Bytes payload, Each each) {
  Reader r(payload);
  while (r.remaining() >= MulticastLike::kSize) {
    MulticastLike like;
    like.network = NetworkId{r.u64()};
    like.group.mac = Mac::load(r.bytes(6).data());
    like.group.adi = r.u32();
    each(like);
  }
}

inline void write_group(Writer& w, const MulticastGroup& group) {
  write_mac(w, group.mac);
  w.u32(group.adi);
}

inline void write_like(Writer& w, const MulticastLike& like) {
  w.u64(like.network.value);
  write_group(w, like.group);
}

/// [8] network, [1] flags, [6] MAC, [4] ADI, [4] limit, COM if flag 0x01.
struct MulticastGather {
  NetworkId network;
  MulticastGroup group;
  std::uint32_t limit = 0;
  std::optional<CertificateOfMembership> com;  // a malformed one counts as absent
};

[[nodiscard]] inline std::optional<MulticastGather> decode_gather(Bytes payload) {
  Reader r(payload);
  MulticastGather g;
  g.network = NetworkId{r.u64()};
  const std::uint8_t flags = r.u8();
  const Bytes mac = r.bytes(6);
  g.group.adi = r.u32();
  g.limit = r.u32();
  if (!r.ok()) return std::nullopt;
  g.group.mac = Mac::load(mac.data());
  if ((flags & 1) != 0) g.com = read_com(r);
  return g;
}

inline void encode_gather(Writer& w, const MulticastGather& g) {
  w.u64(g.network.value);
  w.u8(g.com ? 1 : 0);
  write_group(w, g.group);
  w.u32(g.limit);
  if (g.com) write_com(w, *g.com);
}

/// Members of a group as answers carry them: [4] total known, [2] count, count x [5] address.
struct GatherResult {
  NetworkId network;
  MulticastGroup group;
  std::uint32_t total = 0;
  Bytes addresses;  // 5 bytes each; view
};

template <typename Each>
void for_each_gathered(const GatherResult& result, Each each) {
  Reader r(result.addresses);
  while (r.remaining() >= Address::kSize) each(Address{r.u40()});
}

namespace detail {

inline bool read_gathered(Reader& r, GatherResult& g) {
  g.total = r.u32();
  g.addresses = r.bytes(std::size_t{r.u16()} * Address::kSize);
  return r.ok();
}

inline bool read_network_group(Reader& r, GatherResult& g) {
  g.network = NetworkId{r.u64()};
  const Bytes mac = r.bytes(6);
  g.group.adi = r.u32();
  if (!r.ok()) return false;
  g.group.mac = Mac::load(mac.data());
  return true;
}

}  // namespace detail

/// Payload of OK(MULTICAST_GATHER) behind the in-re fields.
[[nodiscard]] inline std::optional<GatherResult> decode_gather_ok(Bytes rest) {
  Reader r(rest);
  GatherResult g;
  if (!detail::read_network_group(r, g) || !detail::read_gathered(r, g)) return std::nullopt;
  return g;
}

inline void encode_gather_ok(Writer& w, const GatherResult& g) {
  w.u64(g.network.value);
  write_group(w, g.group);
  w.u32(g.total);
  w.u16(static_cast<std::uint16_t>(g.addresses.size() / Address::kSize));
  w.bytes(g.addresses);
}

/// OK(MULTICAST_FRAME): [8] network, [6] MAC, [4] ADI, [1] flags, COM if 0x01, gathered members if
/// 0x02.
struct MulticastFrameOk {
  GatherResult gathered;  // addresses empty without flag 0x02
  std::optional<CertificateOfMembership> com;
};

[[nodiscard]] inline std::optional<MulticastFrameOk> decode_multicast_frame_ok(Bytes rest) {
  Reader r(rest);
  MulticastFrameOk ok;
  if (!detail::read_network_group(r, ok.gathered)) return std::nullopt;
  const std::uint8_t flags = r.u8();
  if ((flags & 1) != 0) ok.com = read_com(r);
  if ((flags & 2) != 0) detail::read_gathered(r, ok.gathered);
  if (!r.ok()) return std::nullopt;
  return ok;
}

/// Always with flag 0x02, never with a certificate.
inline void encode_multicast_frame_ok(Writer& w, const GatherResult& g) {
  w.u64(g.network.value);
  write_group(w, g.group);
  w.u8(0x02);
  w.u32(g.total);
  w.u16(static_cast<std::uint16_t>(g.addresses.size() / Address::kSize));
  w.bytes(g.addresses);
}

inline constexpr std::size_t kMulticastFrameHead = 21;  // without certificate, limit and source
inline constexpr std::size_t kMulticastFrameSource = 6;

struct MulticastFrame {
  NetworkId network;
  std::optional<CertificateOfMembership> com;  // flag 0x01; accepted, never sent
  std::uint32_t gather_limit = 0;              // flag 0x02 when not 0
  Mac source;                                  // flag 0x04 when not 0; else the sender's own MAC
  bool replicate = false;                      // flag 0x08
  MulticastGroup group;
  std::uint16_t ethertype = 0;
  Bytes payload;
};

[[nodiscard]] inline std::optional<MulticastFrame> decode_multicast_frame(Bytes payload) {
  Reader r(payload);
  MulticastFrame f;
  f.network = NetworkId{r.u64()};
  const std::uint8_t flags = r.u8();
  if ((flags & 0x01) != 0) f.com = read_com(r);
  if ((flags & 0x02) != 0) f.gather_limit = r.u32();
  if ((flags & 0x04) != 0) {
    const Bytes mac = r.bytes(6);
    if (r.ok()) f.source = Mac::load(mac.data());
  }
  f.replicate = (flags & 0x08) != 0;
  const Bytes mac = r.bytes(6);
  f.group.adi = r.u32();
  f.ethertype = r.u16();
  if (!r.ok()) return std::nullopt;
  f.group.mac = Mac::load(mac.data());
  f.payload = r.rest();
  return f;
}

inline void encode_multicast_frame(Writer& w, const MulticastFrame& f) {
  w.u64(f.network.value);
  w.u8(static_cast<std::uint8_t>((f.gather_limit != 0 ? 0x02 : 0) | (f.source ? 0x04 : 0) |
                                 (f.replicate ? 0x08 : 0)));
  if (f.gather_limit != 0) w.u32(f.gather_limit);
  if (f.source) write_mac(w, f.source);
  write_group(w, f.group);
  w.u16(f.ethertype);
  w.bytes(f.payload);
}

}  // namespace orrery::wire
