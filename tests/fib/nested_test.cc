// Datagrams of the node itself among frames of the host: found by their sender, whatever is around.
#include "fib/nested.h"

#include <gtest/gtest.h>

namespace orrery::fib {
namespace {

constexpr wire::Address kSelf{0x171ed924fb};
constexpr std::size_t kBody = 60;  // bytes of datagram

/// An IP packet with a datagram of ZeroTier's that kSelf sends.
ByteVector own_datagram(std::uint8_t version) {
  const std::size_t udp = version == 4 ? 20 : 40;
  ByteVector packet(udp + 8 + kBody);
  packet[0] = version == 4 ? 0x45 : 0x60;
  packet[version == 4 ? 9 : 6] = 17;
  for (std::size_t i = 0; i < 5; ++i)
    packet[udp + 8 + wire::kSourceOffset + i] =
        static_cast<std::uint8_t>(kSelf.value >> (8 * (4 - i)));
  return packet;
}

TEST(Nested, OwnDatagramsAreFoundAndNothingElse) {
  for (const std::uint8_t version : {std::uint8_t{4}, std::uint8_t{6}}) {
    SCOPED_TRACE(version);
    const std::uint16_t ethertype = version == 4 ? 0x0800 : 0x86dd;
    ByteVector packet = own_datagram(version);
    EXPECT_TRUE(is_own_datagram(ethertype, packet, kSelf));
    EXPECT_FALSE(is_own_datagram(0x0806, packet, kSelf));
    const std::size_t end = packet.size() - kBody + wire::kSourceOffset + 5;
    EXPECT_TRUE(is_own_datagram(ethertype, Bytes(packet).first(end), kSelf));
    for (std::size_t size = 0; size < end; ++size) {
      const ByteVector cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(is_own_datagram(ethertype, cut, kSelf)) << size;
    }
    packet[end - 1] ^= 1;
    EXPECT_FALSE(is_own_datagram(ethertype, packet, kSelf)) << "somebody else's";
    packet[end - 1] ^= 1;
    packet[version == 4 ? 9 : 6] = 6;
    EXPECT_FALSE(is_own_datagram(ethertype, packet, kSelf)) << "TCP";
  }
  ByteVector fragment = own_datagram(4);
  fragment[7] = 1;
  EXPECT_FALSE(is_own_datagram(0x0800, fragment, kSelf)) << "a later fragment has no UDP header";
}

TEST(Nested, BehindAVlanTagToo) {
  ByteVector tagged = own_datagram(4);
  const std::uint8_t tag[] = {0, 7, 0x08, 0x00};  // control, ethertype
  tagged.insert(tagged.begin(), std::begin(tag), std::end(tag));
  EXPECT_TRUE(is_own_datagram(wire::kVlanEthertype, tagged, kSelf));
  EXPECT_FALSE(is_own_datagram(0x0800, tagged, kSelf));
}

TEST(Nested, OptionsBeforeTheDatagramAreSkipped) {
  ByteVector packet = own_datagram(4);
  packet[0] = 0x46;
  packet.insert(packet.begin() + 20, 4, 0);
  EXPECT_TRUE(is_own_datagram(0x0800, packet, kSelf));
}

}  // namespace
}  // namespace orrery::fib
