#include "tap/offload.h"

#include <algorithm>
#include <optional>

#include "wire/checksum.h"

namespace orrery::tap {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::uint8_t kTcp = 6, kUdp = 17;
constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;
constexpr std::size_t kVlanTag = 4;
constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;
// Offsets in their headers.
constexpr std::size_t kIpv4Length = 2, kIpv4Id = 4, kIpv4Checksum = 10, kIpv6Length = 4;
constexpr std::size_t kUdpLength = 4, kTcpSequence = 4, kTcpFlags = 12;

/// What takes a 16-bit field out of a sum.
std::uint32_t complement(const std::uint8_t* field) {
  return static_cast<std::uint16_t>(~load_be16(field));
}

}  // namespace

void set_ip_length(std::uint8_t* ip, bool v6, std::size_t size) {
  if (v6) {
    store_be16(ip + 4, static_cast<std::uint16_t>(size - 40));
    return;
  }
  const std::size_t header = (ip[0] & 15u) * 4u;
  store_be16(ip + 2, static_cast<std::uint16_t>(size));
  store_be16(ip + 10, 0);
  store_be16(ip + 10, wire::checksum_field(wire::checksum_add(Bytes(ip, header), 0)));
}

bool complete_checksum(const VirtioHeader& header, MutableBytes frame) {
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0) return true;
  const std::size_t start = header.csum_start;
  const std::size_t at = start + header.csum_offset;
  if (start > frame.size() || at + 2 > frame.size()) return false;
  // The field already holds the sum of the pseudo-header.
  store_be16(frame.data() + at,
             wire::checksum_field_nonzero(wire::checksum_add(Bytes(frame).subspan(start), 0)));
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
  const std::uint32_t pseudo = static_cast<std::uint32_t>(load_be16(frame.data() + checksum_)) +
                               static_cast<std::uint16_t>(~length);
  std::uint8_t* transport = frame.data() + transport_;
  store_be16(frame.data() + checksum_, 0);
  transport_sum_ = wire::checksum_add({transport, payload_ - transport_}, pseudo);
  if (udp_) {
    transport_sum_ += complement(transport + kUdpLength);
  } else {
    transport_sum_ += complement(transport + kTcpSequence) +
                      complement(transport + kTcpSequence + 2) + complement(transport + kTcpFlags);
  }
  if (!v6_) {
    std::uint8_t* ip = frame.data() + ip_;
    store_be16(ip + kIpv4Checksum, 0);
    ip_sum_ = wire::checksum_add({ip, transport_ - ip_}, 0) + complement(ip + kIpv4Length) +
              complement(ip + kIpv4Id);
  }
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
  std::uint32_t sum = transport_sum_;
  sum +=
      wire::checksum_fold(wire::checksum_copy(out.subspan(payload_), frame_.subspan(at_, size), 0));
  std::uint8_t* ip = out.data() + ip_;
  std::uint8_t* transport = out.data() + transport_;
  const auto ip_length = static_cast<std::uint16_t>(out.size() - ip_);
  const auto length = static_cast<std::uint16_t>(out.size() - transport_);
  if (v6_) {
    store_be16(ip + kIpv6Length, static_cast<std::uint16_t>(ip_length - 40));
  } else {
    const auto id = static_cast<std::uint16_t>(load_be16(ip + kIpv4Id) + index_);
    store_be16(ip + kIpv4Length, ip_length);
    store_be16(ip + kIpv4Id, id);
    store_be16(ip + kIpv4Checksum, wire::checksum_field(ip_sum_ + ip_length + id));
  }
  const std::size_t sent = at_ - payload_;
  at_ += size;
  sum += length;  // of the pseudo-header
  if (udp_) {
    store_be16(transport + kUdpLength, length);
    sum += length;
  } else {
    const std::uint32_t sequence =
        load_be32(transport + kTcpSequence) + static_cast<std::uint32_t>(sent);
    store_be32(transport + kTcpSequence, sequence);
    // Congestion window reduced: in the first segment only. End and push: in the last.
    std::uint8_t& flags = transport[kTcpFlags + 1];
    if (index_ != 0) flags &= static_cast<std::uint8_t>(~kCwr);
    if (!done()) flags &= static_cast<std::uint8_t>(~(kFin | kPsh));
    sum += (sequence >> 16) + (sequence & 0xffff) + load_be16(transport + kTcpFlags);
  }
  store_be16(out.data() + checksum_, wire::checksum_field_nonzero(sum));
  ++index_;
}

}  // namespace orrery::tap
