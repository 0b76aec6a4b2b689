#include "fib/neighbour.h"

#include <algorithm>

namespace orrery::fib {
namespace {

constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kSolicitation = 135;

wire::Address load_address(const std::uint8_t* p) {
  return wire::Address{(std::uint64_t{p[0]} << 32) | load_be32(p + 1)};
}

/// One's-complement sum of big-endian 16-bit words. REQUIRES: an even number of bytes.
std::uint32_t sum16(Bytes bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += load_be16(bytes.data() + i);
  return sum;
}

}  // namespace

std::optional<NeighbourAdvertisement> answer_solicitation(const Network& network, wire::Mac source,
                                                          Bytes payload) {
  if (!network.ndp_emulation || payload.size() < 64 || payload[6] != kIcmpv6 ||
      payload[40] != kSolicitation) {
    return std::nullopt;
  }
  const Bytes target = payload.subspan(48, 16);
  wire::Address owner;
  const wire::Endpoint* mine = nullptr;
  const auto fold = static_cast<std::uint32_t>(network.id.value ^ (network.id.value >> 32));
  for (const wire::Endpoint& ip : network.static_ips) {
    if (ip.family != 6) continue;
    if (ip.port == 88 && ip.ip[0] == 0xfd && load_be16(ip.ip.data() + 9) == 0x9993) {
      if (!std::equal(target.begin(), target.begin() + 11, ip.ip.begin())) continue;
      owner = load_address(target.data() + 11);
    } else if (ip.port == 40 && ip.ip[0] == 0xfc && load_be32(ip.ip.data() + 1) == fold) {
      if (!std::equal(target.begin(), target.begin() + 5, ip.ip.begin())) continue;
      owner = load_address(target.data() + 5);
    } else {
      continue;
    }
    mine = &ip;
    break;
  }
  if (mine == nullptr || !owner || owner == network.self) return std::nullopt;

  NeighbourAdvertisement answer;
  answer.destination = source;
  answer.source = wire::mac_of(owner, network.id);
  Writer w(answer.payload);
  w.u32(0x60000000);
  w.u16(32);  // payload length
  w.u8(kIcmpv6);
  w.u8(0xff);
  w.bytes(target);
  w.bytes(mine->ip);
  w.u16(0x8800);      // advertisement, code 0
  w.u16(0);           // checksum, below
  w.u32(0x60000000);  // solicited, override
  w.bytes(target);
  w.u16(0x0201);  // option: target link-layer address, 8 bytes
  std::array<std::uint8_t, 6> mac;
  answer.source.store(mac.data());
  w.bytes(mac);
  // Pseudo-header: both addresses, length 32, next header 58.
  std::uint32_t sum = sum16(Bytes(answer.payload).subspan(8), 32 + kIcmpv6);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  w.patch_u16(42, static_cast<std::uint16_t>(~sum));
  return answer;
}

std::optional<std::uint32_t> arp_request_target(std::uint16_t ethertype, Bytes payload) {
  if (ethertype != kEtherArp || payload.size() < 28 || load_be16(payload.data() + 2) != 0x0800 ||
      payload[4] != 6 || payload[5] != 4 || payload[7] != 1) {
    return std::nullopt;
  }
  return load_be32(payload.data() + 24);
}

}  // namespace orrery::fib
