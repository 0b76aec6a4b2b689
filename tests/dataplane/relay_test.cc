// What a root does with datagrams for others: heads and fragments, at which limits, and of what
// control hears.
#include <gtest/gtest.h>

#include <functional>

#include "control/root.h"
#include "fixture.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

const wire::Address kRoot{0x3333333333ULL};
const wire::Address kC{0x4444444444ULL};
const wire::Endpoint kEndC = wire::Endpoint::v4(0x0a000009, 9993);

fib::Peer at(wire::Address address, wire::Endpoint remote) {
  fib::Peer p;
  p.address = address;
  crypto::SharedSecret secret{};
  secret[0] = static_cast<std::uint8_t>(address.value);
  p.secret = crypto::Secret(secret);
  p.suite = wire::Suite::kAesGmacSiv;
  p.path = {kSocket, remote};
  p.direct = true;
  return p;
}

ByteVector head(wire::Address from, wire::Address to, unsigned hops = 0, std::size_t size = 100) {
  ByteVector d(size, 0x5a);
  wire::PacketHeader h;
  h.id = 0x0102030405060708;
  h.destination = to;
  h.source = from;
  h.flags = static_cast<std::uint8_t>(0x58 | hops);  // fragmented, cipher 3
  wire::encode_packet_header(d, h);
  return d;
}

ByteVector fragment(wire::Address to, unsigned hops = 0) {
  ByteVector d(60, 0xa5);
  wire::encode_fragment_header(d, {0x0102030405060708, to, 3, 1, static_cast<std::uint8_t>(hops)});
  return d;
}

class RelayTest : public Dataplane {
 protected:
  /// A root that knows A and B.
  static std::unique_ptr<End> make_root(RelayOptions relay = {}) {
    auto root = std::make_unique<End>("relay", kRoot, kA, kEndA, wire::Suite::kAesGmacSiv);
    root->fast->offline();
    root->fast.reset();
    FastPathOptions options;
    options.self = kRoot;
    options.relay = relay;
    root->fast = std::make_unique<FastPath>(root->tables, pools(), options);
    root->fast->online();
    root->publisher.apply(at(kA, kEndA));
    root->publisher.apply(at(kB, kEndB));
    root->publisher.apply(fib::Relaying{true});
    return root;
  }

  static void feed(End& root, const ByteVector& datagram, wire::Endpoint from = kEndA) {
    rte_mbuf* m = mbuf_of(datagram, pools().wire);
    meta_of(m).remote = from;
    meta_of(m).socket = kSocket;
    root.fast->inbound(&m, 1, root.out, root.drops);
  }
};

/// One datagram and what becomes of it.
struct Row {
  const char* description;
  std::function<void(End&)> tables;
  ByteVector datagram;
  wire::Endpoint from;
  bool sent;
  unsigned events;
  bool punted;
  Drop drop;
};

