// Packet and fragment headers, what a datagram is, and how packets are cut.
#include <gtest/gtest.h>

#include "wire/fragment.h"

namespace orrery::wire {
namespace {

TEST(PacketHeader, BytesOfEveryField) {
  PacketHeader h;
  h.id = 0x0102030405060708;
  h.destination = Address{0x1122334455};
  h.source = Address{0x66778899aa};
  h.flags = 0xdd;  // encrypted, fragmented, cipher 3, 5 hops
  h.mac = 0xf1f2f3f4f5f6f7f8;
  h.verb = 0x87;
  std::array<std::uint8_t, kHeaderSize> bytes{};
  encode_packet_header(bytes, h);
  EXPECT_EQ(to_hex(bytes), "0102030405060708112233445566778899aaddf1f2f3f4f5f6f7f887");
  const auto back = decode_packet_header(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, h.id);
  EXPECT_EQ(back->destination, h.destination);
  EXPECT_EQ(back->source, h.source);
  EXPECT_EQ(back->mac, h.mac);
  EXPECT_EQ(back->verb, h.verb);
  EXPECT_EQ(back->cipher(), 3);
  EXPECT_EQ(back->hops(), 5);
  EXPECT_TRUE(back->fragmented());
}

TEST(PacketHeader, OffsetsNameTheFields) {
  std::array<std::uint8_t, kHeaderSize> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const auto h = decode_packet_header(bytes);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->id >> 56, kIdOffset);
  EXPECT_EQ(h->destination.value >> 32, kDestinationOffset);
  EXPECT_EQ(h->source.value >> 32, kSourceOffset);
  EXPECT_EQ(h->flags, kFlagsOffset);
  EXPECT_EQ(h->mac >> 56, kMacOffset);
  EXPECT_EQ(h->verb, kVerbOffset);
}

TEST(PacketHeader, CutAtEveryByte) {
  for (std::size_t n = 0; n < kHeaderSize; ++n) {
    EXPECT_FALSE(decode_packet_header(ByteVector(n))) << n;
  }
}

TEST(FragmentHeader, BytesOfEveryField) {
  const FragmentHeader h{0x0102030405060708, Address{0x1122334455}, 7, 3, 6};
  ByteVector bytes(kFragmentHeaderSize + 1);
  encode_fragment_header(bytes, h);
  EXPECT_EQ(to_hex(bytes), "01020304050607081122334455ff730600");
  const auto back = decode_fragment_header(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, h.id);
  EXPECT_EQ(back->destination, h.destination);
  EXPECT_EQ(back->total, 7);
  EXPECT_EQ(back->number, 3);
  EXPECT_EQ(back->hops, 6);
}

TEST(FragmentHeader, NeedsOneByteOfDataAndItsMark) {
  ByteVector bytes(kFragmentHeaderSize + 1);
  encode_fragment_header(bytes, {1, Address{2}, 2, 1, 0});
  for (std::size_t n = 0; n <= kFragmentHeaderSize; ++n) {
    EXPECT_FALSE(decode_fragment_header(Bytes(bytes).first(n))) << n;
  }
  bytes[kSourceOffset] = 0xfe;
  EXPECT_FALSE(decode_fragment_header(bytes));
}

TEST(DatagramKind, ByLengthAndByte13) {
  for (std::size_t n = 0; n < 64; ++n) {
    ByteVector bytes(n);
    const DatagramKind head = n == 13   ? DatagramKind::kBeacon
                              : n >= 28 ? DatagramKind::kPacket
                                        : DatagramKind::kTooShort;
    EXPECT_EQ(kind_of(bytes), head) << n;
    if (n <= kSourceOffset) continue;
    bytes[kSourceOffset] = 0xff;
    EXPECT_EQ(kind_of(bytes), n > 16 ? DatagramKind::kFragment : DatagramKind::kTooShort) << n;
  }
}

TEST(Verb, LabelsAreThereForAllCodes) {
  EXPECT_STREQ(verb_label(0x01), "hello");
  EXPECT_STREQ(verb_label(0x16), "path_negotiation_request");
  for (const std::uint8_t code : std::array<std::uint8_t, 5>{0x0f, 0x11, 0x17, 0x1f, 0xff}) {
    EXPECT_STREQ(verb_label(code), "unknown");
  }
}

/// The datagrams of a plan put together again: head, then the data of each fragment in order.
ByteVector rejoined(const ByteVector& packet, const FragmentPlan& plan, std::size_t mtu) {
  ByteVector joined(packet.begin(), packet.begin() + plan.head_size);
  for (std::uint8_t number = 1; number < plan.pieces; ++number) {
    ByteVector out(kFragmentHeaderSize + plan.data_size);
    out.resize(write_fragment(out, packet, plan, number));
    EXPECT_LE(out.size(), mtu);
    const auto header = decode_fragment_header(out);
    if (!header) return {};
    EXPECT_EQ(header->id, load_be64(packet.data()));
    EXPECT_EQ(header->destination, decode_packet_header(packet)->destination);
    EXPECT_EQ(header->total, plan.pieces);
    EXPECT_EQ(header->number, number);
    EXPECT_EQ(header->hops, 0);
    joined.insert(joined.end(), out.begin() + kFragmentHeaderSize, out.end());
  }
  return joined;
}

TEST(FragmentPlan, EveryLengthAtTheUsualSizes) {
  for (const std::size_t mtu : {1400u, 1432u, 2800u}) {
    for (std::size_t n = kHeaderSize; n <= kMaxPacket; n += n % 97 + 1) {
      ByteVector packet(n);
      for (std::size_t i = 0; i < n; ++i) packet[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
      for (const FragmentPlan& plan : {plan_fragments(n, mtu), plan_equal_fragments(n, mtu)}) {
        ASSERT_EQ(plan.pieces == 1, n <= mtu) << n;
        if (plan.pieces > 15) continue;  // has no number on the wire
        ASSERT_EQ(rejoined(packet, plan, mtu), packet) << n << " at " << mtu;
      }
    }
  }
}

TEST(FragmentPlan, LargestThatFitsSevenPieces) {
  EXPECT_EQ(plan_fragments(9928, kDefaultUdpPayload).pieces, kMaxFragments);
  EXPECT_EQ(plan_fragments(9929, kDefaultUdpPayload).pieces, kMaxFragments + 1);
}

TEST(FragmentPlan, EqualPiecesDifferByLessThanTheirNumber) {
  for (std::size_t n = 1433; n <= 9928; n += 11) {
    const FragmentPlan plan = plan_equal_fragments(n, kDefaultUdpPayload);
    EXPECT_EQ(plan.pieces, plan_fragments(n, kDefaultUdpPayload).pieces);
    EXPECT_EQ(plan.head_size, plan.data_size + kFragmentHeaderSize);
    const std::size_t before_last =
        plan.head_size + std::size_t{plan.data_size} * (plan.pieces - 2u);
    ASSERT_LT(before_last, n);
    EXPECT_LT(before_last + plan.data_size - n, plan.pieces) << n;
  }
}

}  // namespace
}  // namespace orrery::wire
