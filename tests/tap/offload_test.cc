// offload and merge: superframes split and made, each reason not to merge, checksums against a
// plain reference.
#include "tap/offload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>

#include "support/checksum.h"
#include "tap/merge.h"
#include "wire/checksum.h"

namespace orrery::tap {
namespace {

constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20,
                       kEce = 0x40, kCwr = 0x80;

struct Segment {
  bool v6 = false;
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgement = 77;
  std::uint16_t window = 500;
  std::uint8_t flags = kAck;
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  std::uint16_t source_port = 40000;
  std::uint16_t fragment = 0x4000;  // IPv4 flags and offset: DF
  std::uint16_t id = 1;
  ByteVector options = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};  // NOP NOP timestamp
  ByteVector payload;
};

void finish_checksums(ByteVector& f, bool v6) {
  const std::size_t tcp = v6 ? 54 : 34;
  if (!v6) {
    store_be16(f.data() + 24, 0);
    store_be16(f.data() + 24, reference_checksum(Bytes(f).subspan(14, 20), 0));
  }
  std::uint32_t sum = 6 + static_cast<std::uint32_t>(f.size() - tcp);
  const Bytes addresses = v6 ? Bytes(f).subspan(22, 32) : Bytes(f).subspan(26, 8);
  for (std::size_t i = 0; i < addresses.size(); i += 2) sum += load_be16(addresses.data() + i);
  store_be16(f.data() + tcp + 16, 0);
  store_be16(f.data() + tcp + 16, reference_checksum(Bytes(f).subspan(tcp), sum));
}

ByteVector frame_of(const Segment& s) {
  const std::size_t ip = s.v6 ? 40 : 20;
  const std::size_t tcp_header = 20 + s.options.size();
  ByteVector f(14 + ip + tcp_header + s.payload.size());
  for (std::size_t i = 0; i < 12; ++i) f[i] = static_cast<std::uint8_t>(2 + i);
  store_be16(f.data() + 12, s.v6 ? 0x86dd : 0x0800);
  std::uint8_t* p = f.data() + 14;
  if (s.v6) {
    p[0] = 0x60;
    store_be16(p + 4, static_cast<std::uint16_t>(tcp_header + s.payload.size()));
    p[6] = 6;
    p[7] = s.ttl;
    p[8] = 0xfd;
    p[24] = 0xfd;
    p[39] = 1;
  } else {
    p[0] = 0x45;
    p[1] = s.tos;
    store_be16(p + 2, static_cast<std::uint16_t>(ip + tcp_header + s.payload.size()));
    store_be16(p + 4, s.id);
    store_be16(p + 6, s.fragment);
    p[8] = s.ttl;
    p[9] = 6;
    store_be32(p + 12, 0x0a000001);
    store_be32(p + 16, 0x0a000002);
  }
  std::uint8_t* t = p + ip;
  store_be16(t, s.source_port);
  store_be16(t + 2, 5201);
  store_be32(t + 4, s.sequence);
  store_be32(t + 8, s.acknowledgement);
  t[12] = static_cast<std::uint8_t>(tcp_header / 4 << 4);
  t[13] = s.flags;
  store_be16(t + 14, s.window);
  std::copy(s.options.begin(), s.options.end(), t + 20);
  std::copy(s.payload.begin(), s.payload.end(), t + tcp_header);
  finish_checksums(f, s.v6);
  return f;
}

ByteVector pattern(std::size_t n, std::uint8_t seed = 0) {
  ByteVector bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + seed);
  return bytes;
}

std::vector<ByteVector> split(const VirtioHeader& header, ByteVector frame) {
  Splitter splitter;
  std::vector<ByteVector> frames;
  if (!splitter.begin(header, frame)) return frames;
  const std::size_t count = splitter.frames();
  while (!splitter.done()) {
    EXPECT_EQ(splitter.frames() + frames.size(), count);
    ByteVector out(splitter.next_size());
    splitter.next(out);
    frames.push_back(std::move(out));
  }
  return frames;
}