TEST_F(RelayTest, Rows) {
  const auto as_is = [](End&) {};
  const Row rows[] = {
      {"head to a known peer", as_is, head(kA, kB), kEndA, true, 1, false, Drop::kNone},
      {"fragment to a known peer", as_is, fragment(kB), kEndA, true, 0, false, Drop::kNone},
      {"last hop but one", as_is, head(kA, kB, 2), kEndA, true, 1, false, Drop::kNone},
      {"head at the limit", as_is, head(kA, kB, 3), kEndA, false, 0, false, Drop::kHops},
      {"head beyond the limit", as_is, head(kA, kB, 7), kEndA, false, 0, false, Drop::kHops},
      {"fragment below the limit", as_is, fragment(kB, 2), kEndA, true, 0, false, Drop::kNone},
      {"fragment at the limit", as_is, fragment(kB, 3), kEndA, false, 0, false, Drop::kHops},
      {"unknown destination is control's", as_is, head(kA, kC), kEndA, false, 0, true, Drop::kNone},
      {"fragment to an unknown one is control's", as_is, fragment(kC), kEndA, false, 0, true,
       Drop::kNone},
      {"unknown source is relayed, of which control hears nothing", as_is, head(kC, kB), kEndC,
       true, 0, false, Drop::kNone},
      {"source claimed from elsewhere is relayed", as_is, head(kA, kB), kEndC, true, 1, false,
       Drop::kNone},
      {"never back to where it came from", as_is, head(kA, kB), kEndB, false, 0, false,
       Drop::kRelayLoop},
      {"source is ourselves", as_is, head(kRoot, kB), kEndA, false, 0, false, Drop::kAddress},
      {"source is reserved", as_is, head(wire::Address{}, kB), kEndA, false, 0, false,
       Drop::kAddress},
      {"a node that is no root leaves it to control",
       [](End& e) { e.publisher.apply(fib::Relaying{false}); }, head(kA, kB), kEndA, false, 0, true,
       Drop::kNone},
      {"reached over another root",
       [](End& e) {
         auto p = at(kB, kEndB);
         p.direct = false;
         e.publisher.apply(p);
       },
       head(kA, kB), kEndA, false, 0, true, Drop::kNone},
      {"no path",
       [](End& e) {
         auto p = at(kB, kEndB);
         p.path = {};
         e.publisher.apply(p);
       },
       head(kA, kB), kEndA, false, 0, true, Drop::kNone},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.description);
    auto root = make_root();
    row.tables(*root);
    feed(*root, row.datagram, row.from);
    ASSERT_EQ(root->out.transmits, row.sent ? 1u : 0u);
    EXPECT_EQ(root->out.relayed, row.sent ? 1u : 0u);
    if (row.sent) {
      rte_mbuf* m = root->out.transmit[0];
      EXPECT_EQ(meta_of(m).remote, kEndB);
      EXPECT_EQ(meta_of(m).socket, kSocket);
      // Control's own step is the definition: nothing but the hop count changes.
      ByteVector expected = row.datagram;
      EXPECT_TRUE(control::bump_hops(expected));
      EXPECT_TRUE(std::ranges::equal(bytes_of(m), expected));
    } else {
      ByteVector copy = row.datagram;
      EXPECT_EQ(control::bump_hops(copy), row.drop != Drop::kHops) << "control's limit is the same";
    }
    ASSERT_EQ(root->out.punts, row.events + (row.punted ? 1u : 0u));
    if (row.punted) {
      EXPECT_EQ(meta_of(root->out.punt[0]).message, Message::kDatagram);
      EXPECT_TRUE(std::ranges::equal(bytes_of(root->out.punt[0]), row.datagram)) << "unchanged";
    }
    if (row.events == 1) {
      rte_mbuf* m = root->out.punt[0];
      EXPECT_EQ(meta_of(m).message, Message::kRelayed);
      EXPECT_EQ(meta_of(m).remote, row.from) << "where it came from, not where it goes";
      ASSERT_EQ(bytes_of(m).size(), 11u);
      EXPECT_TRUE(std::ranges::equal(bytes_of(m).first(5), Bytes(row.datagram).subspan(13, 5)));
      EXPECT_TRUE(std::ranges::equal(bytes_of(m).subspan(5, 5), Bytes(row.datagram).subspan(8, 5)));
      EXPECT_EQ(bytes_of(m)[10], row.datagram[wire::kFlagsOffset] & wire::kHopsMask);
    }
    if (row.drop != Drop::kNone) {
      EXPECT_EQ(root->dropped(row.drop), 1u);
    }
    EXPECT_EQ(total(root->drops), row.drop != Drop::kNone ? 1u : 0u);
    release(root->out);
  }
}

TEST_F(RelayTest, ABurstKeepsItsOrderAndOursGoOn) {
  auto root = make_root();
  rte_mbuf* burst[FastPath::kBurst];
  for (unsigned i = 0; i < FastPath::kBurst; ++i) {
    ByteVector d = i % 4 == 3 ? head(kA, kRoot) : head(i % 4 == 1 ? kC : kA, kB);
    d[wire::kFlagsOffset] &= static_cast<std::uint8_t>(~wire::kFlagFragmented);
    d[40] = static_cast<std::uint8_t>(i);
    burst[i] = mbuf_of(d, pools().wire);
    meta_of(burst[i]).remote = kEndA;
    meta_of(burst[i]).socket = kSocket;
  }
  root->fast->inbound(burst, FastPath::kBurst, root->out, root->drops);
  EXPECT_EQ(root->out.transmits, 48u);
  EXPECT_EQ(root->dropped(Drop::kMac), 16u) << "ours: not authentic";
  unsigned expected = 0;
  for (unsigned i = 0; i < root->out.transmits; ++i, ++expected) {
    if (expected % 4 == 3) ++expected;
    EXPECT_EQ(bytes_of(root->out.transmit[i])[40], expected);
  }
  release(root->out);
}

