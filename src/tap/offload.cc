#include "tap/offload.h"

#include <algorithm>
#include <optional>

namespace orrery::tap {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kTcp = 6, kUdp = 17;
constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;
constexpr std::size_t kVlanTag = 4;
constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kAck = 0x10;
constexpr std::uint8_t kCwr = 0x80;
constexpr std::uint8_t kDontFragment = 0x40;  // in the first byte of IPv4 flags and offset

/// Sum of the pseudo-header: addresses, protocol, upper-layer length.
std::uint32_t pseudo_sum(Bytes frame, const TcpFrame& t, std::size_t length) {
  const Bytes addresses = t.v6 ? frame.subspan(t.ip + 8u, 32) : frame.subspan(t.ip + 12u, 8);
  return checksum_add(addresses, static_cast<std::uint32_t>(kTcp + length));
}

/// Sum over the TCP segment and its pseudo-header: 0xffff when the checksum in it is right.
bool tcp_checksum_right(Bytes frame, const TcpFrame& t) {
  const Bytes segment = frame.first(t.size).subspan(t.tcp);
  return checksum_fold(checksum_add(segment, pseudo_sum(frame, t, segment.size()))) == 0xffff;
}

bool ip_checksum_right(Bytes frame, const TcpFrame& t) {
  return t.v6 || checksum_fold(checksum_add(frame.subspan(t.ip, 20), 0)) == 0xffff;
}

/// Flags that leave a segment mergeable: ACK and nothing else but PSH; no reserved bit.
bool plain_flags(const std::uint8_t* tcp) {
  return (tcp[12] & 0x0f) == 0 && (tcp[13] & ~kPsh) == kAck;
}

/// Parses a frame that is TCP over plain IPv4 or IPv6; nothing otherwise.
std::optional<TcpFrame> parse_tcp(Bytes f) {
  TcpFrame t;
  if (f.size() < kEthernet + 40 || f.size() > Merger::kMax) return std::nullopt;
  const std::uint16_t ethertype = load_be16(f.data() + 12);
  std::size_t ip_size = 0;
  if (ethertype == kIpv4) {
    if (f[14] != 0x45 || f[23] != kTcp || (load_be16(f.data() + 20) & 0x3fff) != 0)
      return std::nullopt;
    ip_size = load_be16(f.data() + 16);
    t.tcp = kEthernet + 20;
  } else if (ethertype == kIpv6) {
    if (f.size() < kEthernet + 60 || (f[14] >> 4) != 6 || f[20] != kTcp) return std::nullopt;
    ip_size = 40u + load_be16(f.data() + 18);
    t.v6 = true;
    t.tcp = kEthernet + 40;
  } else {
    return std::nullopt;
  }
  if (kEthernet + ip_size > f.size() || kEthernet + ip_size < t.tcp + 20u) return std::nullopt;
  t.size = static_cast<std::uint16_t>(kEthernet + ip_size);
  const std::size_t header = (f[t.tcp + 12u] >> 4) * 4u;
  if (header < 20 || t.tcp + header > t.size) return std::nullopt;
  t.payload = static_cast<std::uint16_t>(t.tcp + header);
  return t;
}

/// Writes the lengths that follow from a frame of `size` bytes, and the IPv4 header checksum.
void set_ip_length(std::uint8_t* ip, bool v6, std::size_t size) {
  if (v6) {
    store_be16(ip + 4, static_cast<std::uint16_t>(size - 40));
    return;
  }
  const std::size_t header = (ip[0] & 15u) * 4u;
  store_be16(ip + 2, static_cast<std::uint16_t>(size));
  store_be16(ip + 10, 0);
  const auto sum = static_cast<std::uint16_t>(~checksum_fold(checksum_add(Bytes(ip, header), 0)));
  store_be16(ip + 10, sum);
}

}  // namespace

std::uint32_t checksum_add(Bytes bytes, std::uint32_t start) {
  // 64-bit lanes of little-endian words; the sum is byte-order independent up to a final swap.
  std::uint64_t sum = 0;
  const std::uint8_t* p = bytes.data();
  std::size_t n = bytes.size();
  while (n >= 32) {
    std::uint64_t w[4];
    std::memcpy(w, p, 32);
    for (const std::uint64_t x : w) {
      sum += x;
      sum += sum < x ? 1 : 0;
    }
    p += 32;
    n -= 32;
  }
  while (n >= 8) {
    std::uint64_t x;
    std::memcpy(&x, p, 8);
    sum += x;
    sum += sum < x ? 1 : 0;
    p += 8;
    n -= 8;
  }
  if (n != 0) {
    std::uint64_t x = 0;
    std::memcpy(&x, p, n);
    sum += x;
    sum += sum < x ? 1 : 0;
  }
  std::uint64_t folded = (sum & 0xffffffff) + (sum >> 32);
  folded = (folded & 0xffff) + ((folded >> 16) & 0xffff) + (folded >> 32);
  while (folded >> 16 != 0) folded = (folded & 0xffff) + (folded >> 16);
  const auto swapped = __builtin_bswap16(static_cast<std::uint16_t>(folded));
  return checksum_fold(start) + static_cast<std::uint32_t>(swapped);
}