VirtioHeader gso(bool v6, std::uint16_t size) {
  VirtioHeader h;
  h.flags = VirtioHeader::kNeedsChecksum;
  h.gso_type = v6 ? VirtioHeader::kGsoTcp6 : VirtioHeader::kGsoTcp4;
  h.gso_size = size;
  h.csum_start = v6 ? 54 : 34;
  h.csum_offset = 16;
  return h;
}

/// The frame as the kernel hands it over: the checksum holds the sum of the pseudo-header. `at` is
/// where the IP header is.
ByteVector partial(ByteVector f, const VirtioHeader& h, std::size_t ip = 14) {
  const bool v6 = f[ip] >> 4 == 6;
  const Bytes addresses = Bytes(f).subspan(ip + (v6 ? 8 : 12), v6 ? 32 : 8);
  const std::uint32_t protocol = h.csum_offset == 6 ? 17 : 6;
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(f.size() - h.csum_start);
  for (std::size_t i = 0; i < addresses.size(); i += 2) sum += load_be16(addresses.data() + i);
  store_be16(f.data() + h.csum_start + h.csum_offset, wire::checksum_fold(sum));
  return f;
}

/// A merger and the frames that it looks at.
struct Held {
  Merger merger;
  std::deque<ByteVector> held;

  bool add(ByteVector frame) {
    ByteVector& kept = held.emplace_back(std::move(frame));
    return merger.add(kept, parts_of(kept));
  }

  VirtioHeader finish() { return merger.finish(); }
};

ByteVector bytes_of(const Merger& merger) {
  ByteVector all;
  for (const Bytes piece : merger.pieces()) all.insert(all.end(), piece.begin(), piece.end());
  EXPECT_EQ(all.size(), merger.size());
  return all;
}

class BothFamilies : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Offload, BothFamilies, testing::Bool());

TEST_P(BothFamilies, SplitMakesTheFramesThatTheHostWouldHaveSent) {
  Segment whole;
  whole.v6 = GetParam();
  whole.payload = pattern(5000);
  whole.flags = kAck | kPsh;
  const VirtioHeader header = gso(GetParam(), 1400);
  const auto frames = split(header, partial(frame_of(whole), header));
  ASSERT_EQ(frames.size(), 4u);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    Segment part = whole;
    const std::size_t begin = i * 1400;
    const std::size_t size = std::min<std::size_t>(1400, whole.payload.size() - begin);
    part.sequence = whole.sequence + static_cast<std::uint32_t>(begin);
    part.id = static_cast<std::uint16_t>(whole.id + i);
    part.flags = i + 1 == frames.size() ? kAck | kPsh : kAck;
    part.payload.assign(whole.payload.begin() + static_cast<long>(begin),
                        whole.payload.begin() + static_cast<long>(begin + size));
    EXPECT_EQ(to_hex(frames[i]), to_hex(frame_of(part))) << i;
  }
}

TEST_P(BothFamilies, MergeUndoesSplit) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Segment whole;
    whole.v6 = GetParam();
    whole.payload = pattern(1 + random() % 60000, static_cast<std::uint8_t>(round));
    whole.sequence = static_cast<std::uint32_t>(random());
    const auto segment = static_cast<std::uint16_t>(1000 + random() % 1800);
    const ByteVector frame = partial(frame_of(whole), gso(GetParam(), segment));
    Held merger;
    for (const ByteVector& part : split(gso(GetParam(), segment), frame))
      ASSERT_TRUE(merger.add(part));
    const VirtioHeader header = merger.finish();
    const auto again = split(header, bytes_of(merger.merger));
    EXPECT_EQ(again, split(gso(GetParam(), segment), frame));
  }
}

/// What may stand around and between the headers; inserts it and says how many bytes went in front
/// of the IP header and in all.
struct Extra {
  const char* name;
  bool v6;
  std::size_t before_ip;
  std::size_t total;
  std::function<void(ByteVector&)> insert;
};

void put(ByteVector& f, std::size_t at, const ByteVector& bytes) {
  f.insert(f.begin() + static_cast<long>(at), bytes.begin(), bytes.end());
}

void put_ipv4_options(ByteVector& f) {
  put(f, 34, {1, 1, 1, 0});
  f[14] = 0x46;
  store_be16(f.data() + 16, static_cast<std::uint16_t>(f.size() - 14));
  store_be16(f.data() + 24, 0);
  store_be16(f.data() + 24, reference_checksum(Bytes(f).subspan(14, 24), 0));
}

