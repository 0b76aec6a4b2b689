// Where the layers begin, and which frames hash alike.
#include "fib/flow.h"

#include <gtest/gtest.h>

#include <cmath>

namespace orrery::fib {
namespace {

constexpr std::uint64_t kSeed = 0x0123456789abcdefULL;
const wire::Mac kA{0x020000000001ULL};
const wire::Mac kB{0x020000000002ULL};

struct Ipv4 {
  std::uint32_t source = 0x0a000001, destination = 0x0a000002;
  std::uint8_t protocol = 6, words = 5;  // header length in 32-bit words
  std::uint16_t fragment = 0;            // flags and offset as on the wire
  std::uint16_t source_port = 1000, destination_port = 80;
};

ByteVector ipv4(const Ipv4& f) {
  ByteVector p(4u * f.words + 20);
  p[0] = static_cast<std::uint8_t>(0x40 | f.words);
  store_be16(p.data() + 6, f.fragment);
  p[9] = f.protocol;
  store_be32(p.data() + 12, f.source);
  store_be32(p.data() + 16, f.destination);
  store_be16(p.data() + 4u * f.words, f.source_port);
  store_be16(p.data() + 4u * f.words + 2, f.destination_port);
  return p;
}

/// Headers: pairs of (type, its 8 bytes after the two of the chain are zero), then ports.
ByteVector ipv6(std::vector<std::uint8_t> headers, std::uint8_t protocol, std::uint16_t port,
                std::uint16_t fragment_word = 1) {
  ByteVector p(40);
  p[0] = 0x60;
  p[23] = 1;
  p[39] = 2;
  std::size_t next = 6;
  for (const std::uint8_t type : headers) {
    p[next] = type;
    next = p.size();
    p.resize(p.size() + 8);
    if (type == 44) store_be16(p.data() + next + 2, fragment_word);
  }
  p[next] = protocol;
  p.resize(p.size() + 20);
  store_be16(p.data() + p.size() - 20, port);
  store_be16(p.data() + p.size() - 18, 443);
  return p;
}

Flow flow4(const ByteVector& p, std::uint64_t seed = kSeed) {
  return parse_flow(kA, kB, 0x0800, p, seed);
}

Flow flow6(const ByteVector& p) {
  return parse_flow(kA, kB, 0x86dd, p, kSeed);
}

TEST(Flow, Ipv4Fields) {
  const Flow f = flow4(ipv4({.words = 7}));
  EXPECT_EQ(f.ip_version, 4);
  EXPECT_EQ(f.protocol, 6);
  EXPECT_EQ(f.l3, 0);
  EXPECT_EQ(f.l4, 28);
  EXPECT_TRUE(f.has_ports);
  EXPECT_EQ(f.source_port, 1000);
  EXPECT_EQ(f.destination_port, 80);
  EXPECT_FALSE(f.fragment);
}

TEST(Flow, EveryPartOfTheTupleCounts) {
  const std::uint32_t base = flow4(ipv4({})).hash;
  EXPECT_EQ(flow4(ipv4({})).hash, base);
  EXPECT_NE(flow4(ipv4({.source = 0x0a000003})).hash, base);
  EXPECT_NE(flow4(ipv4({.destination = 0x0a000003})).hash, base);
  EXPECT_NE(flow4(ipv4({.protocol = 17})).hash, base);
  EXPECT_NE(flow4(ipv4({.source_port = 1001})).hash, base);
  EXPECT_NE(flow4(ipv4({.destination_port = 81})).hash, base);
  EXPECT_NE(flow4(ipv4({}), kSeed + 1).hash, base);
  // Options, MACs and what follows the ports do not.
  EXPECT_EQ(flow4(ipv4({.words = 9})).hash, base);
  EXPECT_EQ(parse_flow(kB, kA, 0x0800, ipv4({}), kSeed).hash, base);
}

TEST(Flow, FragmentsOfOneDatagramHashAlike) {
  const Flow first = flow4(ipv4({.protocol = 17, .fragment = 0x2000}));
  const Flow later = flow4(ipv4({.protocol = 17, .fragment = 0x00b9, .source_port = 7}));
  EXPECT_TRUE(first.fragment);
  EXPECT_TRUE(later.fragment);
  EXPECT_FALSE(first.has_ports);
  EXPECT_EQ(first.hash, later.hash);
  EXPECT_FALSE(flow4(ipv4({.fragment = 0x4000})).fragment) << "don't fragment";

  const Flow first6 = flow6(ipv6({44}, 17, 53, 1));
  const Flow later6 = flow6(ipv6({44}, 17, 99, 0x00b8));
  EXPECT_TRUE(first6.fragment);
  EXPECT_EQ(first6.hash, later6.hash);
  const Flow atomic = flow6(ipv6({44}, 17, 53, 0));
  EXPECT_FALSE(atomic.fragment);
  EXPECT_TRUE(atomic.has_ports);
}

TEST(Flow, Ipv6ExtensionHeaders) {
  const Flow plain = flow6(ipv6({}, 17, 53));
  EXPECT_EQ(plain.ip_version, 6);
  EXPECT_EQ(plain.l4, 40);
  EXPECT_EQ(plain.source_port, 53);
  for (const std::uint8_t type : std::to_array<std::uint8_t>({0, 43, 60, 135})) {
    const Flow f = flow6(ipv6({type}, 17, 53));
    EXPECT_EQ(f.l4, 48) << int{type};
    EXPECT_EQ(f.hash, plain.hash) << int{type};
  }
  const Flow many = flow6(ipv6(std::vector<std::uint8_t>(9, 60), 17, 53));
  EXPECT_EQ(many.protocol, 60) << "the ninth is not walked";
  EXPECT_FALSE(many.has_ports);
}

TEST(Flow, VlanTags) {
  ByteVector inner = ipv4({});
  ByteVector tagged = {0x20, 0x64, 0x08, 0x00};
  tagged.insert(tagged.end(), inner.begin(), inner.end());
  const Flow one = parse_flow(kA, kB, 0x8100, tagged, kSeed);
  EXPECT_EQ(one.vlan, 100);
  EXPECT_EQ(one.ethertype, 0x0800);
  EXPECT_EQ(one.l3, 4);
  EXPECT_EQ(one.l4, 24);
  EXPECT_NE(one.hash, flow4(inner).hash) << "another network segment";
  ByteVector twice = {0x00, 0x05, 0x81, 0x00};
  twice.insert(twice.end(), tagged.begin(), tagged.end());
  const Flow two = parse_flow(kA, kB, 0x88a8, twice, kSeed);
  EXPECT_EQ(two.vlan, 5);
  EXPECT_EQ(two.source_port, 1000);
  ByteVector thrice = {0x00, 0x05, 0x81, 0x00};
  thrice.insert(thrice.end(), twice.begin(), twice.end());
  EXPECT_EQ(parse_flow(kA, kB, 0x88a8, thrice, kSeed).ip_version, 0) << "a third tag is payload";
}

TEST(Flow, WhatIsNotIpHashesByItsMacs) {
  const ByteVector p(40, 0);
  const Flow arp = parse_flow(kA, kB, 0x0806, p, kSeed);
  EXPECT_EQ(arp.ip_version, 0);
  EXPECT_EQ(arp.l4, 0);
  EXPECT_NE(arp.hash, parse_flow(kB, kA, 0x0806, p, kSeed).hash);
  EXPECT_NE(arp.hash, parse_flow(kA, kB, 0x0807, p, kSeed).hash);
  EXPECT_EQ(flow4(p).ip_version, 0) << "version nibble 0";
  ByteVector short_header = ipv4({});
  short_header[0] = 0x44;
  EXPECT_EQ(flow4(short_header).ip_version, 0) << "header of 16 bytes";
}

TEST(Flow, TotalOverEveryPrefix) {
  for (const ByteVector& whole : {ipv4({.words = 15}), ipv6({0, 43, 44, 60}, 6, 1)}) {
    for (const std::uint16_t ethertype :
         std::to_array<std::uint16_t>({0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806})) {
      for (std::size_t n = 0; n <= whole.size(); ++n) {
        const ByteVector cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
        const Flow f = parse_flow(kA, kB, ethertype, cut, kSeed);
        EXPECT_LE(f.l3, n);
        EXPECT_LE(f.l4, n);
        if (f.has_ports) {
          EXPECT_LE(f.l4 + 4u, n);
        }
      }
    }
  }
}

/// 4096 flows that differ in one port over 16 buckets: no bucket is off by more than 5 sigma.
TEST(Flow, SpreadsEvenly) {
  std::array<int, 16> low{}, high{};
  for (std::uint16_t port = 0; port < 4096; ++port) {
    const std::uint32_t hash = flow4(ipv4({.source_port = port})).hash;
    ++low[hash & 15];
    ++high[hash >> 28];
  }
  const double sigma = std::sqrt(4096.0 / 16);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_NEAR(low[i], 256, 5 * sigma) << i;
    EXPECT_NEAR(high[i], 256, 5 * sigma) << i;
  }
}

}  // namespace
}  // namespace orrery::fib
