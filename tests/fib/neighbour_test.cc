// Neighbour discovery answered locally, and what counts as an ARP request.
#include "fib/neighbour.h"

#include <gtest/gtest.h>

#include "support/neighbour_frames.h"

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

// --- what a bridge reads

const wire::Mac kOne{0x525400000001ULL}, kTwo{0x525400000002ULL};
const auto kIpOne = NeighbourAddress::v4(0x0a000001), kIpTwo = NeighbourAddress::v4(0x0a000002);
const test::Ip6 kSixOne = test::ip6(1), kSixTwo = test::ip6(2), kUnspecified{};

NeighbourAddress v6(const test::Ip6& ip) {
  return NeighbourAddress::v6(ip.data());
}

std::optional<NeighbourMessage> read(const ByteVector& frame) {
  return read_neighbour(wire::Mac::load(frame.data()), wire::Mac::load(frame.data() + 6),
                        load_be16(frame.data() + 12), Bytes(frame).subspan(14));
}

struct Row {
  const char* what;
  ByteVector frame;
  Claim claim;
  NeighbourAddress sender;
  NeighbourAddress target;
  bool router = false;
};

TEST(Neighbour, ClaimsAndQuestions) {
  using namespace test;
  constexpr std::uint32_t one = 0x0a000001, two = 0x0a000002;
  const Ip6 group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const wire::Mac all{0x333300000001ULL};
  const Row rows[] = {
      {"request", arp_request(kOne, one, two), Claim::kSound, kIpOne, kIpTwo},
      {"reply", arp(kArpReply, kTwo, kOne, kOne, one, two), Claim::kSound, kIpOne, {}},
      {"unicast request", arp(kArpRequest, kTwo, kOne, kOne, one, two), Claim::kSound, kIpOne, {}},
      {"announcement", arp_request(kOne, one, one), Claim::kSound, kIpOne, {}},
      {"probe", arp_request(kOne, 0, two), Claim::kNone, {}, {}},
      {"in another's name",
       arp(kArpRequest, wire::kBroadcastMac, kOne, kTwo, one, two),
       Claim::kWeak,
       kIpOne,
       {}},
      {"from a group", arp_request(kOne, 0xe0000001, two), Claim::kNone, {}, {}},
      {"for a group", arp_request(kOne, one, 0xe0000001), Claim::kSound, kIpOne, {}},
      {"solicitation", test::solicitation(kOne, kSixOne, kSixTwo), Claim::kWeak, v6(kSixOne),
       v6(kSixTwo)},
      {"is it still there",
       discovery(kSolicitation, kTwo, kOne, kSixOne, kSixTwo, 0, kSixTwo),
       Claim::kWeak,
       v6(kSixOne),
       {}},
      {"before its use", test::solicitation(kOne, kUnspecified, kSixOne), Claim::kNone, {}, {}},
      {"for itself", test::solicitation(kOne, kSixOne, kSixOne), Claim::kWeak, v6(kSixOne), {}},
      {"no link-layer address",
       discovery(kSolicitation, wire::Mac{0x3333ff000002ULL}, kOne, kSixOne, group, 0, kSixTwo,
                 false),
       Claim::kNone,
       {},
       {}},
      {"advertisement",
       discovery(kAdvertisement, kTwo, kOne, kSixOne, kSixTwo, kSolicitedFlag | kOverrideFlag,
                 kSixOne),
       Claim::kSound,
       v6(kSixOne),
       {}},
      {"of a router",
       discovery(kAdvertisement, all, kOne, kSixOne, group, kRouterFlag | kOverrideFlag, kSixOne),
       Claim::kSound,
       v6(kSixOne),
       {},
       true},
      {"that others may override",
       discovery(kAdvertisement, kTwo, kOne, kSixOne, kSixTwo, kSolicitedFlag, kSixOne),
       Claim::kWeak,
       v6(kSixOne),
       {}},
      {"advertisement without a link-layer address",
       discovery(kAdvertisement, kTwo, kOne, kSixOne, kSixTwo, kOverrideFlag, kSixOne, false),
       Claim::kNone,
       {},
       {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    ByteVector padded = row.frame;
    padded.resize(std::max<std::size_t>(padded.size(), 60) + 3);
    for (const ByteVector& frame : {row.frame, padded}) {
      const auto m = read(frame);
      ASSERT_TRUE(m);
      EXPECT_EQ(m->claim, row.claim);
      EXPECT_EQ(m->sender, row.sender);
      EXPECT_EQ(m->target, row.target);
      EXPECT_EQ(m->router, row.router);
    }
  }
  const auto foreign = read(arp(kArpRequest, wire::kBroadcastMac, kOne, kTwo, one, two));
  EXPECT_EQ(foreign->mac, kTwo);
}

TEST(Neighbour, WhatIsNoWholeMessageSaysNothing) {
  const ByteVector request = test::arp_request(kOne, 0x0a000001, 0x0a000002);
  for (std::size_t n = 14; n < request.size(); ++n)
    EXPECT_FALSE(read(ByteVector(request.begin(), request.begin() + static_cast<long>(n)))) << n;
  for (const std::size_t at : {1u, 2u, 3u, 4u, 5u, 6u}) {
    ByteVector p = request;
    p[14 + at] ^= 4;
    EXPECT_FALSE(read(p)) << "byte " << at;
  }
  const ByteVector asked = test::solicitation(kOne, kSixOne, kSixTwo);
  for (std::size_t n = 14; n < asked.size(); ++n)
    EXPECT_FALSE(read(ByteVector(asked.begin(), asked.begin() + static_cast<long>(n)))) << n;
  for (std::size_t at = 0; at < asked.size() - 14; ++at) {
    if (at >= 1 && at <= 3) continue;  // traffic class and flow label
    ByteVector p = asked;
    p[14 + at] ^= 0x11;
    EXPECT_FALSE(read(p)) << "byte " << at;
  }
  // Options of SEND, and a nonce, stand beside the address: their answer is the owner's.
  ByteVector more = asked;
  more.resize(more.size() + 8);
  more[more.size() - 8] = 14;
  more[more.size() - 7] = 1;
  store_be16(more.data() + 14 + 4, 40);
  test::seal_icmpv6(more);
  EXPECT_EQ(read(more)->claim, Claim::kNone);
  EXPECT_FALSE(read(more)->target);
  EXPECT_FALSE(read(test::ethernet_head(kTwo, kOne, 0x0800)));
}

TEST(Neighbour, AnswersAsTheOwnerWould) {
  std::array<std::uint8_t, kNeighbourAnswer> out;
  const auto answer = [&](const ByteVector& question, bool router) {
    const std::size_t size = write_neighbour_answer(out, *read(question), {kTwo, router});
    return ByteVector(out.begin(), out.begin() + static_cast<long>(size));
  };
  EXPECT_EQ(answer(test::arp_request(kOne, 0x0a000001, 0x0a000002), false),
            test::arp(test::kArpReply, kOne, kTwo, kTwo, 0x0a000002, 0x0a000001));
  for (const bool router : {false, true}) {
    EXPECT_EQ(answer(test::solicitation(kOne, kSixOne, kSixTwo), router),
              test::discovery(
                  test::kAdvertisement, kOne, kTwo, kSixTwo, kSixOne,
                  test::kSolicitedFlag | test::kOverrideFlag | (router ? test::kRouterFlag : 0),
                  kSixTwo));
  }
}

}  // namespace
}  // namespace orrery::fib
