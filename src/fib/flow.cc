#include "fib/flow.h"

#include <algorithm>

#include "wire/vlan.h"

namespace orrery::fib {
namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::uint16_t kEtherServiceVlan = 0x88a8;
constexpr std::size_t kMaxTags = 2;
constexpr std::size_t kMaxExtensions = 8;  // more than any sane stack sends

// Multiply and fold: 64 x 64 -> 128 bits, halves joined. Constants are odd with balanced bits.
constexpr std::uint64_t kMix1 = 0xa0761d6478bd642fULL;
constexpr std::uint64_t kMix2 = 0xe7037ed1a0b428dbULL;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a ^ kMix1) * (b ^ kMix2);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

bool carries_ports(std::uint8_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

/// Accumulates words; order matters.
struct Hash {
  std::uint64_t state;

  void add(std::uint64_t word) { state = mix(state, word); }

  void add_bytes(Bytes bytes) {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) add(load_be64(bytes.data() + i));
  }

  [[nodiscard]] std::uint32_t value() const {
    const std::uint64_t last = mix(state, kMix1);
    return static_cast<std::uint32_t>(last ^ (last >> 32));
  }
};

void read_ports(Flow& flow, Bytes p, std::size_t position) {
  if (position >= p.size()) return;
  flow.l4 = static_cast<std::uint16_t>(position);
  if (flow.fragment || !carries_ports(flow.protocol) || p.size() - position < 4) return;
  flow.has_ports = true;
  flow.source_port = load_be16(p.data() + position);
  flow.destination_port = load_be16(p.data() + position + 2);
}

/// False when the header does not fit.
bool parse_ipv4(Flow& flow, Hash& hash, Bytes p) {
  const std::size_t at = flow.l3;
  if (p.size() - at < 20 || p[at] >> 4 != 4) return false;
  const std::size_t header = 4u * (p[at] & 15u);
  if (header < 20) return false;
  flow.ip_version = 4;
  flow.protocol = p[at + 9];
  flow.fragment = (load_be16(p.data() + at + 6) & 0x3fff) != 0;  // MF, or an offset
  hash.add(load_be64(p.data() + at + 12));
  read_ports(flow, p, at + header);
  return true;
}

bool parse_ipv6(Flow& flow, Hash& hash, Bytes p) {
  const std::size_t at = flow.l3;
  if (p.size() - at < 40 || p[at] >> 4 != 6) return false;
  flow.ip_version = 6;
  hash.add_bytes(p.subspan(at + 8, 32));
  std::uint8_t next = p[at + 6];
  std::size_t position = at + 40;
  for (std::size_t i = 0; i < kMaxExtensions; ++i) {
    const bool fragment = next == 44;
    if (!fragment && next != 0 && next != 43 && next != 60 && next != 135) break;
    if (position + 8 > p.size()) break;
    // An atomic fragment (offset 0, no more) is whole.
    if (fragment && (load_be16(p.data() + position + 2) & 0xfff9) != 0) flow.fragment = true;
    next = p[position];
    position += fragment ? 8 : std::size_t{p[position + 1]} * 8 + 8;
  }
  flow.protocol = next;
  read_ports(flow, p, position);
  return true;
}

}  // namespace

Flow parse_flow(wire::Mac destination, wire::Mac source, std::uint16_t ethertype, Bytes payload,
                std::uint64_t seed) {
  const Bytes p = payload.first(std::min<std::size_t>(payload.size(), 0xffff));
  Flow flow;
  flow.ethertype = ethertype;
  for (std::size_t i = 0; i < kMaxTags; ++i) {
    if (flow.ethertype != wire::kVlanEthertype && flow.ethertype != kEtherServiceVlan) break;
    if (p.size() - flow.l3 < 4) break;
    if (i == 0) flow.vlan = load_be16(p.data()) & 0x0fff;
    flow.ethertype = load_be16(p.data() + flow.l3 + 2);
    flow.l3 = static_cast<std::uint16_t>(flow.l3 + 4);
  }
  Hash hash{seed};
  hash.add((std::uint64_t{flow.vlan} << 16) | flow.ethertype);
  const bool ip = (flow.ethertype == kEtherIpv4 && parse_ipv4(flow, hash, p)) ||
                  (flow.ethertype == kEtherIpv6 && parse_ipv6(flow, hash, p));
  if (ip) {
    hash.add((std::uint64_t{flow.protocol} << 32) | (std::uint64_t{flow.source_port} << 16) |
             flow.destination_port);
  } else {
    hash.add(destination.value);
    hash.add(source.value);
  }
  flow.hash = hash.value();
  return flow;
}

}  // namespace orrery::fib
