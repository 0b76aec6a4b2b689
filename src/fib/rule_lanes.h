// Up to 64 frames as rules see them, one array per fact, and what of these facts a list of rules
// looks at.
//
// Bit i of a mask, and element i of an array, is lane i. Lanes from `n` on hold whatever stood
// there before: masks over them mean nothing.
#pragma once

#include <cstring>

#include "fib/rule_packet.h"
#include "fib/rules.h"

namespace orrery::fib {

inline constexpr unsigned kRuleLanes = 64;

/// Lanes [0, n).
[[nodiscard]] constexpr std::uint64_t first_lanes(unsigned n) {
  return n >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

/// Which facts decide about a frame, beside network, member, direction, ethertype, protocol and
/// whether the headers are whole.
struct RuleNeeds {
  enum Field : std::uint16_t {
    kMacs = 1,
    kTag = 2,
    kIps = 4,
    kTos = 8,
    kPorts = 16,
    kIcmp = 32,
    kSize = 64,
    kContent = 128,  // of the payload anywhere, or chance: no flow has one verdict
  };

  std::uint64_t characteristics = 0;  // bits of MATCH_CHARACTERISTICS
  std::uint16_t fields = 0;

  [[nodiscard]] bool cacheable() const { return (fields & kContent) == 0; }

  RuleNeeds& operator|=(const RuleNeeds& o) {
    characteristics |= o.characteristics;
    fields |= o.fields;
    return *this;
  }
};

[[nodiscard]] RuleNeeds needs_of(std::span<const wire::Rule> rules);
/// Of all that can be asked about a member's frames on their way in, but the network's own rules.
[[nodiscard]] RuleNeeds needs_of(std::span<const CapabilityRules> capabilities);

struct alignas(64) RuleLanes {
  template <typename T>
  using Lane = std::array<T, kRuleLanes>;

  Lane<std::uint16_t> ethertype;
  Lane<std::uint16_t> tag_control;
  Lane<std::uint16_t> source_port, destination_port;  // where `ports`
  Lane<std::uint8_t> protocol;                        // where `ipv4` or `upper`
  Lane<std::uint8_t> tos;                             // where `ipv4` or `ipv6`
  Lane<std::uint8_t> icmp_type, icmp_code;            // where `icmp`
  Lane<std::uint32_t> size;                           // bytes of payload
  Lane<std::uint32_t> ipv4_source, ipv4_destination;  // where `ipv4`
  Lane<std::uint32_t> random;                         // of MATCH_RANDOM; the caller's
  Lane<std::uint64_t> characteristics;                // find_characteristics() fills them
  Lane<const Member*> member;                         // the other side; null: unknown
  Lane<RuleFrame> frame;
  std::uint64_t ipv4 = 0, ipv6 = 0;
  std::uint64_t upper = 0;  // IPv6 whose headers lead to a protocol
  std::uint64_t ports = 0;  // a protocol with ports, and they are there
  std::uint64_t icmp = 0;   // ICMP of its version of IP, and it is there
  unsigned n = 0;

  /// Of the bits in `wanted`; without sender's authentication it costs a look at the TCP header.
  void find_characteristics(const Network& network, bool inbound, std::uint64_t wanted);

  class Filling;
};

/// Fills lanes from the first on; they are complete when it ends. What is counted and collected is
/// kept in registers until then.
class RuleLanes::Filling {
 public:
  explicit Filling(RuleLanes& lanes) : l_(lanes) {}

  ~Filling() {
    l_.n = n_;
    l_.ipv4 = ipv4_;
    l_.ipv6 = ipv6_;
    l_.upper = upper_;
    l_.ports = ports_;
    l_.icmp = icmp_;
  }

  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;

  [[nodiscard]] unsigned size() const { return n_; }

  /// The frame of the lane to come, to be written in place: a copy of a frame that has just been
  /// put together waits for all of its parts, which costs more than all the rest of this.
  /// REQUIRES: size() < kRuleLanes.
  [[nodiscard]] RuleFrame& frame() { return l_.frame[n_]; }

  /// Takes what stands in frame(). The payload must stay as it is while the lanes are in use.
  void add(const Member* remote);

  void add(const RuleFrame& f, const Member* remote) {
    frame() = f;
    add(remote);
  }

 private:
  void read_upper(Bytes p, std::size_t position, std::uint8_t protocol, std::uint8_t icmp);

  RuleLanes& l_;
  unsigned n_ = 0;
  std::uint64_t bit_ = 1;  // of the lane to come
  std::uint64_t ipv4_ = 0, ipv6_ = 0, upper_ = 0, ports_ = 0, icmp_ = 0;
};

inline void RuleLanes::Filling::read_upper(Bytes p, std::size_t position, std::uint8_t protocol,
                                           std::uint8_t icmp) {
  l_.protocol[n_] = protocol;
  if (has_ports(protocol)) {
    if (p.size() <= position + 4) return;
    l_.source_port[n_] = load_be16(p.data() + position);
    l_.destination_port[n_] = load_be16(p.data() + position + 2);
    ports_ |= bit_;
  } else if (protocol == icmp && p.size() >= position + 2) {
    l_.icmp_type[n_] = p[position];
    l_.icmp_code[n_] = p[position + 1];
    icmp_ |= bit_;
  }
}

inline void RuleLanes::Filling::add(const Member* remote) {
  const RuleFrame& f = l_.frame[n_];
  const Bytes p = f.payload;
  l_.member[n_] = remote;
  l_.ethertype[n_] = f.ethertype;
  l_.tag_control[n_] = f.tag_control;
  l_.size[n_] = static_cast<std::uint32_t>(p.size());
  if (is_ipv4(f.ethertype, p)) {
    ipv4_ |= bit_;
    l_.tos[n_] = p[1];
    l_.ipv4_source[n_] = load_be32(p.data() + 12);
    l_.ipv4_destination[n_] = load_be32(p.data() + 16);
    read_upper(p, behind_ipv4(p), p[9], 1);
  } else if (is_ipv6(f.ethertype, p)) {
    ipv6_ |= bit_;
    l_.tos[n_] = static_cast<std::uint8_t>((p[0] << 4) | (p[1] >> 4));
    if (const auto above = walk_ipv6(p)) {
      upper_ |= bit_;
      read_upper(p, above->position, above->protocol, 58);
    }
  }
  ++n_;
  bit_ <<= 1;
}

}  // namespace orrery::fib