void put_destination_options(ByteVector& f) {
  put(f, 54, {6, 0, 1, 4, 0, 0, 0, 0});
  f[20] = 60;
  store_be16(f.data() + 18, static_cast<std::uint16_t>(f.size() - 54));
}

const Extra kExtras[] = {
    {"VLAN tag", false, 4, 4, [](ByteVector& f) { put(f, 12, {0x81, 0, 0, 100}); }},
    {"VLAN tag, IPv6", true, 4, 4, [](ByteVector& f) { put(f, 12, {0x81, 0, 0, 100}); }},
    {"two tags", false, 8, 8, [](ByteVector& f) { put(f, 12, {0x88, 0xa8, 0, 1, 0x81, 0, 0, 2}); }},
    {"IPv4 options", false, 0, 4, put_ipv4_options},
    {"IPv6 extension header", true, 0, 8, put_destination_options},
    {"VLAN tag and IPv4 options", false, 4, 8,
     [](ByteVector& f) {
       put_ipv4_options(f);
       put(f, 12, {0x81, 0, 0, 100});
     }},
};

TEST(Split, KeepsWhatStandsAroundTheHeaders) {
  for (const Extra& extra : kExtras) {
    Segment whole;
    whole.v6 = extra.v6;
    whole.payload = pattern(5000);
    ByteVector frame = frame_of(whole);
    extra.insert(frame);
    VirtioHeader header = gso(extra.v6, 1400);
    header.csum_start = static_cast<std::uint16_t>(header.csum_start + extra.total);
    header.hdr_len = 9999;  // not to be trusted
    const auto frames = split(header, partial(frame, header, 14 + extra.before_ip));
    ASSERT_EQ(frames.size(), 4u) << extra.name;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      Segment part = whole;
      const std::size_t begin = i * 1400;
      part.sequence += static_cast<std::uint32_t>(begin);
      part.id = static_cast<std::uint16_t>(whole.id + i);
      part.payload.assign(whole.payload.begin() + static_cast<long>(begin),
                          whole.payload.begin() + static_cast<long>(std::min<std::size_t>(
                                                      begin + 1400, whole.payload.size())));
      ByteVector expected = frame_of(part);
      extra.insert(expected);
      EXPECT_EQ(to_hex(frames[i]), to_hex(expected)) << extra.name << " " << i;
    }
  }
}

