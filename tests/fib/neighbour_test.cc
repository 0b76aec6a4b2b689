// Neighbour discovery answered locally, and what counts as an ARP request.
#include "fib/neighbour.h"

#include <gtest/gtest.h>

namespace orrery::fib {
namespace {

const wire::NetworkId kNetwork{0x50f44de1d7fa6fd2ULL};
const wire::Address kSelf{0x130a5aeaefULL};
const wire::Address kOther{0x0123456789ULL};
const wire::Mac kHost = wire::mac_of(kSelf, kNetwork);

Network network(std::vector<wire::Endpoint> ips) {
  Network n;
  n.id = kNetwork;
  n.self = kSelf;
  n.mac = kHost;
  n.ndp_emulation = true;
  n.static_ips = std::move(ips);
  return n;
}

ByteVector solicitation(const wire::Endpoint& target) {
  ByteVector p(72);
  p[0] = 0x60;
  p[5] = 32;
  p[6] = 58;
  p[7] = 255;
  p[40] = 135;
  std::copy(target.ip.begin(), target.ip.end(), p.begin() + 48);
  return p;
}

/// RFC 4443 section 2.3: the sum over pseudo-header and message is all ones.
bool checksum_holds(Bytes p) {
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 8; i < p.size(); i += 2) sum += load_be16(p.data() + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

void expect_advertisement(const Network& n, const wire::Endpoint& mine,
                          const wire::Endpoint& target) {
  const auto a = answer_solicitation(n, kHost, solicitation(target));
  ASSERT_TRUE(a);
  EXPECT_EQ(a->destination, kHost);
  EXPECT_EQ(a->source, wire::mac_of(kOther, kNetwork));
  const Bytes p(a->payload);
  EXPECT_EQ(to_hex(p.first(8)), "6000000000203aff");
  EXPECT_EQ(to_hex(p.subspan(8, 16)), to_hex(target.ip));
  EXPECT_EQ(to_hex(p.subspan(24, 16)), to_hex(mine.ip));
  EXPECT_EQ(to_hex(p.subspan(40, 2)), "8800");
  EXPECT_EQ(to_hex(p.subspan(44, 4)), "60000000");
  EXPECT_EQ(to_hex(p.subspan(48, 16)), to_hex(target.ip));
  EXPECT_EQ(to_hex(p.subspan(64, 2)), "0201");
  EXPECT_EQ(wire::Mac::load(p.data() + 66), wire::mac_of(kOther, kNetwork));
  EXPECT_TRUE(checksum_holds(p));
}

TEST(Neighbour, AnswersForRfc4193) {
  const wire::Endpoint mine = wire::rfc4193_address(kSelf, kNetwork);
  expect_advertisement(network({mine}), mine, wire::rfc4193_address(kOther, kNetwork));
}

TEST(Neighbour, AnswersForAnyAddressOfA6planeOwner) {
  const wire::Endpoint mine = wire::sixplane_address(kSelf, kNetwork);
  wire::Endpoint target = wire::sixplane_address(kOther, kNetwork);
  expect_advertisement(network({mine}), mine, target);
  target.ip[12] = 0x77;
  target.ip[15] = 0xfe;
  expect_advertisement(network({mine}), mine, target);
}

TEST(Neighbour, FirstMatchingAddressOfOursAnswers) {
  const wire::Endpoint plane = wire::sixplane_address(kSelf, kNetwork);
  const wire::Endpoint rfc = wire::rfc4193_address(kSelf, kNetwork);
  const Network n = network({wire::Endpoint::v4(0x0a000001, 24), plane, rfc});
  expect_advertisement(n, rfc, wire::rfc4193_address(kOther, kNetwork));
  expect_advertisement(n, plane, wire::sixplane_address(kOther, kNetwork));
}

TEST(Neighbour, LeavesTheRestToTheNetwork) {
  const wire::Endpoint mine = wire::rfc4193_address(kSelf, kNetwork);
  const wire::Endpoint target = wire::rfc4193_address(kOther, kNetwork);
  const auto answered = [](const Network& n, Bytes p) {
    return answer_solicitation(n, kHost, p).has_value();
  };
  const ByteVector good = solicitation(target);
  ASSERT_TRUE(answered(network({mine}), good));

  Network off = network({mine});
  off.ndp_emulation = false;
  EXPECT_FALSE(answered(off, good)) << "emulation off";
  EXPECT_FALSE(answered(network({}), good)) << "no address of ours";
  EXPECT_FALSE(answered(network({wire::sixplane_address(kSelf, kNetwork)}), good)) << "other form";
  EXPECT_FALSE(answered(network({mine.with_port(64)}), good)) << "other prefix length";
  EXPECT_FALSE(answered(network({mine}), solicitation(mine))) << "our own address";
  EXPECT_FALSE(answered(network({mine}), solicitation(wire::rfc4193_address({}, kNetwork))))
      << "address zero";
  const wire::NetworkId elsewhere{0xa1b2c3d4e5000000ULL};
  EXPECT_FALSE(answered(network({mine}), solicitation(wire::rfc4193_address(kOther, elsewhere))))
      << "other network";
  for (const auto& [at, value] : {std::pair<std::size_t, int>{6, 17}, {40, 136}}) {
    ByteVector p = good;
    p[at] = static_cast<std::uint8_t>(value);
    EXPECT_FALSE(answered(network({mine}), p)) << "byte " << at;
  }
  for (std::size_t n = 0; n < 64; ++n) {
    const ByteVector cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_FALSE(answered(network({mine}), cut)) << n << " bytes";
  }
  EXPECT_TRUE(answered(network({mine}), Bytes(good).first(64)));
}

TEST(Neighbour, ArpRequests) {
  // [2] hardware, [2] protocol, [1] 6, [1] 4, [2] operation, addresses; target IP at 24.
  const ByteVector good = *from_hex("0001080006040001020000000001c0a80001000000000000c0a80007");
  EXPECT_EQ(arp_request_target(0x0806, good), 0xc0a80007u);
  EXPECT_FALSE(arp_request_target(0x0800, good));
  EXPECT_FALSE(arp_request_target(0x0806, Bytes(good).first(27)));
  for (const std::size_t at : {2u, 3u, 4u, 5u, 7u}) {
    ByteVector p = good;
    p[at] = static_cast<std::uint8_t>(p[at] + 1);
    EXPECT_FALSE(arp_request_target(0x0806, p)) << "byte " << at;
  }
  for (const std::size_t at : {0u, 1u, 6u}) {  // hardware type and high byte: not looked at
    ByteVector p = good;
    p[at] = static_cast<std::uint8_t>(p[at] + 1);
    EXPECT_EQ(arp_request_target(0x0806, p), 0xc0a80007u) << "byte " << at;
  }
}

}  // namespace
}  // namespace orrery::fib
