// base: cursors stick after failure, comparison, hexadecimal text, lists, SipHash against
// libsodium.
#include <gtest/gtest.h>
#include <sodium.h>

#include <vector>

#include "base/cursor.h"
#include "base/intrusive_list.h"
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

}  // namespace
}  // namespace orrery
