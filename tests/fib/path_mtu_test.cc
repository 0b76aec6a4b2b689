// path_mtu: which sizes are worth sending, MSS of SYNs with checksums against full computation, and
// the answers to what is too large.
#include "fib/path_mtu.h"

#include <gtest/gtest.h>

#include <random>

#include "wire/fragment.h"
#include "wire/verbs/frame.h"

namespace orrery::fib {
namespace {

const wire::Mac kHost{0x525400000001}, kFar{0x525400000002};

std::uint16_t checksum(Bytes bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// Checksum of the upper layer of an IP packet, pseudo header included: 0 when the packet's own is
/// right.
std::uint16_t upper_checksum(Bytes p, std::uint8_t protocol) {
  const bool six = p[0] >> 4 == 6;
  const std::size_t header = six ? 40 : 4u * (p[0] & 15u);
  const Bytes upper = p.subspan(header);
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(upper.size());
  const Bytes addresses = six ? p.subspan(8, 32) : p.subspan(12, 8);
  for (std::size_t i = 0; i < addresses.size(); i += 2) sum += load_be16(addresses.data() + i);
  return checksum(upper, sum);
}

struct Syn {
  bool six = false;
  std::uint8_t flags = 2;
  ByteVector options = {2, 4, 0x05, 0xb4};  // MSS 1460
  std::size_t ip_options = 0;
  std::size_t data = 0;
  std::uint16_t fragment = 0x4000;
};

ByteVector packet_of(const Syn& s) {
  const std::size_t ip = s.six ? 40 : 20 + s.ip_options;
  const std::size_t tcp = 20 + s.options.size();
  ByteVector p(ip + tcp + s.data, 0x5a);
  std::fill_n(p.begin(), ip + tcp, std::uint8_t{0});
  if (s.six) {
    p[0] = 0x60;
    store_be16(p.data() + 4, static_cast<std::uint16_t>(tcp + s.data));
    p[6] = 6;
    p[7] = 64;
    for (std::size_t i = 8; i < 40; ++i) p[i] = static_cast<std::uint8_t>(0x20 + i);
  } else {
    p[0] = static_cast<std::uint8_t>(0x40 | ip / 4);
    store_be16(p.data() + 2, static_cast<std::uint16_t>(p.size()));
    store_be16(p.data() + 6, s.fragment);
    p[8] = 64;
    p[9] = 6;
    store_be32(p.data() + 12, 0x0a000001);
    store_be32(p.data() + 16, 0x0a000002);
    store_be16(p.data() + 10, checksum(Bytes(p).first(ip)));
  }
  store_be16(p.data() + ip, 40'000);
  store_be16(p.data() + ip + 2, 443);
  p[ip + 12] = static_cast<std::uint8_t>(tcp / 4 << 4);
  p[ip + 13] = s.flags;
  std::copy(s.options.begin(), s.options.end(), p.begin() + static_cast<std::ptrdiff_t>(ip + 20));
  store_be16(p.data() + ip + 16, upper_checksum(p, 6));
  return p;
}

std::uint16_t ethertype_of(const Syn& s) {
  return s.six ? 0x86dd : 0x0800;
}

TEST(WorthwhilePayload, NoDatagramThatIsMostlyEmpty) {
  constexpr std::size_t kExt = wire::kExtFrameHead, kPath = 1'432;
  EXPECT_EQ(worthwhile_payload(1'300, kExt, kPath), 1'300u) << "fits one";
  EXPECT_EQ(worthwhile_payload(1'500, kExt, kPath), kPath - 28 - kExt) << "a LAN's";
  EXPECT_EQ(worthwhile_payload(2'800, wire::kFrameHead, kPath), 2'800u) << "two full ones";
  EXPECT_EQ(worthwhile_payload(2'800, kExt, kPath), 2'797u) << "three bytes in a third";
  EXPECT_EQ(worthwhile_payload(1'500, kExt, 8'000), 1'500u);
  for (std::size_t most = 576; most < 9'800; ++most) {
    for (const std::size_t path : {548u, 1'280u, 1'432u, 1'472u, 8'000u}) {
      const std::size_t size = worthwhile_payload(most, kExt, path);
      ASSERT_LE(size, most);
      ASSERT_GT(size, most / 3);
      if (size == most) continue;
      ASSERT_EQ(wire::plan_fragments(28 + kExt + size, path).pieces + 1,
                wire::plan_fragments(28 + kExt + most, path).pieces);
      ASSERT_EQ(wire::plan_fragments(28 + kExt + size + 1, path).pieces,
                wire::plan_fragments(28 + kExt + most, path).pieces)
          << "not one byte less than fits";
    }
  }
}

/// A way that takes packets of so many bytes in one piece.
Way in_one_piece(std::size_t largest) {
  return {largest, 0, 65'000};
}

TEST(ClampMss, ToWhatIsWorthSending) {
  const auto after = [](std::uint16_t announced, const Way& way) {
    ByteVector p = packet_of({.options = {2, 4, static_cast<std::uint8_t>(announced >> 8),
                                          static_cast<std::uint8_t>(announced)}});
    (void)clamp_mss(0x0800, p, way);
    EXPECT_EQ(upper_checksum(p, 6), 0);
    return load_be16(p.data() + 42);
  };
  EXPECT_EQ(after(1'460, {1'500, wire::kExtFrameHead, 1'432}), 1'341) << "a LAN host";
  EXPECT_EQ(after(1'460, {2'800, wire::kExtFrameHead, 1'432}), 1'341) << "it sends no more anyway";
  EXPECT_EQ(after(8'960, {1'500, wire::kExtFrameHead, 8'000}), 1'460) << "jumbo frames elsewhere";
  EXPECT_EQ(after(2'760, {2'800, wire::kFrameHead, 1'432}), 2'760) << "a member";
  EXPECT_EQ(after(536, {1'500, wire::kExtFrameHead, 1'432}), 536);
  EXPECT_EQ(after(0, {1'500, wire::kExtFrameHead, 1'432}), 0);
}

TEST(ClampMss, LowersWhatIsAnnounced) {
  struct Row {
    const char* what;
    Syn syn;
    std::size_t largest;
    std::size_t mss_at;  // in the options; ~0: nothing changes
  };

  const ByteVector linux_options = {2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
  constexpr std::size_t kNothing = ~std::size_t{0};
  const Row rows[] = {
      {"plain", {}, 1'381, 2},
      {"SYN and ACK", {.flags = 0x12}, 1'381, 2},
      {"as Linux sends it", {.options = linux_options}, 1'381, 2},
      {"at an odd place", {.options = {1, 2, 4, 5, 0xb4, 1, 1, 0}}, 1'381, 3},
      {"with IP options", {.ip_options = 8}, 1'381, 2},
      {"with data", {.data = 333}, 1'381, 2},
      {"IPv6", {.six = true}, 1'381, 2},
      {"IPv6 at an odd place", {.six = true, .options = {1, 2, 4, 5, 0xb4, 0, 0, 0}}, 1'381, 3},
      {"small enough", {}, 1'500, kNothing},
      {"no SYN", {.flags = 0x10}, 1'381, kNothing},
      {"no options", {.options = {}}, 1'381, kNothing},
      {"behind the end of options", {.options = {0, 0, 0, 0, 2, 4, 5, 0xb4}}, 1'381, kNothing},
      {"an option of length 0", {.options = {8, 0, 0, 0, 2, 4, 5, 0xb4}}, 1'381, kNothing},
      {"an option beyond the header", {.options = {8, 200, 2, 4}}, 1'381, kNothing},
      {"an MSS of other length", {.options = {2, 8, 5, 0xb4, 0, 0, 0, 0}}, 1'381, kNothing},
      {"a fragment", {.fragment = 0x2000}, 1'381, kNothing},
      {"nothing is small enough", {}, 40, kNothing},
  };
  for (const Row& row : rows) {
    const ByteVector before = packet_of(row.syn);
    ByteVector after = before;
    ASSERT_EQ(upper_checksum(before, 6), 0) << row.what;
    EXPECT_EQ(clamp_mss(ethertype_of(row.syn), after, in_one_piece(row.largest)),
              row.mss_at != kNothing)
        << row.what;
    if (row.mss_at == kNothing) {
      EXPECT_EQ(after, before) << row.what;
      continue;
    }
    EXPECT_EQ(upper_checksum(after, 6), 0) << row.what;
    const std::size_t ip = row.syn.six ? 40 : 20 + row.syn.ip_options;
    const std::size_t at = ip + 20 + row.mss_at;
    EXPECT_EQ(load_be16(after.data() + at), row.largest - (row.syn.six ? 60 : 40)) << row.what;
    // Nothing else.
    store_be16(after.data() + at, 1'460);
    store_be16(after.data() + ip + 16, load_be16(before.data() + ip + 16));
    EXPECT_EQ(after, before) << row.what;
  }
}

/// What ethertype 0x8100 carries.
ByteVector tagged(std::uint16_t ethertype, ByteVector payload) {
  const std::uint8_t tag[] = {0xa0, 5, static_cast<std::uint8_t>(ethertype >> 8),
                              static_cast<std::uint8_t>(ethertype)};
  payload.insert(payload.begin(), tag, tag + 4);
  return payload;
}

TEST(ClampMss, BehindATag) {
  for (const bool six : {false, true}) {
    const std::uint16_t ethertype = six ? 0x86dd : 0x0800;
    const Way tight{1'500, wire::kExtFrameHead, 1'432};
    ByteVector plain = packet_of({.six = six});
    ByteVector in_vlan = tagged(ethertype, plain);
    EXPECT_TRUE(may_be_syn(0x8100, in_vlan));
    ASSERT_TRUE(clamp_mss(0x8100, in_vlan, tight));
    // The tag takes four bytes of the datagram.
    ASSERT_TRUE(clamp_mss(ethertype, plain, {1'500, wire::kExtFrameHead + 4, 1'432}));
    EXPECT_EQ(in_vlan, tagged(ethertype, plain));
    ByteVector twice = tagged(0x8100, tagged(ethertype, packet_of({.six = six})));
    EXPECT_FALSE(may_be_syn(0x8100, twice));
    EXPECT_FALSE(clamp_mss(0x8100, twice, tight));
  }
}

TEST(ClampMss, ChecksumsForAllValues) {
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    Syn syn;
    syn.six = random() % 2 == 0;
    const auto mss = static_cast<std::uint16_t>(random());
    const ByteVector option = {2, 4, static_cast<std::uint8_t>(mss >> 8),
                               static_cast<std::uint8_t>(mss)};
    syn.options = {1, 1, 1, 1, 1, 1, 1, 1};
    std::copy(option.begin(), option.end(), syn.options.begin() + static_cast<long>(random() % 5));
    syn.data = random() % 7;
    ByteVector p = packet_of(syn);
    (void)clamp_mss(ethertype_of(syn), p, in_one_piece(100 + random() % 9'000));
    ASSERT_EQ(upper_checksum(p, 6), 0);
  }
}

TEST(ClampMss, EveryTruncationIsSafe) {
  for (const bool six : {false, true}) {
    const ByteVector whole = packet_of({.six = six});
    for (std::size_t n = 0; n < whole.size(); ++n) {
      ByteVector part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
      EXPECT_FALSE(clamp_mss(six ? 0x86dd : 0x0800, part, in_one_piece(1'000))) << n;
      part = tagged(six ? 0x86dd : 0x0800, part);
      part.resize(n);
      EXPECT_FALSE(clamp_mss(0x8100, part, in_one_piece(1'000))) << n;
    }
  }
}

ByteVector udp(bool six, std::size_t size) {
  Syn like;
  like.six = six;
  like.options = {};
  ByteVector p = packet_of(like);
  p.resize(size, 0x77);
  p[six ? 6 : 9] = 17;
  if (six) {
    store_be16(p.data() + 4, static_cast<std::uint16_t>(size - 40));
  } else {
    store_be16(p.data() + 2, static_cast<std::uint16_t>(size));
  }
  return p;
}

EthernetFrame frame_of(bool six, Bytes payload) {
  return {kFar, kHost, static_cast<std::uint16_t>(six ? 0x86dd : 0x0800), payload};
}

TEST(TooBig, WhatExceeds) {
  ByteVector p = udp(false, 1'501);
  EXPECT_TRUE(exceeds(frame_of(false, p), 1'500));
  EXPECT_FALSE(exceeds(frame_of(false, p), 1'501));
  p[6] = 0;
  EXPECT_FALSE(exceeds(frame_of(false, p), 1'500)) << "may be fragmented";
  EXPECT_TRUE(exceeds(frame_of(true, udp(true, 1'501)), 1'500));
  EXPECT_FALSE(exceeds({kFar, kHost, 0x88a8, p}, 1'500)) << "no IP";
  for (const bool six : {false, true}) {
    const ByteVector in_vlan = tagged(six ? 0x86dd : 0x0800, udp(six, 1'501));
    EXPECT_TRUE(exceeds({kFar, kHost, 0x8100, in_vlan}, 1'500));
    EXPECT_FALSE(exceeds({kFar, kHost, 0x8100, in_vlan}, 1'501)) << "the tag does not count";
  }
}

TEST(TooBig, TheAnswer) {
  ByteVector out(kTooBigAnswer);
  const ByteVector four = udp(false, 3'000);
  std::size_t n = write_too_big(out, frame_of(false, four), 1'400);
  ASSERT_EQ(n, 14 + 576u);
  const auto answer = read_ethernet(Bytes(out).first(n));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->destination, kHost);
  EXPECT_EQ(answer->source, kFar);
  const Bytes ip = answer->payload;
  EXPECT_EQ(checksum(ip.first(20)), 0);
  EXPECT_EQ(load_be16(ip.data() + 2), ip.size());
  EXPECT_EQ(load_be32(ip.data() + 12), 0x0a000002u);
  EXPECT_EQ(load_be32(ip.data() + 16), 0x0a000001u);
  const Bytes icmp = ip.subspan(20);
  EXPECT_EQ(checksum(icmp), 0);
  EXPECT_EQ(icmp[0], 3);
  EXPECT_EQ(icmp[1], 4);
  EXPECT_EQ(load_be16(icmp.data() + 6), 1'400);
  EXPECT_TRUE(std::equal(icmp.begin() + 8, icmp.end(), four.begin()));

  const ByteVector six = udp(true, 3'000);
  n = write_too_big(out, frame_of(true, six), 1'400);
  ASSERT_EQ(n, 14 + 1'280u);
  const Bytes ip6 = Bytes(out).first(n).subspan(14);
  EXPECT_EQ(upper_checksum(ip6, 58), 0);
  EXPECT_EQ(ip6[40], 2);
  EXPECT_EQ(load_be32(ip6.data() + 44), 1'400u);
  EXPECT_TRUE(std::equal(ip6.begin() + 24, ip6.begin() + 40, six.begin() + 8));
  EXPECT_TRUE(std::equal(ip6.begin() + 48, ip6.end(), six.begin()));
  (void)write_too_big(out, frame_of(true, six), 1'000);
  EXPECT_EQ(load_be32(out.data() + 14 + 44), 1'280u) << "no IPv6 path has less";
}

TEST(TooBig, TheAnswerIsInTheSameVlan) {
  for (const bool six : {false, true}) {
    const ByteVector p = udp(six, 3'000);
    ByteVector plain(kTooBigAnswer), in_vlan(kTooBigAnswer);
    plain.resize(write_too_big(plain, frame_of(six, p), 1'400));
    const ByteVector payload = tagged(six ? 0x86dd : 0x0800, p);
    in_vlan.resize(write_too_big(in_vlan, {kFar, kHost, 0x8100, payload}, 1'400));
    const std::uint8_t tag[] = {0x81, 0x00, 0xa0, 5};
    plain.insert(plain.begin() + 12, tag, tag + 4);
    EXPECT_EQ(in_vlan, plain);
    EXPECT_LE(in_vlan.size(), kTooBigAnswer);
  }
}

TEST(TooBig, WhoIsNotTold) {
  ByteVector out(kTooBigAnswer);
  const auto told = [&](EthernetFrame frame) { return write_too_big(out, frame, 1'400) != 0; };
  const ByteVector good = udp(false, 3'000), good6 = udp(true, 3'000);
  ASSERT_TRUE(told(frame_of(false, good)));
  ASSERT_TRUE(told(frame_of(true, good6)));
  const auto with = [](ByteVector p, std::size_t at, std::uint8_t value) {
    p[at] = value;
    return p;
  };
  EXPECT_FALSE(told(frame_of(false, with(good, 6, 0)))) << "may be fragmented";
  EXPECT_FALSE(told(frame_of(false, with(good, 7, 1)))) << "a later fragment";
  EXPECT_FALSE(told(frame_of(false, with(good, 16, 224)))) << "to many";
  EXPECT_FALSE(told(frame_of(false, with(good, 12, 0)))) << "from nobody";
  EXPECT_FALSE(told(frame_of(true, with(good6, 24, 0xff)))) << "to many";
  EXPECT_FALSE(told(frame_of(false, with(with(good, 9, 1), 20, 3)))) << "an ICMP error";
  EXPECT_TRUE(told(frame_of(false, with(with(good, 9, 1), 20, 8)))) << "ping";
  EXPECT_FALSE(told(frame_of(true, with(with(good6, 6, 58), 40, 1)))) << "an ICMPv6 error";
  EXPECT_TRUE(told(frame_of(true, with(with(good6, 6, 58), 40, 128)))) << "ping";
  EXPECT_FALSE(told({wire::kBroadcastMac, kHost, 0x0800, good}));
  EXPECT_FALSE(told({kFar, {}, 0x0800, good}));
  EXPECT_FALSE(told({kFar, kHost, 0x0806, good}));
  for (std::size_t n = 0; n < 20; ++n) {
    EXPECT_FALSE(told(frame_of(false, Bytes(good).first(n))));
    EXPECT_FALSE(told(frame_of(true, Bytes(good6).first(2 * n))));
  }
}

}  // namespace
}  // namespace orrery::fib