TEST(Split, UsesTheHostsSumOfAPseudoHeaderThatIsNotInTheIpHeader) {
  // A routing header: the checksum covers the last destination, which is not the next one.
  Segment s;
  s.v6 = true;
  s.payload = pattern(2000);
  const VirtioHeader header = gso(true, 1000);
  const ByteVector last = partial(frame_of(s), header);
  ByteVector frame = last;
  frame[40] ^= 0x55;  // destination
  const auto expected = split(header, last);
  const auto frames = split(header, frame);
  ASSERT_EQ(frames.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(load_be16(frames[i].data() + 70), load_be16(expected[i].data() + 70)) << i;
}

TEST_P(BothFamilies, SplitPutsFlagsWhereTheyBelong) {
  Segment whole;
  whole.v6 = GetParam();
  whole.payload = pattern(3000);
  whole.flags = kAck | kPsh | kFin | kCwr | kEce;
  VirtioHeader header = gso(GetParam(), 1000);
  header.gso_type |= VirtioHeader::kGsoEcn;
  const auto frames = split(header, partial(frame_of(whole), header));
  ASSERT_EQ(frames.size(), 3u);
  const std::size_t flags = header.csum_start + 13u;
  EXPECT_EQ(frames[0][flags], kAck | kEce | kCwr);
  EXPECT_EQ(frames[1][flags], kAck | kEce);
  EXPECT_EQ(frames[2][flags], kAck | kEce | kPsh | kFin);
}

ByteVector udp_frame(bool v6, Bytes payload, std::uint16_t id) {
  Segment s;
  s.v6 = v6;
  s.id = id;
  ByteVector f = frame_of(s);
  const std::size_t at = v6 ? 54 : 34;
  f.resize(at + 8);
  f.insert(f.end(), payload.begin(), payload.end());
  f[v6 ? 20 : 23] = 17;
  store_be16(f.data() + (v6 ? 18 : 16), static_cast<std::uint16_t>(f.size() - (v6 ? 54 : 14)));
  store_be16(f.data() + at + 4, static_cast<std::uint16_t>(f.size() - at));
  store_be16(f.data() + at + 6, 0);
  if (!v6) {
    store_be16(f.data() + 24, 0);
    store_be16(f.data() + 24, reference_checksum(Bytes(f).subspan(14, 20), 0));
  }
  std::uint32_t sum = 17 + static_cast<std::uint32_t>(f.size() - at);
  const Bytes addresses = v6 ? Bytes(f).subspan(22, 32) : Bytes(f).subspan(26, 8);
  for (std::size_t i = 0; i < addresses.size(); i += 2) sum += load_be16(addresses.data() + i);
  store_be16(f.data() + at + 6, reference_checksum(Bytes(f).subspan(at), sum));
  return f;
}

TEST_P(BothFamilies, SplitCutsUdp) {
  const ByteVector payload = pattern(2500);
  VirtioHeader header = gso(GetParam(), 1200);
  header.gso_type = VirtioHeader::kGsoUdp;
  header.csum_offset = 6;
  const auto frames = split(header, partial(udp_frame(GetParam(), payload, 9), header));
  ASSERT_EQ(frames.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const Bytes part = Bytes(payload).subspan(i * 1200, i == 2 ? 100 : 1200);
    EXPECT_EQ(to_hex(frames[i]),
              to_hex(udp_frame(GetParam(), part, static_cast<std::uint16_t>(9 + i))))
        << i;
  }
}

TEST(Split, RefusesHeadersThatDoNotFit) {
  Segment s;
  s.payload = pattern(3000);
  const ByteVector frame = frame_of(s);
  EXPECT_TRUE(split(gso(true, 1000), frame).empty()) << "IPv6 claimed";
  Splitter splitter;
  ByteVector bare(frame.begin(), frame.begin() + 54);
  EXPECT_FALSE(splitter.begin(gso(false, 1000), bare)) << "no payload: a drop that is counted";
  EXPECT_TRUE(split(gso(false, 0), frame).empty()) << "segment size 0";
  VirtioHeader odd = gso(false, 1000);
  odd.gso_type = 3;
  EXPECT_TRUE(split(odd, frame).empty()) << "unknown type";
  odd = gso(false, 1000);
  odd.flags = 0;
  EXPECT_TRUE(split(odd, frame).empty()) << "no word on the checksum";
  for (const unsigned start : {0u, 14u, 33u, 35u, 3000u, 65535u}) {
    odd = gso(false, 1000);
    odd.csum_start = static_cast<std::uint16_t>(start);
    EXPECT_TRUE(split(odd, frame).empty()) << "transport header at " << start;
  }
  odd = gso(false, 1000);
  odd.csum_offset = 6;
  EXPECT_TRUE(split(odd, frame).empty()) << "the checksum of UDP";
  ByteVector cut = frame;
  cut.resize(34 + 32);
  EXPECT_TRUE(split(gso(false, 1000), cut).empty()) << "no payload";
  cut.resize(34 + 25);
  EXPECT_TRUE(split(gso(false, 1000), cut).empty()) << "TCP options cut off";
  VirtioHeader outside;
  outside.flags = VirtioHeader::kNeedsChecksum;
  outside.csum_start = 4000;
  EXPECT_TRUE(split(outside, frame).empty()) << "checksum outside of the frame";
  EXPECT_TRUE(split({}, {}).empty()) << "empty";
  EXPECT_TRUE(split(gso(false, 1000), ByteVector(20, 0)).empty()) << "cut short";
}

TEST(Split, CompletesAPartialChecksum) {
  Segment s;
  s.payload = pattern(333);
  const ByteVector complete = frame_of(s);
  ByteVector partial = complete;
  std::uint32_t sum = 6 + static_cast<std::uint32_t>(partial.size() - 34);
  for (std::size_t i = 26; i < 34; i += 2) sum += load_be16(partial.data() + i);
  store_be16(partial.data() + 50, wire::checksum_fold(sum));
  VirtioHeader h;
  h.flags = VirtioHeader::kNeedsChecksum;
  h.csum_start = 34;
  h.csum_offset = 16;
  const auto frames = split(h, partial);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(to_hex(frames[0]), to_hex(complete));
}

TEST(Merge, EachReasonNotTo) {
  struct Row {
    const char* why;
    std::function<void(Segment&)> first;
    std::function<void(Segment&)> second;
  };

  const auto nothing = [](Segment&) {};
  const Row rows[] = {
      {"another flow", nothing, [](Segment& s) { s.source_port = 1; }},
      {"sequence gap", nothing, [](Segment& s) { s.sequence += 1; }},
      {"another acknowledgement", nothing, [](Segment& s) { s.acknowledgement += 1; }},
      {"another window", nothing, [](Segment& s) { s.window += 1; }},
      {"a flag beside ACK and PSH", nothing, [](Segment& s) { s.flags |= kSyn; }},
      {"a flag in the first frame", [](Segment& s) { s.flags |= kSyn; }, nothing},
      {"FIN", nothing, [](Segment& s) { s.flags |= kFin; }},
      {"RST", nothing, [](Segment& s) { s.flags |= kRst; }},
      {"URG", nothing, [](Segment& s) { s.flags |= kUrg; }},
      {"ECE", nothing, [](Segment& s) { s.flags |= kEce; }},
      {"CWR", nothing, [](Segment& s) { s.flags |= kCwr; }},
      {"ECE in both", [](Segment& s) { s.flags |= kEce; }, [](Segment& s) { s.flags |= kEce; }},
      {"the sequence before", nothing, [](Segment& s) { s.sequence -= 2400; }},
      {"IPv6 and IPv4", [](Segment& s) { s.v6 = true; }, nothing},
      {"another hop limit", [](Segment& s) { s.v6 = true; },
       [](Segment& s) {
         s.v6 = true;
         s.ttl = 1;
       }},
      {"no DF, the same id", [](Segment& s) { s.fragment = 0; },
       [](Segment& s) { s.fragment = 0; }},
      {"no DF, an id left out", [](Segment& s) { s.fragment = 0; },
       [](Segment& s) {
         s.fragment = 0;
         s.id = 3;
       }},
      {"PSH in the first frame", [](Segment& s) { s.flags |= kPsh; }, nothing},
      {"no ACK", nothing, [](Segment& s) { s.flags = 0; }},
      {"another TTL", nothing, [](Segment& s) { s.ttl = 63; }},
      {"another TOS", nothing, [](Segment& s) { s.tos = 4; }},
      {"another DF", nothing, [](Segment& s) { s.fragment = 0; }},
      {"an IP fragment", nothing, [](Segment& s) { s.fragment = 0x2000; }},
      {"other TCP options", nothing, [](Segment& s) { s.options[7] = 9; }},
      {"more TCP options", nothing, [](Segment& s) { s.options.resize(16); }},
      {"larger than the first", nothing, [](Segment& s) { s.payload.resize(1201); }},
      {"no payload", nothing, [](Segment& s) { s.payload.clear(); }},
  };
  for (const Row& row : rows) {
    Segment a;
    a.payload = pattern(1200);
    Segment b = a;
    b.sequence += 1200;
    row.first(a);
    row.second(b);
    Held merger;
    ASSERT_TRUE(merger.add(frame_of(a))) << row.why;
    EXPECT_FALSE(merger.add(frame_of(b))) << row.why;
  }
  Segment a;
  a.payload = pattern(1200);
  Segment b = a;
  b.sequence += 1200;

  // In the bytes, before the checksums are made right, or after.
  struct ByteRow {
    const char* why;
    bool first;  // in which frame
    bool seal;
    std::function<void(ByteVector&)> change;
  };

  const ByteRow byte_rows[] = {
      {"wrong TCP checksum", false, false, [](ByteVector& f) { f.back() ^= 1; }},
      {"wrong TCP checksum in the first", true, false, [](ByteVector& f) { f.back() ^= 1; }},
      {"wrong IPv4 checksum", false, false, [](ByteVector& f) { f[25] ^= 1; }},
      {"wrong IPv4 checksum in the first", true, false, [](ByteVector& f) { f[25] ^= 1; }},
      {"another destination MAC", false, true, [](ByteVector& f) { f[0] ^= 2; }},
      {"another source MAC", false, true, [](ByteVector& f) { f[11] ^= 2; }},
      {"another address", false, true, [](ByteVector& f) { f[29] ^= 1; }},
      {"another destination port", false, true, [](ByteVector& f) { f[37] ^= 1; }},
      {"a reserved flag", false, true, [](ByteVector& f) { f[46] |= 1; }},
      {"a reserved flag in the first", true, true, [](ByteVector& f) { f[46] |= 1; }},
      {"another urgent pointer", false, true, [](ByteVector& f) { f[53] ^= 1; }},
      {"longer than the frame", false, true, [](ByteVector& f) { f[17] ^= 1; }},
      {"a TCP header longer than the frame", false, true, [](ByteVector& f) { f.resize(60); }},
      {"not TCP", false, true, [](ByteVector& f) { f[23] = 17; }},
      {"VLAN tag", false, false, [](ByteVector& f) { put(f, 12, {0x81, 0, 0, 100}); }},
      {"VLAN tag in the first", true, false, [](ByteVector& f) { put(f, 12, {0x81, 0, 0, 1}); }},
      {"IPv4 options", false, false, put_ipv4_options},
  };
  for (const ByteRow& row : byte_rows) {
    ByteVector frames[2] = {frame_of(a), frame_of(b)};
    ByteVector& changed = frames[row.first ? 0 : 1];
    row.change(changed);
    if (row.seal) finish_checksums(changed, false);
    Held merger;
    ASSERT_TRUE(merger.add(frames[0])) << row.why;
    EXPECT_FALSE(merger.add(frames[1])) << row.why;
  }
  {
    Segment first = a, second = b;
    first.v6 = second.v6 = true;
    ByteVector label = frame_of(second);
    label[17] = 1;
    Held merger;
    ASSERT_TRUE(merger.add(frame_of(first)));
    EXPECT_FALSE(merger.add(label)) << "another flow label";
    ByteVector extended = frame_of(second);
    put_destination_options(extended);
    EXPECT_FALSE(merger.add(extended)) << "IPv6 extension header";
    EXPECT_TRUE(merger.add(frame_of(second))) << "none of these";
  }
  Held shorter;
  ASSERT_TRUE(shorter.add(frame_of(a)));
  Segment end = b;
  end.payload.resize(100);
  ASSERT_TRUE(shorter.add(frame_of(end)));
  Segment after = b;
  after.sequence = end.sequence + 100;
  EXPECT_FALSE(shorter.add(frame_of(after))) << "after a shorter one";
}

TEST(Merge, IdsMatterWithoutDfAlone) {
  for (const bool df : {false, true}) {
    Held merger;
    Segment s;
    s.payload = pattern(1000);
    s.fragment = df ? 0x4000 : 0;
    s.id = 0xfffe;
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(merger.add(frame_of(s))) << df << " " << i;
      s.sequence += 1000;
      s.id = static_cast<std::uint16_t>(df ? s.id * 7 : s.id + 1);
    }
    EXPECT_EQ(merger.merger.frames(), 4u);
  }
}