std::uint16_t checksum_fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

bool complete_checksum(const VirtioHeader& header, MutableBytes frame) {
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0) return true;
  const std::size_t start = header.csum_start;
  const std::size_t at = start + header.csum_offset;
  if (start > frame.size() || at + 2 > frame.size()) return false;
  // The field already holds the sum of the pseudo-header.
  const auto sum =
      static_cast<std::uint16_t>(~checksum_fold(checksum_add(Bytes(frame).subspan(start), 0)));
  store_be16(frame.data() + at, sum == 0 ? std::uint16_t{0xffff} : sum);
  return true;
}

bool Splitter::find_headers(const VirtioHeader& header) {
  const Bytes f = frame_;
  ip_ = kEthernet;
  if (f.size() < kEthernet) return false;
  std::uint16_t ethertype = load_be16(f.data() + 12);
  for (int tags = 0; tags < 2 && (ethertype == kVlan || ethertype == kServiceVlan); ++tags) {
    if (f.size() < ip_ + kVlanTag) return false;
    ethertype = load_be16(f.data() + ip_ + 2);
    ip_ += kVlanTag;
  }
  v6_ = ethertype == kIpv6;
  if (!v6_ && ethertype != kIpv4) return false;
  transport_ = header.csum_start;
  udp_ = (header.gso_type & ~VirtioHeader::kGsoEcn) == VirtioHeader::kGsoUdp;
  const std::size_t least = udp_ ? 8 : 20;
  const std::size_t ip_header = v6_ ? 40 : 20;
  if (transport_ < ip_ + ip_header || transport_ + least > f.size()) return false;
  if (v6_ ? f[ip_] >> 4 != 6
          : f[ip_] >> 4 != 4 || ip_ + (f[ip_] & 15u) * 4u != transport_ ||
                f[ip_ + 9] != (udp_ ? kUdp : kTcp)) {
    return false;
  }
  const std::size_t transport_header = udp_ ? 8u : (f[transport_ + 12] >> 4) * 4u;
  if (transport_header < least) return false;
  payload_ = transport_ + transport_header;
  checksum_ = transport_ + (udp_ ? 6 : 16);
  return payload_ < f.size() && header.csum_offset == checksum_ - transport_;
}

bool Splitter::begin(const VirtioHeader& header, MutableBytes frame) {
  frame_ = frame;
  at_ = 0;
  index_ = 0;
  segmented_ = false;
  const int type = header.gso_type & ~VirtioHeader::kGsoEcn;
  if (type == VirtioHeader::kGsoNone)
    return frame.size() > kEthernet && complete_checksum(header, frame);
  if (type != VirtioHeader::kGsoTcp4 && type != VirtioHeader::kGsoTcp6 &&
      type != VirtioHeader::kGsoUdp) {
    return false;
  }
  // The header's hdr_len is not used: for a forwarded superframe it is the length of whatever the
  // kernel had at hand in one piece.
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0 || header.gso_size == 0 ||
      !find_headers(header)) {
    return false;
  }
  if (type != VirtioHeader::kGsoUdp && v6_ != (type == VirtioHeader::kGsoTcp6)) return false;
  // The checksum field holds the sum of the pseudo-header, which only the host knows for certain:
  // with a routing header or source route, the last destination is not the one in the IP header.
  // Its length is replaced by that of each frame.
  const auto length = static_cast<std::uint16_t>(frame.size() - transport_);
  pseudo_ = static_cast<std::uint32_t>(load_be16(frame.data() + checksum_)) +
            static_cast<std::uint16_t>(~length);
  segmented_ = true;
  segment_ = header.gso_size;
  at_ = payload_;
  return true;
}

std::size_t Splitter::next_size() const {
  if (!segmented_) return frame_.size();
  return payload_ + std::min(segment_, frame_.size() - at_);
}

void Splitter::next(MutableBytes out) {
  if (!segmented_) {
    std::memcpy(out.data(), frame_.data(), frame_.size());
    at_ = frame_.size();
    return;
  }
  const std::size_t size = out.size() - payload_;
  std::memcpy(out.data(), frame_.data(), payload_);
  std::memcpy(out.data() + payload_, frame_.data() + at_, size);
  std::uint8_t* ip = out.data() + ip_;
  if (!v6_) store_be16(ip + 4, static_cast<std::uint16_t>(load_be16(ip + 4) + index_));
  set_ip_length(ip, v6_, out.size() - ip_);
  std::uint8_t* transport = out.data() + transport_;
  const std::size_t length = out.size() - transport_;
  const std::size_t sent = at_ - payload_;
  at_ += size;
  if (udp_) {
    store_be16(transport + 4, static_cast<std::uint16_t>(length));
  } else {
    store_be32(transport + 4, load_be32(transport + 4) + static_cast<std::uint32_t>(sent));
    // Congestion window reduced: in the first segment only. End and push: in the last.
    if (index_ != 0) transport[13] &= static_cast<std::uint8_t>(~kCwr);
    if (!done()) transport[13] &= static_cast<std::uint8_t>(~(kFin | kPsh));
  }
  store_be16(out.data() + checksum_, 0);
  const std::uint32_t sum = pseudo_ + static_cast<std::uint32_t>(length);
  const auto checksum =
      static_cast<std::uint16_t>(~checksum_fold(checksum_add(Bytes(out).subspan(transport_), sum)));
  // For UDP, zero means "none"; for TCP the two are one number.
  store_be16(out.data() + checksum_, checksum == 0 ? std::uint16_t{0xffff} : checksum);
  ++index_;
}

