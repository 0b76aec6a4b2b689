#include "fib/guard.h"

#include "wire/vlan.h"

namespace orrery::fib {
namespace {

constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestination = 60;
constexpr std::uint8_t kAdvertisement = 134, kRedirect = 137;
constexpr std::size_t kMostExtensions = 16;  // more is nothing that a host sends

ServerWord of_ipv4(Bytes p) {
  if (p.size() < 20 || p[9] != kUdp || (load_be16(p.data() + 6) & 0x1fff) != 0)
    return ServerWord::kNone;
  const std::size_t header = 4u * (p[0] & 15u);
  return header >= 20 && p.size() >= header + 4 && load_be16(p.data() + header) == 67
             ? ServerWord::kDhcp
             : ServerWord::kNone;
}

ServerWord of_ipv6(Bytes p) {
  if (p.size() < 40) return ServerWord::kNone;
  std::uint8_t next = p[6];
  std::size_t at = 40;
  bool fragment = false;
  for (std::size_t i = 0; i < kMostExtensions; ++i) {
    if (next == kUdp) {
      const bool server = p.size() >= at + 4 && load_be16(p.data() + at) == 547;
      return server ? ServerWord::kDhcp : ServerWord::kNone;
    }
    if (next == kIcmpv6) {
      if (p.size() <= at) return fragment ? ServerWord::kRouter : ServerWord::kNone;
      return p[at] == kAdvertisement || p[at] == kRedirect ? ServerWord::kRouter
                                                           : ServerWord::kNone;
    }
    const bool walked =
        next == kHopByHop || next == kRouting || next == kFragment || next == kDestination;
    if (!walked) return ServerWord::kNone;
    // A first fragment that ends before its upper header may hide anything; others are harmless
    // without it.
    if (p.size() < at + 8) return fragment ? ServerWord::kRouter : ServerWord::kNone;
    if (next == kFragment) {
      if ((load_be16(p.data() + at + 2) & 0xfff8) != 0) return ServerWord::kNone;
      fragment = true;
    }
    const std::size_t length = next == kFragment ? 8 : std::size_t{p[at + 1]} * 8 + 8;
    next = p[at];
    at += length;
  }
  return ServerWord::kRouter;
}

}  // namespace

ServerWord server_word(std::uint16_t ethertype, Bytes payload) {
  const wire::BehindTag in = wire::behind_tag(ethertype, payload);
  if (in.ethertype == 0x0800) return of_ipv4(in.payload);
  if (in.ethertype == 0x86dd) return of_ipv6(in.payload);
  return ServerWord::kNone;
}

}  // namespace orrery::fib
