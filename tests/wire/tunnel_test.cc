// The framing of TCP fallback: bytes of every message, every split of a stream, every end of it.
#include "wire/tunnel.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace orrery::wire {
namespace {

const Endpoint kV4 = Endpoint::v4(0x05050502, 9993);
const Endpoint kV6 = Endpoint::v6(std::array<std::uint8_t, 16>{0x20, 0x01, 0x0d, 0xb8, 1}, 65535);

ByteVector message(const Endpoint& endpoint, Bytes datagram) {
  ByteVector bytes(kTunnelHeadSize + kTunnelEndpointSize);
  bytes.resize(write_tunnel_head(bytes, endpoint, datagram.size()));
  bytes.insert(bytes.end(), datagram.begin(), datagram.end());
  return bytes;
}

ByteVector hello() {
  ByteVector bytes(kTunnelHeadSize + kTunnelHelloSize);
  EXPECT_EQ(write_tunnel_hello(bytes, 1, 14, 0x0203), bytes.size());
  return bytes;
}

void append(ByteVector& to, const ByteVector& what) {
  to.insert(to.end(), what.begin(), what.end());
}

/// What comes out when the stream comes in these pieces.
std::vector<ByteVector> cut(Bytes stream, std::initializer_list<std::size_t> pieces,
                            bool* failed = nullptr) {
  const auto reader = std::make_unique<TunnelStream>();
  std::vector<ByteVector> found;
  auto piece = pieces.begin();
  while (!stream.empty() && !reader->failed()) {
    const std::size_t want = piece == pieces.end() ? stream.size() : *piece++;
    for (Bytes part = stream.first(std::min(want, stream.size())); !part.empty();) {
      const MutableBytes room = reader->room();
      if (room.empty()) break;
      const std::size_t n = std::min(room.size(), part.size());
      std::copy_n(part.begin(), n, room.begin());
      reader->filled(n);
      part = part.subspan(n);
      while (const auto m = reader->next()) found.emplace_back(m->begin(), m->end());
    }
    stream = stream.subspan(std::min(want, stream.size()));
  }
  if (failed != nullptr) *failed = reader->failed();
  return found;
}

TEST(Tunnel, BytesOfEveryMessage) {
  EXPECT_EQ(to_hex(hello()), "1703030004010e0203");
  EXPECT_EQ(to_hex(message(kV4, bytes_of("abc"))), "170303000a04050505022709616263");
  EXPECT_EQ(to_hex(message(kV6, bytes_of("z"))),
            "17030300140620010db8010000000000000000000000ffff7a");
}

TEST(Tunnel, WhatIsWrittenDecodes) {
  const auto h = decode_tunnel_message(Bytes(hello()).subspan(kTunnelHeadSize));
  ASSERT_TRUE(h);
  EXPECT_EQ(h->kind, TunnelMessage::Kind::kHello);
  for (const Endpoint& e : {kV4, kV6}) {
    const ByteVector bytes = message(e, bytes_of("payload"));
    const auto decoded = decode_tunnel_message(Bytes(bytes).subspan(kTunnelHeadSize));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->kind, TunnelMessage::Kind::kDatagram);
    EXPECT_EQ(decoded->endpoint, e);
    EXPECT_EQ(text_of(decoded->datagram), "payload");
  }
}

TEST(Tunnel, MessagesThatAreNotOfThisProtocol) {
  EXPECT_FALSE(decode_tunnel_message({}));
  for (unsigned family = 1; family < 256; ++family) {
    if (family == 4 || family == 6) continue;
    ByteVector bytes(30, static_cast<std::uint8_t>(family));
    EXPECT_FALSE(decode_tunnel_message(bytes)) << family;
  }
  for (const std::uint8_t family : {std::uint8_t{4}, std::uint8_t{6}}) {
    const std::size_t whole = family == 4 ? 7 : 19;
    for (std::size_t n = 1; n < whole; ++n) {
      ByteVector bytes(n, family);
      const auto decoded = decode_tunnel_message(bytes);
      // Of four bytes it is a version, whatever they are.
      EXPECT_EQ(decoded.has_value(), n == kTunnelHelloSize) << n;
    }
    const auto least = decode_tunnel_message(ByteVector(whole, family));
    ASSERT_TRUE(least);
    EXPECT_TRUE(least->datagram.empty());
  }
  const auto nothing = decode_tunnel_message(ByteVector(9, 0));
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->kind, TunnelMessage::Kind::kNothing);
}