void Merger::take(Bytes frame) {
  std::memcpy(bytes_.data(), frame.data(), frame.size());
  size_ = frame.size();
  frames_ = 1;
  mergeable_ = false;
  const auto tcp = parse_tcp(frame);
  if (!tcp || tcp->payload == tcp->size) return;
  const std::uint8_t* header = frame.data() + tcp->tcp;
  if (!plain_flags(header) || !ip_checksum_right(frame, *tcp) || !tcp_checksum_right(frame, *tcp)) {
    return;
  }
  tcp_ = *tcp;
  size_ = tcp->size;
  segment_ = static_cast<std::size_t>(tcp->size - tcp->payload);
  next_sequence_ = load_be32(header + 4) + static_cast<std::uint32_t>(segment_);
  mergeable_ = (header[13] & kPsh) == 0;
}

bool Merger::continues(Bytes f, const TcpFrame& t) const {
  const Bytes held(bytes_);
  if (t.v6 != tcp_.v6 || t.payload != tcp_.payload || t.payload == t.size) return false;
  const std::size_t payload = t.size - t.payload;
  if (payload > segment_ || size_ + payload > kMax) return false;
  if (std::memcmp(f.data(), held.data(), kEthernet) != 0) return false;
  if (t.v6) {
    // version, class and flow label; hop limit; addresses
    if (load_be32(f.data() + 14) != load_be32(held.data() + 14) || f[21] != held[21] ||
        std::memcmp(f.data() + 22, held.data() + 22, 32) != 0) {
      return false;
    }
  } else {
    // TOS; flags; TTL; addresses
    if (f[15] != held[15] || load_be16(f.data() + 20) != load_be16(held.data() + 20) ||
        f[22] != held[22] || std::memcmp(f.data() + 26, held.data() + 26, 8) != 0) {
      return false;
    }
    // Whoever splits the whole again numbers the parts from the first on.
    const auto next_id = static_cast<std::uint16_t>(load_be16(held.data() + 18) + frames_);
    if ((f[20] & kDontFragment) == 0 && load_be16(f.data() + 18) != next_id) return false;
  }
  const std::uint8_t* mine = held.data() + tcp_.tcp;
  const std::uint8_t* theirs = f.data() + t.tcp;
  if (load_be32(mine) != load_be32(theirs) || load_be32(theirs + 4) != next_sequence_ ||
      load_be32(mine + 8) != load_be32(theirs + 8) ||
      load_be16(mine + 14) != load_be16(theirs + 14) ||
      load_be16(mine + 18) != load_be16(theirs + 18)) {
    return false;
  }
  if (!plain_flags(theirs)) return false;
  if (std::memcmp(mine + 20, theirs + 20, t.payload - t.tcp - 20u) != 0) return false;
  return ip_checksum_right(f, t) && tcp_checksum_right(f, t);
}

bool Merger::add(Bytes frame) {
  if (size_ == 0) {
    if (frame.size() > kMax) return true;
    take(frame);
    return true;
  }
  if (!mergeable_) return false;
  const auto tcp = parse_tcp(frame);
  if (!tcp || !continues(frame, *tcp)) return false;
  const std::size_t payload = tcp->size - tcp->payload;
  std::memcpy(bytes_.data() + size_, frame.data() + tcp->payload, payload);
  size_ += payload;
  ++frames_;
  next_sequence_ += static_cast<std::uint32_t>(payload);
  const std::uint8_t psh = frame[tcp->tcp + 13u] & kPsh;
  bytes_[tcp_.tcp + 13u] |= psh;
  if (payload < segment_ || psh != 0) mergeable_ = false;
  return true;
}

VirtioHeader Merger::finish() {
  VirtioHeader header;
  if (frames_ <= 1) return header;
  const MutableBytes f = MutableBytes(bytes_).first(size_);
  TcpFrame whole = tcp_;
  whole.size = static_cast<std::uint16_t>(size_);
  set_ip_length(f.data() + tcp_.ip, tcp_.v6, size_ - tcp_.ip);
  store_be16(f.data() + tcp_.tcp + 16, checksum_fold(pseudo_sum(f, whole, size_ - tcp_.tcp)));
  header.flags = VirtioHeader::kNeedsChecksum;
  header.gso_type = tcp_.v6 ? VirtioHeader::kGsoTcp6 : VirtioHeader::kGsoTcp4;
  header.hdr_len = tcp_.payload;
  header.gso_size = static_cast<std::uint16_t>(segment_);
  header.csum_start = tcp_.tcp;
  header.csum_offset = 16;
  return header;
}

}  // namespace orrery::tap