TEST(Merge, AWrongChecksumReachesTheKernelAsItCame) {
  Segment s;
  s.payload = pattern(1000);
  ByteVector wrong = frame_of(s);
  wrong[24] ^= 0xff;
  Held merger;
  ASSERT_TRUE(merger.add(wrong));
  const VirtioHeader header = merger.finish();
  EXPECT_EQ(header.flags, 0) << "nothing is said of its checksums";
  EXPECT_EQ(header.gso_type, VirtioHeader::kGsoNone);
  EXPECT_EQ(to_hex(bytes_of(merger.merger)), to_hex(wrong));
}

TEST(Merge, StopsBefore64KilobytesAndKeepsOtherFramesWhole) {
  Held merger;
  Segment s;
  s.payload = pattern(1448);
  std::size_t taken = 0;
  while (merger.add(frame_of(s))) {
    s.sequence += 1448;
    ++taken;
    ASSERT_LT(taken, 100u);
  }
  EXPECT_LE(merger.merger.size(), Merger::kMax);
  EXPECT_GT(merger.merger.size() + 1448, Merger::kMax);
  merger.merger.clear();
  const ByteVector arp(60, 0xab);
  ASSERT_TRUE(merger.add(arp));
  EXPECT_EQ(merger.finish().gso_type, VirtioHeader::kGsoNone);
  EXPECT_EQ(to_hex(bytes_of(merger.merger)), to_hex(arp));
}

