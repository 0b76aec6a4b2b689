#include "fib/path_mtu.h"

#include <algorithm>

#include "base/cursor.h"
#include "wire/checksum.h"
#include "wire/fragment.h"

namespace orrery::fib {
namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::size_t kIpv4 = 20;  // bytes of header without options
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kTcp = 20;
constexpr std::size_t kIcmp = 8;
constexpr std::uint8_t kProtocolIcmp = 1;
constexpr std::uint8_t kProtocolIcmpv6 = 58;
constexpr std::size_t kLeastIpv6Mtu = 1'280;
constexpr std::size_t kQuotedIpv4 = 548;  // of the packet, so that the answer has 576 bytes
constexpr std::uint16_t kDontFragment = 0x4000;

/// Where the TCP header begins; 0: not a SYN that can be changed.
std::size_t syn_at(std::uint16_t ethertype, Bytes p) {
  if (!may_be_syn(ethertype, p)) return 0;
  if (ethertype == kEtherIpv6) return p[0] >> 4 == 6 ? kIpv6 : 0;
  const std::size_t header = 4u * (p[0] & 15u);
  const bool fragment = (load_be16(p.data() + 6) & 0x3fff) != 0;
  return p[0] >> 4 == 4 && header >= kIpv4 && !fragment ? header : 0;
}

bool is_icmp_error(std::uint8_t protocol, Bytes upper) {
  if (protocol == kProtocolIcmp) {
    // Only queries and their answers may be answered.
    constexpr std::array<std::uint8_t, 6> kQueries{0, 8, 13, 14, 17, 18};
    return upper.empty() || std::find(kQueries.begin(), kQueries.end(), upper[0]) == kQueries.end();
  }
  return protocol == kProtocolIcmpv6 && (upper.empty() || upper[0] < 128);
}

/// [6] destination, [6] source, the tag of `in` if it has one, [2] ethertype: back to the sender.
std::size_t write_ethernet(MutableBytes out, const EthernetFrame& frame,
                           const wire::BehindTag& in) {
  Writer w(out);
  std::array<std::uint8_t, 12> macs;
  frame.source.store(macs.data());
  frame.destination.store(macs.data() + 6);
  w.bytes(macs);
  if (in.tag != 0) {
    w.u16(wire::kVlanEthertype);
    w.u16(in.tag_control);
  }
  w.u16(in.ethertype);
  return w.size();
}

std::size_t write_ipv4(MutableBytes out, Bytes p, std::uint16_t mtu) {
  const std::size_t quoted =
      std::min({p.size(), std::size_t{load_be16(p.data() + 2)}, kQuotedIpv4});
  const std::size_t size = kIpv4 + kIcmp + quoted;
  std::uint8_t* ip = out.data();
  std::fill_n(ip, kIpv4 + kIcmp, std::uint8_t{0});
  ip[0] = 0x45;
  ip[1] = 0xc0;  // internetwork control
  store_be16(ip + 2, static_cast<std::uint16_t>(size));
  ip[8] = 64;
  ip[9] = kProtocolIcmp;
  std::copy_n(p.data() + 16, 4, ip + 12);
  std::copy_n(p.data() + 12, 4, ip + 16);
  store_be16(ip + 10, wire::checksum_field(wire::checksum_add({ip, kIpv4}, 0)));
  std::uint8_t* icmp = ip + kIpv4;
  icmp[0] = 3;
  icmp[1] = 4;
  store_be16(icmp + 6, mtu);
  std::copy_n(p.data(), quoted, icmp + kIcmp);
  store_be16(icmp + 2, wire::checksum_field(wire::checksum_add({icmp, kIcmp + quoted}, 0)));
  return size;
}

std::size_t write_ipv6(MutableBytes out, Bytes p, std::uint16_t mtu) {
  const std::size_t quoted = std::min(p.size(), kLeastIpv6Mtu - kIpv6 - kIcmp);
  const std::size_t size = kIcmp + quoted;
  std::uint8_t* ip = out.data();
  std::fill_n(ip, kIpv6 + kIcmp, std::uint8_t{0});
  ip[0] = 0x60;
  store_be16(ip + 4, static_cast<std::uint16_t>(size));
  ip[6] = kProtocolIcmpv6;
  ip[7] = 64;
  std::copy_n(p.data() + 24, 16, ip + 8);
  std::copy_n(p.data() + 8, 16, ip + 24);
  std::uint8_t* icmp = ip + kIpv6;
  icmp[0] = 2;
  store_be32(icmp + 4, mtu);
  std::copy_n(p.data(), quoted, icmp + kIcmp);
  const std::uint32_t pseudo =
      wire::checksum_add({ip + 8, 32}, static_cast<std::uint32_t>(size) + kProtocolIcmpv6);
  store_be16(icmp + 2, wire::checksum_field(wire::checksum_add({icmp, size}, pseudo)));
  return kIpv6 + size;
}

/// An address that one host has.
bool is_unicast(Bytes ip) {
  if (ip.size() == 4) return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
  return ip[0] != 0xff && std::any_of(ip.begin(), ip.end(), [](std::uint8_t b) { return b != 0; });
}

}  // namespace

