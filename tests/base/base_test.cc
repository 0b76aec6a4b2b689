// base: cursors stick after failure, comparison, hexadecimal text, lists, SipHash against
// libsodium.
#include <gtest/gtest.h>
#include <sodium.h>

#include <vector>

#include "base/cursor.h"
#include "base/intrusive_list.h"
#include "base/pcapng.h"
#include "base/record_ring.h"
#include "base/siphash.h"
#include "base/slot.h"

namespace orrery {
namespace {

TEST(Reader, FailureSticksAndYieldsZero) {
  const ByteVector bytes = {1, 2, 3, 4, 5};
  Reader reader(bytes);
  EXPECT_EQ(reader.u16(), 0x0102);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_TRUE(reader.bytes(1).empty());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(Reader, ReadsEveryWidth) {
  const ByteVector bytes = *from_hex("01020304050607080900aabbccddeeff0011223344");
  Reader reader(bytes);
  EXPECT_EQ(reader.u8(), 1);
  EXPECT_EQ(reader.u40(), 0x0203040506u);
  EXPECT_EQ(reader.u64(), 0x07080900aabbccddu);
  EXPECT_EQ(reader.rest().size(), 7u);
  EXPECT_TRUE(reader.ok());
}

TEST(Writer, WritesWhatReaderReadsAndStopsAtTheEnd) {
  std::array<std::uint8_t, 20> space{};
  Writer writer(space);
  writer.u8(7);
  writer.u16(0x1234);
  writer.u40(0x0102030405);
  writer.u64(0xfedcba9876543210u);
  writer.patch_u16(1, 0x4321);
  EXPECT_EQ(to_hex(writer.written()),
            "07432101020304"
            "05fedcba9876543210");
  writer.u64(1);
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(writer.size(), 16u);
}

TEST(Bytes, ConstantTimeEqual) {
  const ByteVector a = {1, 2, 3};
  EXPECT_TRUE(constant_time_equal(a, ByteVector{1, 2, 3}));
  EXPECT_FALSE(constant_time_equal(a, ByteVector{1, 2, 4}));
  EXPECT_FALSE(constant_time_equal(a, ByteVector{1, 2}));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

TEST(Bytes, HexRefusesOddAndForeign) {
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("zz"));
  EXPECT_EQ(to_hex(*from_hex("00FFa5")), "00ffa5");
}

TEST(Bytes, BurnZeroes) {
  ByteVector secret(33, 0xaa);
  burn(secret);
  EXPECT_EQ(secret, ByteVector(33, 0));
}

TEST(SipHash, EqualsLibsodiumAtEveryLength) {
  std::array<std::uint8_t, 16> key{};
  ByteVector data(80);
  for (std::size_t i = 0; i < 16; ++i) key[i] = static_cast<std::uint8_t>(i * 17 + 3);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 31 + 1);
  SipKey sip;
  std::memcpy(&sip, key.data(), 16);
  for (std::size_t n = 0; n <= data.size(); ++n) {
    std::uint64_t expected = 0;
    crypto_shorthash(reinterpret_cast<unsigned char*>(&expected), data.data(), n, key.data());
    EXPECT_EQ(siphash(sip, Bytes(data).first(n)), expected) << n;
  }
}

TEST(IntrusiveList, KeepsOrder) {
  struct Item {
    int number = 0;
    ListLink<Item> link;
  };

  using List = IntrusiveList<Item, &Item::link>;
  std::array<Item, 4> items{{{1, {}}, {2, {}}, {3, {}}, {4, {}}}};
  List list;
  const auto numbers = [&] {
    std::vector<int> all;
    for (const Item* i = list.front(); i != nullptr; i = List::after(*i)) all.push_back(i->number);
    return all;
  };
  EXPECT_TRUE(list.empty());
  list.push_back(items[1]);
  list.push_back(items[2]);
  list.push_front(items[0]);
  list.push_back(items[3]);
  EXPECT_EQ(numbers(), (std::vector<int>{1, 2, 3, 4}));
  list.erase(items[1]);  // in the middle
  list.erase(items[0]);  // the first
  list.erase(items[3]);  // the last
  EXPECT_EQ(numbers(), std::vector<int>{3});
  list.push_front(items[0]);
  list.erase(items[2]);
  list.push_back(items[1]);
  EXPECT_EQ(numbers(), (std::vector<int>{1, 2}));
  list.erase(items[0]);
  list.erase(items[1]);
  EXPECT_TRUE(list.empty());
}

TEST(Slot, ZeroIsNone) {
  struct Tag;
  EXPECT_FALSE(Slot<Tag>{});
  EXPECT_TRUE(Slot<Tag>{3});
}

TEST(RecordRing, GivesBackWhatItWasGivenInOrderAndRefusesWhatDoesNotFit) {
  RecordRing ring(256);
  EXPECT_FALSE(ring.front());
  EXPECT_EQ(ring.reserve(249), nullptr) << "with its size more than all there is";
  std::size_t written = 0, read = 0, refused = 0;
  const auto size_of = [](std::size_t i) { return i * 37 % 120; };
  for (unsigned step = 0; step < 5'000; ++step) {
    if (std::uint8_t* room = ring.reserve(size_of(written))) {
      std::memset(room, static_cast<int>(written & 0xff), size_of(written));
      ring.commit();
      ++written;
    } else {
      ++refused;
    }
    if (step % 3 == 0) continue;
    if (const auto record = ring.front()) {
      ASSERT_EQ(record->size(), size_of(read));
      for (const std::uint8_t byte : *record) ASSERT_EQ(byte, read & 0xff);
      ring.pop();
      ++read;
    }
  }
  EXPECT_GT(read, 3'000u);
  EXPECT_GT(refused, 100u);
  for (; ring.front(); ring.pop()) ++read;
  EXPECT_EQ(read, written);
}

TEST(RecordRing, WhatIsNotCommittedIsForgotten) {
  RecordRing ring(64);
  ASSERT_NE(ring.reserve(40), nullptr);
  EXPECT_FALSE(ring.front());
  std::uint8_t* room = ring.reserve(1);
  ASSERT_NE(room, nullptr);
  *room = 9;
  ring.commit();
  ASSERT_TRUE(ring.front());
  EXPECT_EQ(ring.front()->size(), 1u);
  EXPECT_EQ(ring.front()->front(), 9);
}

// Byte by byte as the draft draws the blocks, sections 4.1, 4.2, 4.3 and 4.6.
TEST(Pcapng, SectionHeader) {
  ByteVector out;
  pcapng::append_section(out, "orrery");
  EXPECT_EQ(to_hex(out),
            "0a0d0d0a"
            "2c000000"
            "4d3c2b1a"
            "0100"
            "0000"
            "ffffffffffffffff"
            "0400"
            "0600"
            "6f7272657279"
            "0000"
            "00000000"
            "2c000000");
}

TEST(Pcapng, Interface) {
  ByteVector out;
  pcapng::append(out, pcapng::Interface{147, 0x40, "outer", ""});
  EXPECT_EQ(to_hex(out),
            "01000000"
            "2c000000"
            "9300"
            "0000"
            "40000000"
            "0200"
            "0500"
            "6f75746572"
            "000000"
            "0900"
            "0100"
            "09"
            "000000"
            "00000000"
            "2c000000");
}

TEST(Pcapng, PacketOfWhichSomeBytesAreThere) {
  ByteVector out = {0xee};  // whatever stands in front
  const ByteVector bytes = {1, 2, 3, 4, 5};
  pcapng::append(out, pcapng::Packet{3, 0x0102030405060708, bytes, 1400,
                                     pcapng::Direction::kOutbound, 0x1122334455667788, "why"});
  EXPECT_EQ(to_hex(out),
            "ee"
            "06000000"
            "48000000"
            "03000000"
            "04030201"
            "08070605"
            "05000000"
            "78050000"
            "0102030405"
            "000000"
            "0100"
            "0300"
            "776879"
            "00"
            "0200"
            "0400"
            "02000000"
            "0500"
            "0800"
            "8877665544332211"
            "00000000"
            "48000000");
}

TEST(Pcapng, Statistics) {
  ByteVector out;
  pcapng::append(out, pcapng::Statistics{1, 0x0102030405060708, 10, 2});
  EXPECT_EQ(to_hex(out),
            "05000000"
            "34000000"
            "01000000"
            "04030201"
            "08070605"
            "0400"
            "0800"
            "0a00000000000000"
            "0500"
            "0800"
            "0200000000000000"
            "00000000"
            "34000000");
}

TEST(Pcapng, ATextIsCutWhereItsLengthEnds) {
  ByteVector out;
  const std::string text(70'000, 'x');
  pcapng::Packet packet;
  packet.comment = text;
  pcapng::append(out, packet);
  EXPECT_EQ(out.size() % 4, 0u);
  std::uint32_t first = 0, last = 0;
  std::memcpy(&first, out.data() + 4, 4);
  std::memcpy(&last, out.data() + out.size() - 4, 4);
  EXPECT_EQ(first, out.size());
  EXPECT_EQ(last, out.size());
}

}  // namespace
}  // namespace orrery
