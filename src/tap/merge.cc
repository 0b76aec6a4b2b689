#include "tap/merge.h"

#include <algorithm>

#include "wire/checksum.h"

namespace orrery::tap {
namespace {

using Kind = FrameParts::Kind;

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kTcp = 6, kUdp = 17;
constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd;
constexpr std::uint8_t kPsh = 0x08, kAck = 0x10;
constexpr std::uint8_t kDontFragment = 0x40;  // in the first byte of IPv4 flags and offset

std::uint8_t protocol_of(const FrameParts& p) {
  return p.kind == Kind::kUdp ? kUdp : kTcp;
}

Bytes addresses_of(Bytes frame, const FrameParts& p) {
  return p.v6 ? frame.subspan(p.ip + 8u, 32) : frame.subspan(p.ip + 12u, 8);
}

/// Sum of the pseudo-header: addresses, protocol, upper-layer length.
std::uint32_t pseudo_sum(Bytes frame, const FrameParts& p, std::size_t length) {
  return wire::checksum_add(addresses_of(frame, p),
                            static_cast<std::uint32_t>(protocol_of(p) + length));
}

/// Whether all checksums of the frame are there and right.
bool checksums_right(Bytes frame, const FrameParts& p) {
  if (p.kind == Kind::kUdp && load_be16(frame.data() + p.transport + 6) == 0) return false;
  if (!p.v6 && wire::checksum_fold(wire::checksum_add(frame.subspan(p.ip, 20), 0)) != 0xffff)
    return false;
  const Bytes segment = frame.first(p.size).subspan(p.transport);
  return wire::checksum_fold(wire::checksum_add(segment, pseudo_sum(frame, p, segment.size()))) ==
         0xffff;
}

/// Flags that leave a segment mergeable: ACK and nothing else but PSH; no reserved bit.
bool plain_flags(const std::uint8_t* tcp) {
  return (tcp[12] & 0x0f) == 0 && (tcp[13] & ~kPsh) == kAck;
}

/// May be the first of a superframe, as far as can be told without its checksums.
bool may_begin(Bytes frame, const FrameParts& p) {
  if (p.kind != Kind::kTcp && p.kind != Kind::kUdp) return false;
  if (p.payload == p.size) return false;
  const std::uint8_t* transport = frame.data() + p.transport;
  return p.kind == Kind::kUdp || (plain_flags(transport) && (transport[13] & kPsh) == 0);
}

}  // namespace

FrameParts parts_of(Bytes f) {
  FrameParts p;
  if (f.size() < kEthernet + 20 || f.size() > Merger::kMax) return p;
  const std::uint16_t ethertype = load_be16(f.data() + 12);
  std::size_t ip_size = 0;
  std::uint8_t protocol = 0;
  bool plain = false;
  if (ethertype == kIpv4 && f[14] >> 4 == 4) {
    p.kind = Kind::kIp;
    plain = f[14] == 0x45 && (load_be16(f.data() + 20) & 0x3fff) == 0;
    protocol = f[23];
    ip_size = load_be16(f.data() + 16);
    p.transport = kEthernet + 20;
  } else if (ethertype == kIpv6 && f.size() >= kEthernet + 40 && f[14] >> 4 == 6) {
    p.kind = Kind::kIp;
    p.v6 = plain = true;
    protocol = f[20];
    ip_size = 40u + load_be16(f.data() + 18);
    p.transport = kEthernet + 40;
  }
  const std::size_t least = protocol == kUdp ? 8 : 20;
  if (!plain || (protocol != kTcp && protocol != kUdp) || kEthernet + ip_size > f.size() ||
      kEthernet + ip_size < p.transport + least) {
    return p;
  }
  p.size = static_cast<std::uint16_t>(kEthernet + ip_size);
  const std::uint8_t* transport = f.data() + p.transport;
  const std::size_t header = protocol == kUdp ? 8 : (transport[12] >> 4) * 4u;
  if (header < least || p.transport + header > p.size) return p;
  if (protocol == kUdp && load_be16(transport + 4) != p.size - p.transport) return p;
  p.payload = static_cast<std::uint16_t>(p.transport + header);
  p.kind = protocol == kUdp ? Kind::kUdp : Kind::kTcp;
  return p;
}

bool Merger::same_flow(Bytes frame, const FrameParts& p) const {
  const Bytes held = first_;
  return p.kind == parts_.kind && p.v6 == parts_.v6 &&
         load_be32(frame.data() + p.transport) == load_be32(held.data() + parts_.transport) &&
         std::ranges::equal(addresses_of(frame, p), addresses_of(held, parts_));
}

bool Merger::concerns(Bytes frame, const FrameParts& p) const {
  if (p.kind == Kind::kOther) return false;
  if (p.kind != Kind::kIp) return same_flow(frame, p);
  return p.v6 == parts_.v6 &&
         std::ranges::equal(addresses_of(frame, p), addresses_of(first_, parts_));
}

void Merger::take(MutableBytes frame, const FrameParts& p) {
  first_ = frame;
  parts_ = p;
  open_ = may_begin(frame, p);
  verified_ = false;
  size_ = open_ ? p.size : frame.size();
  pieces_[0] = Bytes(frame).first(size_);
  frames_ = 1;
  if (!open_) return;
  segment_ = static_cast<std::size_t>(p.size - p.payload);
  if (p.kind == Kind::kTcp) {
    next_sequence_ =
        load_be32(frame.data() + p.transport + 4) + static_cast<std::uint32_t>(segment_);
  }
}

bool Merger::continues_ip(Bytes f) const {
  const Bytes held = first_;
  if (std::memcmp(f.data(), held.data(), kEthernet) != 0) return false;
  if (parts_.v6) {
    // version, class and flow label; hop limit
    return load_be32(f.data() + 14) == load_be32(held.data() + 14) && f[21] == held[21];
  }
  // TOS; flags; TTL
  if (f[15] != held[15] || load_be16(f.data() + 20) != load_be16(held.data() + 20) ||
      f[22] != held[22]) {
    return false;
  }
  // Whoever splits the whole again numbers the parts from the first on.
  const auto next_id = static_cast<std::uint16_t>(load_be16(held.data() + 18) + frames_);
  return (f[20] & kDontFragment) != 0 || load_be16(f.data() + 18) == next_id;
}

bool Merger::continues(Bytes f, const FrameParts& p) const {
  if (!same_flow(f, p) || p.payload != parts_.payload || p.payload == p.size) return false;
  const auto payload = static_cast<std::size_t>(p.size - p.payload);
  if (payload > segment_ || size_ + payload > kMax || frames_ == kFrames) return false;
  if (!continues_ip(f)) return false;
  if (p.kind == Kind::kUdp) return true;
  const std::uint8_t* mine = first_.data() + parts_.transport;
  const std::uint8_t* theirs = f.data() + p.transport;
  return load_be32(theirs + 4) == next_sequence_ && load_be32(mine + 8) == load_be32(theirs + 8) &&
         load_be16(mine + 14) == load_be16(theirs + 14) &&
         load_be16(mine + 18) == load_be16(theirs + 18) && plain_flags(theirs) &&
         std::memcmp(mine + 20, theirs + 20, p.payload - p.transport - 20u) == 0;
}

bool Merger::add(MutableBytes frame, const FrameParts& p) {
  if (frames_ == 0) {
    take(frame, p);
    return true;
  }
  if (!open_ || !continues(frame, p)) return false;
  if (!verified_) {
    verified_ = true;
    open_ = checksums_right(first_, parts_);
  }
  if (!open_ || !checksums_right(frame, p)) return false;
  const auto payload = static_cast<std::size_t>(p.size - p.payload);
  pieces_[frames_++] = Bytes(frame).subspan(p.payload, payload);
  size_ += payload;
  if (p.kind == Kind::kTcp) {
    next_sequence_ += static_cast<std::uint32_t>(payload);
    const std::uint8_t psh = frame[p.transport + 13u] & kPsh;
    first_[parts_.transport + 13u] |= psh;
    if (psh != 0) open_ = false;
  }
  if (payload < segment_) open_ = false;
  return true;
}

VirtioHeader Merger::finish() {
  VirtioHeader header;
  if (frames_ <= 1) return header;
  const std::size_t length = size_ - parts_.transport;
  std::uint8_t* transport = first_.data() + parts_.transport;
  set_ip_length(first_.data() + parts_.ip, parts_.v6, size_ - parts_.ip);
  const bool udp = parts_.kind == Kind::kUdp;
  if (udp) store_be16(transport + 4, static_cast<std::uint16_t>(length));
  header.flags = VirtioHeader::kNeedsChecksum;
  header.gso_type = udp         ? VirtioHeader::kGsoUdp
                    : parts_.v6 ? VirtioHeader::kGsoTcp6
                                : VirtioHeader::kGsoTcp4;
  header.hdr_len = parts_.payload;
  header.gso_size = static_cast<std::uint16_t>(segment_);
  header.csum_start = parts_.transport;
  header.csum_offset = udp ? 6 : 16;
  store_be16(transport + header.csum_offset,
             wire::checksum_fold(pseudo_sum(first_, parts_, length)));
  return header;
}

}  // namespace orrery::tap