TEST_F(RelayTest, ControlHearsOfAPairOnce) {
  auto root = make_root();
  for (int i = 0; i < 100; ++i) feed(*root, head(kA, kB));
  EXPECT_EQ(root->out.transmits, 100u);
  EXPECT_EQ(root->out.punts, 1u);
  release(root->out);
}

TEST_F(RelayTest, PairsHaveARate) {
  auto root = make_root();
  for (std::uint64_t i = 0; i < 200; ++i) {
    root->publisher.apply(at(wire::Address{0x5500000000 + i}, kEndA));
    feed(*root, head(wire::Address{0x5500000000 + i}, kB));
  }
  EXPECT_EQ(root->out.transmits, 200u);
  EXPECT_GE(root->out.punts, 8u);
  EXPECT_LT(root->out.punts, 100u) << "the clock of a turn stands still";
  release(root->out);
}

/// U3, P9: nobody takes more than his share, whoever he says he is.
TEST_F(RelayTest, ASourceHasARate) {
  RelayOptions few;
  few.per_endpoint = {1, 10};
  auto root = make_root(few);
  for (std::uint64_t i = 0; i < 50; ++i) feed(*root, head(wire::Address{0x5500000000 + i}, kB));
  EXPECT_EQ(root->out.transmits, 10u) << "of one endpoint";
  EXPECT_EQ(root->dropped(Drop::kRelayRate), 40u);
  feed(*root, head(kA, kB), kEndC);
  EXPECT_EQ(root->out.transmits, 11u) << "another one is not concerned";
  release(root->out);
}

TEST_F(RelayTest, APrefixHasARate) {
  RelayOptions few;
  few.per_prefix = {1, 10};
  auto root = make_root(few);
  for (std::uint16_t port = 1; port <= 50; ++port)
    feed(*root, fragment(kB), wire::Endpoint::v4(0xc0000200u + port, port));
  EXPECT_EQ(root->out.transmits, 10u) << "of one /24";
  EXPECT_EQ(root->dropped(Drop::kRelayRate), 40u);
  feed(*root, fragment(kB), wire::Endpoint::v4(0xc0000301, 1));
  EXPECT_EQ(root->out.transmits, 11u) << "another network is not concerned";
  release(root->out);
}

TEST(RelayOptionsTest, WorkersShareAPrefixButNoEndpoint) {
  RelayOptions options;
  options.set_rate(1'000);
  options.share_among(2);
  EXPECT_EQ(options.per_endpoint.per_second, 1'000u) << "each is one worker's";
  EXPECT_EQ(options.per_prefix.per_second, 2'000u);
  options.share_among(15);
  EXPECT_EQ(options.per_prefix.per_second, 1'000u) << "it may be one endpoint";
  options.set_rate(0);
  options.share_among(2);
  EXPECT_EQ(options.per_prefix.per_second, 0u) << "no limit";
}

TEST(TokenBucketTest, TokensComeBackWithTime) {
  const Rate rate{1'000, 5};
  TokenBucket bucket;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(rate, 100)) << "a new one is full";
  EXPECT_FALSE(bucket.take(rate, 100));
  EXPECT_TRUE(bucket.take(rate, 101));
  EXPECT_FALSE(bucket.take(rate, 101));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(bucket.take(rate, 1'000'000));
  EXPECT_FALSE(bucket.take(rate, 1'000'000)) << "never more than the burst";
}

TEST(PairTableTest, RemembersAndForgets) {
  PairTable table(16, 100);
  EXPECT_TRUE(table.due(0x1234567890, 5));
  table.note(0x1234567890, 5);
  EXPECT_FALSE(table.due(0x1234567890, 104));
  EXPECT_TRUE(table.due(0x1234567890, 105));
  for (std::uint64_t i = 1; i <= 4; ++i)
    table.note((i << 40) | 0x1234567890, 50 + static_cast<Millis>(i));
  EXPECT_TRUE(table.due(0x1234567890, 60)) << "the oldest gave way";
}

}  // namespace
}  // namespace orrery::dataplane::test