TEST(Tunnel, NothingIsWrittenThatCannotBe) {
  ByteVector room(64);
  EXPECT_EQ(write_tunnel_head(room, Endpoint{}, 3), 0u);
  EXPECT_EQ(write_tunnel_head(room, kV4, kMaxPacket + 1), 0u);
  EXPECT_EQ(write_tunnel_head(room, kV4, kMaxPacket), 12u);
  for (std::size_t n = 0; n < 12; ++n)
    EXPECT_EQ(write_tunnel_head(MutableBytes(room).first(n), kV4, 1), 0u) << n;
  for (std::size_t n = 0; n < 9; ++n)
    EXPECT_EQ(write_tunnel_hello(MutableBytes(room).first(n), 1, 1, 1), 0u) << n;
}

TEST(Tunnel, EverySplitOfAStreamGivesTheSameMessages) {
  ByteVector stream = hello();
  append(stream, message(kV4, ByteVector(40, 1)));
  append(stream, message(kV4, {}));
  append(stream, message(kV6, ByteVector(28, 2)));
  const std::vector<ByteVector> expected = cut(stream, {});
  ASSERT_EQ(expected.size(), 4u);
  for (std::size_t a = 1; a < stream.size(); ++a) {
    EXPECT_EQ(cut(stream, {a}), expected) << a;
    for (std::size_t b = 1; a + b < stream.size(); ++b)
      ASSERT_EQ(cut(stream, {a, b}), expected) << a << " " << b;
  }
  // and a byte at a time
  const auto reader = std::make_unique<TunnelStream>();
  std::vector<ByteVector> found;
  for (const std::uint8_t byte : stream) {
    reader->room()[0] = byte;
    reader->filled(1);
    while (const auto m = reader->next()) found.emplace_back(m->begin(), m->end());
  }
  EXPECT_EQ(found, expected);
}

TEST(Tunnel, AStreamOfTheLargestMessagesFits) {
  ByteVector stream;
  for (std::size_t i = 0; i < 20; ++i)
    append(stream, message(i % 2 == 0 ? kV4 : kV6, ByteVector(kMaxPacket - i, 7)));
  for (const std::size_t piece : {1'000u, 1'460u, 9'999u, 20'000u}) {
    const auto reader = std::make_unique<TunnelStream>();
    std::size_t found = 0;
    for (Bytes rest = stream; !rest.empty();) {
      const MutableBytes room = reader->room();
      ASSERT_FALSE(room.empty());
      const std::size_t n = std::min({piece, room.size(), rest.size()});
      std::copy_n(rest.begin(), n, room.begin());
      reader->filled(n);
      rest = rest.subspan(n);
      while (reader->next()) ++found;
    }
    EXPECT_EQ(found, 20u) << piece;
  }
}

TEST(Tunnel, TheFirstErrorEndsAStream) {
  struct Row {
    const char* what;
    const char* hex;
    std::size_t at;  // bytes of it after which it has failed
  };

  const Row rows[] = {
      {"another first byte", "16", 1},
      {"another second byte", "1701", 2},
      {"another third byte", "170301", 3},
      {"a message of nothing", "1703030000", 5},
      {"a message that is too large", "170303273c", 5},
  };
  for (const Row& row : rows) {
    ByteVector bytes = *from_hex(row.hex);
    const auto reader = std::make_unique<TunnelStream>();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      reader->room()[0] = bytes[i];
      reader->filled(1);
      EXPECT_FALSE(reader->next()) << row.what;
      EXPECT_EQ(reader->failed(), i + 1 >= row.at) << row.what;
    }
    EXPECT_TRUE(reader->room().empty()) << row.what;
    // what stood before is given out
    ByteVector stream = message(kV4, bytes_of("before"));
    append(stream, bytes);
    append(stream, message(kV4, bytes_of("behind")));
    bool failed = false;
    const auto found = cut(stream, {}, &failed);
    EXPECT_TRUE(failed) << row.what;
    ASSERT_EQ(found.size(), 1u) << row.what;
  }
  static_assert(kMaxTunnelMessage + 1 == 0x273c);
}

}  // namespace
}  // namespace orrery::wire
