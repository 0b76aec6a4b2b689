// What control is given of a flood: classes and sources have their shares, and a legitimate flow
// does not notice.
#include <gtest/gtest.h>

#include <random>

#include "fixture.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

const wire::Address kStranger{0x5555555555ULL};

ByteVector packet(wire::Address from, wire::Address to, std::uint8_t flags = 0x18) {
  ByteVector d(64, 0x5a);
  wire::PacketHeader h;
  h.id = 0x0102030405060708;
  h.destination = to;
  h.source = from;
  h.flags = flags;
  wire::encode_packet_header(d, h);
  return d;
}

class PuntTest : public Dataplane {
 protected:
  static std::unique_ptr<End> make(const PuntOptions& punts = {}) {
    auto b = std::make_unique<End>("punt_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
    b->fast->offline();
    b->fast.reset();
    FastPathOptions options;
    options.self = kB;
    options.punts = punts;
    b->fast = std::make_unique<FastPath>(b->tables, pools(), options);
    b->fast->online();
    return b;
  }

  static void feed(End& end, const ByteVector& datagram, wire::Endpoint from) {
    rte_mbuf* m = mbuf_of(datagram, pools().wire);
    meta_of(m).remote = from;
    meta_of(m).socket = kSocket;
    end.fast->inbound(&m, 1, end.out, end.drops);
  }

  /// Of the burst that ran: how many of a class.
  static unsigned punted(const End& end, Message message) {
    unsigned n = 0;
    for (unsigned i = 0; i < end.out.punts; ++i) n += meta_of(end.out.punt[i]).message == message;
    return n;
  }

  static wire::Endpoint somewhere(std::mt19937_64& random) {
    return wire::Endpoint::v4(static_cast<std::uint32_t>(random()), 9993);
  }
};

TEST_F(PuntTest, AFloodOfManySourcesLeavesAFlowAndItsClassAlone) {
  End a("punt_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
  auto b = make();
  // Every second packet of the flow is one that control must see: the network is not joined there.
  std::mt19937_64 random(1);
  constexpr unsigned kRounds = 400;
  std::uint64_t forged = 0, raw = 0, delivered = 0, authenticated = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    if (round == kRounds / 2) b->publisher.apply(fib::RemoveNetwork{kNetwork});
    rte_mbuf* burst[FastPath::kBurst];
    unsigned n = 0;
    for (; n < FastPath::kBurst - 1; ++n) {
      burst[n] = mbuf_of(packet(wire::Address{random() >> 25 | 1}, kB), pools().wire);
      meta_of(burst[n]).remote = somewhere(random);
      meta_of(burst[n]).socket = kSocket;
      ++forged;
    }
    rte_mbuf* m = mbuf_of(a.frame(200), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    ASSERT_EQ(a.out.transmits, 1u);
    cross(a.out.transmit, 1, kEndA);
    burst[n++] = a.out.transmit[0];
    a.out.transmits = 0;
    release(a.out);
    b->fast->inbound(burst, n, b->out, b->drops);
    delivered += b->out.delivers;
    raw += punted(*b, Message::kDatagram);
    authenticated += punted(*b, Message::kAuthenticated);
    release(b->out);
  }
  EXPECT_EQ(delivered, kRounds / 2) << "all of the flow";
  EXPECT_EQ(authenticated, kRounds / 2) << "and all of it that control must see";
  EXPECT_GE(raw, 1'024u);
  EXPECT_LT(raw, 8'000u) << "the burst, and what time brought back";
  EXPECT_EQ(raw + b->dropped(Drop::kPuntStranger) + b->dropped(Drop::kPuntSource), forged);
}

TEST_F(PuntTest, OneNetworkLeavesRoomForAnother) {
  auto b = make();
  for (std::uint16_t i = 1; i <= 1'000; ++i)
    feed(*b, packet(kStranger, kB), wire::Endpoint::v4(0xc0000200u + i % 256, i)), release(b->out);
  EXPECT_GE(b->dropped(Drop::kPuntSource), 500u);
  EXPECT_EQ(b->dropped(Drop::kPuntStranger), 0u);
  feed(*b, packet(kStranger, kB), wire::Endpoint::v4(0xc0000301, 1));
  EXPECT_EQ(b->out.punts, 1u);
  release(b->out);
}

TEST_F(PuntTest, APeerLeavesRoomForItsNeighbours) {
  auto b = make();
  const wire::Address neighbour{0x3333333333ULL};
  fib::Peer other = b->peer();
  other.address = neighbour;
  b->publisher.apply(other);
  const auto hello = [&](wire::Address from, std::uint32_t ip) {
    feed(*b, packet(from, kB, 0), wire::Endpoint::v4(ip, 9993));
    const unsigned n = punted(*b, Message::kDatagram);
    release(b->out);
    return n;
  };
  unsigned got = 0;
  for (unsigned i = 0; i < 900; ++i) got += hello(kA, 0x0a000001);
  EXPECT_GE(got, 512u);
  EXPECT_LT(got, 900u) << "the burst, and what time brought back";
  EXPECT_EQ(b->dropped(Drop::kPuntSource), 900 - got);
  EXPECT_EQ(hello(neighbour, 0x0a000002), 1u) << "of the same network";
  EXPECT_EQ(hello(kA, 0x0b000001), 1u) << "who uses its name does not silence it";
}

TEST_F(PuntTest, StrangersLeaveRoomForWhoIsKnown) {
  PuntOptions few;
  few.all[0] = {1, 10};
  auto b = make(few);
  std::mt19937_64 random(2);
  for (int i = 0; i < 100; ++i) {
    feed(*b, packet(kStranger, kB), somewhere(random));
    release(b->out);
  }
  EXPECT_EQ(b->dropped(Drop::kPuntStranger), 90u);
  feed(*b, packet(kA, kB, 0), kEndA);
  EXPECT_EQ(punted(*b, Message::kDatagram), 1u) << "HELLO of a published peer";
  release(b->out);
  feed(*b, packet(kStranger, kB, 0), somewhere(random));
  EXPECT_EQ(b->out.punts, 0u) << "HELLO of a stranger";
  feed(*b, packet(kA, kStranger), kEndA);
  EXPECT_EQ(b->out.punts, 0u) << "to relay, where we are no root";
  EXPECT_EQ(b->dropped(Drop::kPuntStranger), 92u);
}

TEST(PuntOptionsTest, WorkersShareRates) {
  PuntOptions options;
  options.share_among(4);
  EXPECT_EQ(options.all[0].per_second, 5'000u);
  EXPECT_EQ(options.all[0].burst, 1'024u);
  EXPECT_EQ(options.per_prefix[0].per_second, 500u);
  EXPECT_EQ(options.per_sender.per_second, 5'000u);
  options.share_among(1'000'000);
  EXPECT_EQ(options.per_prefix[0].per_second, 1u) << "0 would be no limit";
}

/// Each class by itself has a limit, and a name for what is beyond it.
TEST_F(PuntTest, EveryClassHasAName) {
  struct Row {
    const char* description;
    PuntClass of;
    Drop drop;
  };

  const Row rows[] = {{"strangers", PuntClass::kStranger, Drop::kPuntStranger},
                      {"known", PuntClass::kKnown, Drop::kPuntKnown},
                      {"authenticated", PuntClass::kAuthenticated, Drop::kPuntAuthenticated},
                      {"frames", PuntClass::kFrame, Drop::kPuntFrame},
                      {"events", PuntClass::kEvent, Drop::kPuntEvent}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.description);
    PuntOptions none;
    none.all[static_cast<std::size_t>(row.of)] = {1, 0};
    End a("punt_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
    auto b = make(none);
    std::uint64_t in = 0, out = 0;
    const auto account = [&] {
      in += b->out.copies;
      out += b->out.delivers + b->out.transmits + b->out.punts;
      release(b->out);
    };
    feed(*b, packet(kStranger, kB), kEndA);
    account();
    feed(*b, packet(kA, kB, 0), kEndA);
    account();
    for (const bool joined : {true, false}) {
      if (!joined) b->publisher.apply(fib::RemoveNetwork{kNetwork});
      rte_mbuf* m = mbuf_of(a.frame(200), pools().frame);
      a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
      const ByteVector datagram(bytes_of(a.out.transmit[0]).begin(),
                                bytes_of(a.out.transmit[0]).end());
      release(a.out);
      feed(*b, datagram, kEndA);
      account();
    }
    rte_mbuf* m = mbuf_of(b->frame(100), pools().frame);
    b->fast->outbound(kNetwork, &m, 1, b->out, b->drops);
    account();
    in += 5;
    EXPECT_EQ(b->dropped(row.drop), 1u);
    EXPECT_EQ(total(b->drops), 1u) << "and no other";
    EXPECT_EQ(in, out + total(b->drops)) << "the ledger";
  }
}

}  // namespace
}  // namespace orrery::dataplane::test