/// A datagram of the flow of Segment's addresses.
ByteVector datagram(bool v6, std::size_t size, std::uint16_t source_port = 4000,
                    std::uint16_t id = 1) {
  Segment s;
  s.v6 = v6;
  s.id = id;
  s.options.clear();
  ByteVector f = frame_of(s);
  const std::size_t udp = v6 ? 54 : 34;
  f.resize(udp + 8 + size);
  f[v6 ? 20 : 23] = 17;
  store_be16(f.data() + (v6 ? 18 : 16), static_cast<std::uint16_t>(f.size() - (v6 ? 54 : 14)));
  store_be16(f.data() + udp, source_port);
  store_be16(f.data() + udp + 2, 53);
  store_be16(f.data() + udp + 4, static_cast<std::uint16_t>(8 + size));
  for (std::size_t i = 0; i < size; ++i) f[udp + 8 + i] = static_cast<std::uint8_t>(i * 3);
  if (!v6) {
    store_be16(f.data() + 24, 0);
    store_be16(f.data() + 24, reference_checksum(Bytes(f).subspan(14, 20), 0));
  }
  const Bytes addresses = Bytes(f).subspan(v6 ? 22 : 26, v6 ? 32 : 8);
  std::uint32_t sum = 17 + static_cast<std::uint32_t>(8 + size);
  for (std::size_t i = 0; i < addresses.size(); i += 2) sum += load_be16(addresses.data() + i);
  store_be16(f.data() + udp + 6, 0);
  store_be16(f.data() + udp + 6, reference_checksum(Bytes(f).subspan(udp), sum));
  return f;
}

