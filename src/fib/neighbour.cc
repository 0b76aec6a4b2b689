#include "fib/neighbour.h"

#include <algorithm>

#include "wire/checksum.h"

namespace orrery::fib {
namespace {

constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;
constexpr std::uint8_t kHopLimit = 255;  // nothing that a router has passed on
constexpr std::size_t kIpv6 = 40;        // bytes of header
constexpr std::size_t kMessage = 24;     // bytes up to the target
constexpr std::size_t kOption = 8;       // a link-layer address
constexpr std::size_t kArp = 28;
constexpr std::uint32_t kRouter = 0x80000000, kSolicited = 0x40000000, kOverride = 0x20000000;

wire::Address load_address(const std::uint8_t* p) {
  return wire::Address{(std::uint64_t{p[0]} << 32) | load_be32(p + 1)};
}

/// One's-complement sum over the pseudo-header and message of an IPv6 packet without extensions,
/// folded; all ones when its checksum holds. REQUIRES: a whole header.
std::uint16_t icmpv6_sum(Bytes packet) {
  const auto length = static_cast<std::uint32_t>(packet.size() - kIpv6);
  return wire::checksum_fold(wire::checksum_add(packet.subspan(8), length + kIcmpv6));
}

/// The IPv6 packet, 72 bytes, in which the owner of `target` tells `to` that it is at `mac`.
void write_advertisement(MutableBytes out, Bytes target, Bytes to, wire::Mac mac,
                         std::uint32_t flags) {
  Writer w(out);
  w.u32(0x60000000);
  w.u16(kMessage + kOption);
  w.u8(kIcmpv6);
  w.u8(kHopLimit);
  w.bytes(target);
  w.bytes(to);
  w.u16(kAdvertisement << 8);
  w.u16(0);  // checksum, below
  w.u32(flags);
  w.bytes(target);
  w.u16(0x0201);  // option: target link-layer address, 8 bytes
  std::array<std::uint8_t, 6> link;
  mac.store(link.data());
  w.bytes(link);
  w.patch_u16(42, static_cast<std::uint16_t>(~icmpv6_sum(w.written())));
}

/// An address that one host has, on a link.
bool is_unicast(NeighbourAddress a) {
  if (a.is_v4()) {
    const auto first = static_cast<std::uint8_t>(a.low >> 24);
    return first != 0 && first != 127 && first < 224;
  }
  return a.high >> 56 != 0xff && (a.high != 0 || a.low > 1);  // ::1 is no one's on a link
}

bool is_station(wire::Mac mac) {
  return mac && !mac.is_multicast();
}

std::optional<NeighbourMessage> read_arp(wire::Mac destination, wire::Mac source, Bytes p) {
  // [2] hardware, [2] protocol, [1] [1] their sizes, [2] operation, then [6] MAC and [4] IP of the
  // sender and of the target
  if (p.size() < kArp || load_be32(p.data()) != 0x00010800 || load_be16(p.data() + 4) != 0x0604)
    return std::nullopt;
  const std::uint16_t operation = load_be16(p.data() + 6);
  if (operation != 1 && operation != 2) return std::nullopt;
  NeighbourMessage m;
  m.mac = wire::Mac::load(p.data() + 8);
  const auto sender = NeighbourAddress::v4(load_be32(p.data() + 14));
  if (!is_station(m.mac) || !is_unicast(sender)) return m;  // a probe
  m.sender = sender;
  m.claim = m.mac == source ? Claim::kSound : Claim::kWeak;
  const auto target = NeighbourAddress::v4(load_be32(p.data() + 24));
  if (operation == 1 && m.claim == Claim::kSound && destination.is_broadcast() &&
      is_unicast(target) && target != sender) {
    m.target = target;
  }
  return m;
}

/// The link-layer address that is the only option; zero: other options, or none.
wire::Mac only_option(Bytes packet, std::uint8_t type) {
  const std::uint8_t* option = packet.data() + kIpv6 + kMessage;
  return packet.size() == kIpv6 + kMessage + kOption && option[0] == type && option[1] == 1
             ? wire::Mac::load(option + 2)
             : wire::Mac{};
}

std::optional<NeighbourMessage> read_discovery(wire::Mac destination, wire::Mac source, Bytes p) {
  if (p.size() < kIpv6 + kMessage || p[0] >> 4 != 6 || p[6] != kIcmpv6 || p[7] != kHopLimit ||
      (p[kIpv6] != kSolicitation && p[kIpv6] != kAdvertisement) || p[kIpv6 + 1] != 0) {
    return std::nullopt;
  }
  const std::size_t size = kIpv6 + load_be16(p.data() + 4);
  if (size < kIpv6 + kMessage || size > p.size()) return std::nullopt;
  const Bytes packet = p.first(size);  // behind it Ethernet may pad
  const auto target = NeighbourAddress::v6(packet.data() + 48);
  if (icmpv6_sum(packet) != 0xffff || target.is_v4() || !is_unicast(target)) return std::nullopt;
  NeighbourMessage m;
  if (packet[kIpv6] == kAdvertisement) {
    const std::uint32_t flags = load_be32(packet.data() + 44);
    m.mac = only_option(packet, 2);
    if (!is_station(m.mac)) return m;
    m.sender = target;
    m.router = (flags & kRouter) != 0;
    m.claim = m.mac == source && (flags & kOverride) != 0 ? Claim::kSound : Claim::kWeak;
    return m;
  }
  const auto sender = NeighbourAddress::v6(packet.data() + 8);
  m.mac = only_option(packet, 1);
  if (!is_station(m.mac) || sender.is_v4() || !is_unicast(sender)) return m;  // a probe, or SEND
  m.sender = sender;
  m.claim = Claim::kWeak;
  if (m.mac == source && destination.is_multicast() && packet[24] == 0xff && target != sender)
    m.target = target;
  return m;
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
  write_advertisement(answer.payload, target, mine->ip, answer.source, kSolicited | kOverride);
  return answer;
}

std::optional<std::uint32_t> arp_request_target(std::uint16_t ethertype, Bytes payload) {
  if (ethertype != kEtherArp || payload.size() < 28 || load_be16(payload.data() + 2) != 0x0800 ||
      payload[4] != 6 || payload[5] != 4 || payload[7] != 1) {
    return std::nullopt;
  }
  return load_be32(payload.data() + 24);
}

std::optional<NeighbourMessage> read_neighbour(wire::Mac destination, wire::Mac source,
                                               std::uint16_t ethertype, Bytes payload) {
  if (ethertype == kEtherArp) return read_arp(destination, source, payload);
  if (ethertype == kEtherIpv6) return read_discovery(destination, source, payload);
  return std::nullopt;
}

std::size_t write_neighbour_answer(MutableBytes out, const NeighbourMessage& question,
                                   Neighbour owner) {
  question.mac.store(out.data());
  owner.mac.store(out.data() + 6);
  std::uint8_t* p = out.data() + 14;
  if (question.target.is_v4()) {
    store_be16(out.data() + 12, kEtherArp);
    store_be32(p, 0x00010800);
    store_be32(p + 4, 0x06040002);  // a reply
    owner.mac.store(p + 8);
    store_be32(p + 14, static_cast<std::uint32_t>(question.target.low));
    question.mac.store(p + 18);
    store_be32(p + 24, static_cast<std::uint32_t>(question.sender.low));
    return 14 + kArp;
  }
  store_be16(out.data() + 12, kEtherIpv6);
  std::array<std::uint8_t, 16> target, sender;
  store_be64(target.data(), question.target.high);
  store_be64(target.data() + 8, question.target.low);
  store_be64(sender.data(), question.sender.high);
  store_be64(sender.data() + 8, question.sender.low);
  write_advertisement(out.subspan(14, 72), target, sender, owner.mac,
                      kSolicited | kOverride | (owner.router ? kRouter : 0));
  return kNeighbourAnswer;
}

}  // namespace orrery::fib
