#include "tap/offload.h"

#include <algorithm>
#include <optional>

namespace orrery::tap {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kAck = 0x10;
constexpr std::uint8_t kCwr = 0x80;

/// Sum of the pseudo-header: addresses, protocol, upper-layer length.
std::uint32_t pseudo_sum(Bytes frame, const TcpFrame& t, std::size_t length) {
  const Bytes addresses = t.v6 ? frame.subspan(t.ip + 8u, 32) : frame.subspan(t.ip + 12u, 8);
  return checksum_add(addresses, static_cast<std::uint32_t>(kTcp + length));
}

std::uint16_t tcp_checksum(Bytes frame, const TcpFrame& t) {
  const Bytes segment = frame.first(t.size).subspan(t.tcp);
  return static_cast<std::uint16_t>(
      ~checksum_fold(checksum_add(segment, pseudo_sum(frame, t, segment.size()))));
}

/// Parses a frame that is TCP over plain IPv4 or IPv6; nothing otherwise.
std::optional<TcpFrame> parse_tcp(Bytes f) {
  TcpFrame t;
  if (f.size() < kEthernet + 40 || f.size() > Merger::kMax) return std::nullopt;
  const std::uint16_t ethertype = load_be16(f.data() + 12);
  std::size_t ip_size = 0;
  if (ethertype == 0x0800) {
    if (f[14] != 0x45 || f[23] != kTcp || (load_be16(f.data() + 20) & 0x3fff) != 0)
      return std::nullopt;
    ip_size = load_be16(f.data() + 16);
    t.tcp = kEthernet + 20;
  } else if (ethertype == 0x86dd) {
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

void set_ip_length(MutableBytes f, const TcpFrame& t, std::size_t size) {
  if (t.v6) {
    store_be16(f.data() + t.ip + 4, static_cast<std::uint16_t>(size - t.tcp));
    return;
  }
  store_be16(f.data() + t.ip + 2, static_cast<std::uint16_t>(size - t.ip));
  store_be16(f.data() + t.ip + 10, 0);
  const auto sum =
      static_cast<std::uint16_t>(~checksum_fold(checksum_add(Bytes(f).subspan(t.ip, 20), 0)));
  store_be16(f.data() + t.ip + 10, sum);
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

bool Splitter::begin(const VirtioHeader& header, MutableBytes frame) {
  frame_ = frame;
  at_ = 0;
  index_ = 0;
  segmented_ = false;
  const int type = header.gso_type & ~VirtioHeader::kGsoEcn;
  if (type == VirtioHeader::kGsoNone)
    return frame.size() > kEthernet && complete_checksum(header, frame);
  if (type != VirtioHeader::kGsoTcp4 && type != VirtioHeader::kGsoTcp6) return false;
  // Only lengths that the header does not tell matter here: the kernel leaves the IP length of a
  // superframe as it is.
  const auto tcp = parse_tcp(frame);
  if (!tcp || tcp->v6 != (type == VirtioHeader::kGsoTcp6) || header.gso_size == 0) return false;
  tcp_ = *tcp;
  frame_ = frame.first(tcp->size);
  segmented_ = true;
  segment_ = header.gso_size;
  at_ = tcp->payload;
  return true;
}

std::size_t Splitter::next_size() const {
  if (!segmented_) return frame_.size();
  return tcp_.payload + std::min(segment_, frame_.size() - at_);
}

void Splitter::next(MutableBytes out) {
  if (!segmented_) {
    std::memcpy(out.data(), frame_.data(), frame_.size());
    at_ = frame_.size();
    return;
  }
  const std::size_t size = out.size() - tcp_.payload;
  std::memcpy(out.data(), frame_.data(), tcp_.payload);
  std::memcpy(out.data() + tcp_.payload, frame_.data() + at_, size);
  TcpFrame part = tcp_;
  part.size = static_cast<std::uint16_t>(out.size());
  if (!tcp_.v6) {
    store_be16(out.data() + tcp_.ip + 4,
               static_cast<std::uint16_t>(load_be16(frame_.data() + tcp_.ip + 4) + index_));
  }
  set_ip_length(out, part, out.size());
  std::uint8_t* tcp = out.data() + tcp_.tcp;
  store_be32(tcp + 4, load_be32(tcp + 4) + static_cast<std::uint32_t>(at_ - tcp_.payload));
  if (index_ != 0)
    tcp[13] &= static_cast<std::uint8_t>(~kCwr);  // congestion window reduced: first segment only
  at_ += size;
  if (!done()) tcp[13] &= static_cast<std::uint8_t>(~(kFin | kPsh));
  store_be16(tcp + 16, 0);
  store_be16(tcp + 16, tcp_checksum(out, part));
  ++index_;
}

void Merger::take(Bytes frame) {
  std::memcpy(bytes_.data(), frame.data(), frame.size());
  size_ = frame.size();
  frames_ = 1;
  mergeable_ = false;
  const auto tcp = parse_tcp(frame);
  if (!tcp || tcp->payload == tcp->size) return;
  const std::uint8_t flags = frame[tcp->tcp + 13u];
  if ((flags & ~(kAck | kPsh)) != 0 || (flags & kAck) == 0) return;
  if (checksum_fold(checksum_add(frame.first(tcp->size).subspan(tcp->tcp),
                                 pseudo_sum(frame, *tcp, tcp->size - tcp->tcp))) != 0xffff) {
    return;
  }
  tcp_ = *tcp;
  size_ = tcp->size;
  segment_ = tcp->size - tcp->payload;
  next_sequence_ = load_be32(frame.data() + tcp->tcp + 4) + static_cast<std::uint32_t>(segment_);
  mergeable_ = (flags & kPsh) == 0;
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
  }
  const std::uint8_t* mine = held.data() + tcp_.tcp;
  const std::uint8_t* theirs = f.data() + t.tcp;
  if (load_be32(mine) != load_be32(theirs) || load_be32(theirs + 4) != next_sequence_ ||
      load_be32(mine + 8) != load_be32(theirs + 8) ||
      load_be16(mine + 14) != load_be16(theirs + 14)) {
    return false;
  }
  if ((theirs[13] & ~(kAck | kPsh)) != 0 || (theirs[13] & kAck) == 0) return false;
  if (std::memcmp(mine + 20, theirs + 20, t.payload - t.tcp - 20u) != 0) return false;
  return checksum_fold(checksum_add(f.first(t.size).subspan(t.tcp),
                                    pseudo_sum(f, t, t.size - t.tcp))) == 0xffff;
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
  set_ip_length(f, whole, size_);
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
