#include "control/rules/frame_fields.h"

#include <algorithm>

#include "wire/vlan.h"

namespace orrery::control {
namespace {

constexpr std::uint8_t kTcp = 6, kIcmp = 1, kIcmp6 = 58;
constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20;

/// What stands behind the IP header: [2] source port, [2] destination port, … or ICMP.
ByteVector upper_layer(const FrameFields& f, std::uint8_t protocol) {
  ByteVector upper(kTcpHeader);
  if (protocol == kIcmp || protocol == kIcmp6) {
    upper[0] = f.icmp_type;
    upper[1] = f.icmp_code;
    return upper;
  }
  store_be16(upper.data(), f.from.port);
  store_be16(upper.data() + 2, f.to.port);
  if (protocol == kTcp) {
    upper[12] = 5 << 4;  // words of header
    upper[13] = f.tcp_flags;
  }
  return upper;
}

ByteVector ip_packet(const FrameFields& f, std::uint8_t family) {
  const bool v4 = family == 4;
  const std::uint8_t protocol = f.protocol.value_or(
      f.from.port != 0 || f.to.port != 0 || f.tcp_flags != 0 ? kTcp : std::uint8_t{0});
  const ByteVector upper = upper_layer(f, protocol);
  ByteVector packet(v4 ? kIpv4Header : kIpv6Header);
  if (v4) {
    packet[0] = 0x45;
    packet[1] = f.tos;
    store_be16(packet.data() + 2, static_cast<std::uint16_t>(packet.size() + upper.size()));
    packet[8] = 64;
    packet[9] = protocol;
    std::copy_n(f.from.ip.begin(), 4, packet.begin() + 12);
    std::copy_n(f.to.ip.begin(), 4, packet.begin() + 16);
  } else {
    packet[0] = static_cast<std::uint8_t>(0x60 | f.tos >> 4);
    packet[1] = static_cast<std::uint8_t>(f.tos << 4);
    store_be16(packet.data() + 4, static_cast<std::uint16_t>(upper.size()));
    packet[6] = protocol;
    packet[7] = 64;
    std::copy_n(f.from.ip.begin(), 16, packet.begin() + 8);
    std::copy_n(f.to.ip.begin(), 16, packet.begin() + 24);
  }
  packet.insert(packet.end(), upper.begin(), upper.end());
  return packet;
}

/// [2] Ethernet, [2] IPv4, [1] 6, [1] 4, [2] request, [6] MAC, [4] IP, [6] MAC, [4] IP
ByteVector arp_request(const FrameFields& f) {
  ByteVector arp = {0, 1, 8, 0, 6, 4, 0, 1};
  arp.resize(28);
  std::copy_n(f.from.ip.begin(), 4, arp.begin() + 14);
  std::copy_n(f.to.ip.begin(), 4, arp.begin() + 24);
  return arp;
}

}  // namespace

std::optional<BuiltFrame> build_frame(const FrameFields& f) {
  if (f.from && f.to && f.from.family != f.to.family) return std::nullopt;
  const std::uint8_t family = f.from ? f.from.family : f.to.family;
  BuiltFrame frame;
  const auto of_family = static_cast<std::uint16_t>(family == 0   ? 0
                                                    : family == 4 ? 0x0800
                                                                  : 0x86dd);
  frame.ethertype = f.ethertype.value_or(of_family);
  if (frame.ethertype == 0x0806 && family != 6) {
    frame.payload = arp_request(f);
  } else if (frame.ethertype == 0x0800 && family != 6) {
    frame.payload = ip_packet(f, 4);
  } else if (frame.ethertype == 0x86dd && family != 4) {
    frame.payload = ip_packet(f, 6);
  } else if (family != 0) {
    return std::nullopt;
  }
  frame.payload.resize(std::max(frame.payload.size(), f.size));
  if (f.tag_control != 0) {
    std::array<std::uint8_t, 4> tag;
    store_be16(tag.data(), f.tag_control);
    store_be16(tag.data() + 2, frame.ethertype);
    frame.payload.insert(frame.payload.begin(), tag.begin(), tag.end());
    frame.ethertype = wire::kVlanEthertype;
  }
  return frame;
}

}  // namespace orrery::control