TEST_P(BothFamilies, DatagramsOfOneSizeAreOneSuperframe) {
  Held merger;
  std::vector<ByteVector> sent;
  for (std::uint16_t i = 0; i < 5; ++i) {
    sent.push_back(
        datagram(GetParam(), i < 4 ? 1000 : 300, 4000, static_cast<std::uint16_t>(1 + i)));
    ASSERT_TRUE(merger.add(sent.back())) << i;
  }
  EXPECT_FALSE(merger.merger.open()) << "after a shorter one";
  const VirtioHeader header = merger.finish();
  EXPECT_EQ(header.gso_type, VirtioHeader::kGsoUdp);
  EXPECT_EQ(header.gso_size, 1000);
  EXPECT_EQ(split(header, bytes_of(merger.merger)), sent);
}

TEST(Merge, EachReasonNotToForDatagrams) {
  struct Row {
    const char* why;
    ByteVector second;
  };

  ByteVector none = datagram(false, 500), wrong = none, lying = none;
  store_be16(none.data() + 40, 0);
  wrong.back() ^= 1;
  store_be16(lying.data() + 38, 100);
  const Row rows[] = {
      {"another port", datagram(false, 500, 1)},
      {"larger", datagram(false, 501)},
      {"IPv6 and IPv4", datagram(true, 500)},
      {"no checksum", none},
      {"wrong checksum", wrong},
      {"a length that lies", lying},
      {"nothing in it", datagram(false, 0)},
  };
  for (const Row& row : rows) {
    Held merger;
    ASSERT_TRUE(merger.add(datagram(false, 500)));
    EXPECT_FALSE(merger.add(row.second)) << row.why;
  }
  Held many;
  for (unsigned i = 0; i < Merger::kFrames; ++i) ASSERT_TRUE(many.add(datagram(false, 10)));
  EXPECT_FALSE(many.add(datagram(false, 10))) << "64 frames";
}