std::size_t worthwhile_payload(std::size_t most, std::size_t head, std::size_t udp_payload) {
  const std::size_t before = wire::kHeaderSize + head;
  const std::size_t pieces = wire::plan_fragments(before + most, udp_payload).pieces;
  if (pieces <= 1 || udp_payload <= before + wire::kFragmentHeaderSize) return most;
  const std::size_t less =
      udp_payload + (pieces - 2) * (udp_payload - wire::kFragmentHeaderSize) - before;
  // More than an eighth more in each datagram.
  return less * pieces * 8 > most * (pieces - 1) * 9 ? less : most;
}

bool clamp_mss(std::uint16_t ethertype, MutableBytes payload, const Way& way) {
  if (ethertype == wire::kVlanEthertype) {
    const wire::BehindTag in = wire::behind_tag(ethertype, payload);
    return in.tag != 0 && in.ethertype != wire::kVlanEthertype &&
           clamp_mss(in.ethertype, payload.subspan(in.tag),
                     {way.mtu, way.head + in.tag, way.udp_payload});
  }
  const std::size_t at = syn_at(ethertype, payload);
  const std::size_t headers = (ethertype == kEtherIpv6 ? kIpv6 : kIpv4) + kTcp;
  if (at == 0 || payload.size() < at + kTcp) return false;
  std::uint8_t* tcp = payload.data() + at;
  const std::size_t header = 4u * (tcp[12] >> 4);
  if (header < kTcp || at + header > payload.size()) return false;
  for (std::size_t i = kTcp; i + 1 < header;) {
    const std::uint8_t kind = tcp[i];
    if (kind == 0) return false;
    if (kind == 1) {
      ++i;
      continue;
    }
    const std::size_t length = tcp[i + 1];
    if (length < 2 || i + length > header) return false;
    if (kind == 2 && length == 4) {
      const std::uint16_t before = load_be16(tcp + i + 2);
      const std::size_t largest =
          worthwhile_payload(std::min(before + headers, way.mtu), way.head, way.udp_payload);
      if (largest <= headers || largest - headers >= before) return false;
      const auto mss = static_cast<std::uint16_t>(largest - headers);
      store_be16(tcp + i + 2, mss);
      // At an odd place both bytes count for the other half of a word.
      const auto word = [odd = i % 2 != 0](std::uint16_t v) {
        return odd ? static_cast<std::uint16_t>(v << 8 | v >> 8) : v;
      };
      const std::uint32_t sum = static_cast<std::uint16_t>(~load_be16(tcp + 16)) +
                                std::uint32_t{static_cast<std::uint16_t>(~word(before))} +
                                word(mss);
      store_be16(tcp + 16, wire::checksum_field(sum));
      return true;
    }
    i += length;
  }
  return false;
}

bool exceeds(const EthernetFrame& frame, std::size_t mtu) {
  if (frame.payload.size() <= mtu) return false;
  const auto [ethertype, p, tag, control] = wire::behind_tag(frame.ethertype, frame.payload);
  if (p.size() <= mtu) return false;
  if (ethertype == kEtherIpv6) return true;
  return ethertype == kEtherIpv4 && p.size() >= kIpv4 &&
         (load_be16(p.data() + 6) & kDontFragment) != 0;
}

std::size_t write_too_big(MutableBytes out, const EthernetFrame& frame, std::uint16_t mtu) {
  const wire::BehindTag in = wire::behind_tag(frame.ethertype, frame.payload);
  const Bytes p = in.payload;
  if (!frame.source || frame.source.is_multicast() || frame.destination.is_multicast()) return 0;
  if (in.ethertype == kEtherIpv4) {
    if (p.size() < kIpv4 || p[0] >> 4 != 4) return 0;
    const std::size_t header = 4u * (p[0] & 15u);
    const std::uint16_t fragment = load_be16(p.data() + 6);
    if (header < kIpv4 || p.size() < header || load_be16(p.data() + 2) < header ||
        (fragment & kDontFragment) == 0 || (fragment & 0x1fff) != 0 ||
        is_icmp_error(p[9], p.subspan(header)) || !is_unicast(p.subspan(12, 4)) ||
        !is_unicast(p.subspan(16, 4))) {
      return 0;
    }
    const std::size_t head = write_ethernet(out, frame, in);
    return head + write_ipv4(out.subspan(head), p, mtu);
  }
  if (in.ethertype != kEtherIpv6 || p.size() < kIpv6 || p[0] >> 4 != 6 ||
      is_icmp_error(p[6], p.subspan(kIpv6)) || !is_unicast(p.subspan(8, 16)) ||
      !is_unicast(p.subspan(24, 16))) {
    return 0;
  }
  const std::size_t head = write_ethernet(out, frame, in);
  return head + write_ipv6(out.subspan(head), p, std::max<std::uint16_t>(mtu, kLeastIpv6Mtu));
}

}  // namespace orrery::fib