/// What a FlowMerger writes, superframes split again.
struct Written {
  std::deque<ByteVector> held;
  std::vector<ByteVector> frames;
  unsigned writes = 0;

  void run(FlowMerger& flows, const std::vector<ByteVector>& burst) {
    const auto write = [&](Merger& whole) {
      ++writes;
      const VirtioHeader header = whole.finish();
      for (ByteVector& f : split(header, bytes_of(whole))) frames.push_back(std::move(f));
    };
    for (const ByteVector& f : burst) flows.add(held.emplace_back(f), write);
    flows.flush(write);
  }
};

TEST(FlowMerger, FlowsOfABurstAreMergedSideBySide) {
  std::vector<ByteVector> burst;
  for (std::uint32_t i = 0; i < 10; ++i) {
    for (std::uint16_t flow = 0; flow < 4; ++flow) {
      Segment s;
      s.source_port = static_cast<std::uint16_t>(4000 + flow);
      s.sequence = 1000 + 500 * i;
      s.id = static_cast<std::uint16_t>(1 + i);
      s.payload = pattern(500, static_cast<std::uint8_t>(flow));
      burst.push_back(frame_of(s));
    }
  }
  FlowMerger flows(true);
  Written out;
  out.run(flows, burst);
  EXPECT_EQ(out.writes, 4u);
  ASSERT_EQ(out.frames.size(), burst.size());
  std::ranges::sort(out.frames);
  std::ranges::sort(burst);
  EXPECT_EQ(out.frames, burst);
}

TEST(FlowMerger, UdpIsLeftAloneWhereTheKernelTakesNoSuperframesOfIt) {
  FlowMerger flows(false);
  Written out;
  out.run(flows, {datagram(false, 100), datagram(false, 100), datagram(false, 100)});
  EXPECT_EQ(out.writes, 3u);
}

/// Any mix, more flows than there is room for: nothing lost, every flow in order.
TEST(FlowMerger, EveryFlowStaysInOrder) {
  std::mt19937 random(5);
  for (int round = 0; round < 100; ++round) {
    std::vector<ByteVector> burst;
    std::array<std::uint32_t, 12> next{};
    for (int i = 0; i < 64; ++i) {
      const auto flow = static_cast<std::uint16_t>(random() % (round % 2 == 0 ? 3 : 12));
      Segment s;
      s.v6 = flow % 2 == 1;
      s.source_port = static_cast<std::uint16_t>(4000 + flow);
      s.sequence = next[flow];
      s.id = static_cast<std::uint16_t>(i);
      if (random() % 8 == 0) s.flags |= kPsh;
      if (random() % 16 == 0) s.flags |= kFin;
      if (random() % 16 == 0) s.fragment = 0x2000;  // not of a flow that can be told
      s.payload = pattern(random() % 10 == 0 ? 0 : random() % 5 == 0 ? 20 : 200);
      next[flow] += 1000;  // no order is like another, and nothing merges by mistake
      if (random() % 2 == 0) next[flow] = s.sequence + static_cast<std::uint32_t>(s.payload.size());
      burst.push_back(frame_of(s));
      if (random() % 8 == 0) burst.push_back(ByteVector(60, 0xab));
    }
    FlowMerger flows(true);
    Written out;
    out.run(flows, burst);
    ASSERT_EQ(out.frames.size(), burst.size());
    // Of each flow alone (by family and port), and of IPv4 as a whole against its fragments.
    for (std::uint16_t port = 4000; port < 4012; ++port) {
      const auto of_flow = [&](const std::vector<ByteVector>& all) {
        std::vector<std::string> found;
        for (ByteVector f : all) {
          if (f.size() < 74 || load_be16(f.data() + 12) > 0x86dd) continue;
          const std::size_t transport = f[14] >> 4 == 6 ? 54 : 34;
          if (load_be16(f.data() + transport) != port) continue;
          found.push_back(to_hex(Bytes(f).subspan(transport)));
        }
        return found;
      };
      ASSERT_EQ(of_flow(out.frames), of_flow(burst)) << round << " " << port;
    }
  }
}

}  // namespace
}  // namespace orrery::tap
