// The worker's fast path of two nodes back to back, without ports: frames in at one come out at the
// other.
#include "dataplane/fast_path.h"

#include <gtest/gtest.h>

#include "crypto/curve.h"
#include "wire/fragment.h"

namespace orrery::dataplane {
namespace {

constexpr std::uint64_t kNetwork = 0x8056c2e21c000001;
constexpr wire::Address kA{0x1122334455};
constexpr wire::Address kB{0x2233445566};

Pools& pools() {
  static Pools kPools = [] {
    crypto::init();
    EalOptions options;
    options.program = "dataplane_test";
    options.file_prefix = "orrerytest" + std::to_string(::getpid());
    options.memory_mib = 192;
    options.wire_mbufs = 8191;
    options.frame_mbufs = 1023;
    auto started = start_eal(options);
    if (!started) throw std::runtime_error(started.error().text);
    table_hash_key() = {11, 12};
    return *started;
  }();
  return kPools;
}

unsigned in_use() {
  return rte_mempool_in_use_count(pools().wire) + rte_mempool_in_use_count(pools().frame);
}

/// One node's tables and fast path. RCU slots and tables are per node.
struct End {
  End(wire::Address self_, wire::Address other_, wire::Suite suite, unsigned lane)
      : self(self_), other(other_), publisher(tables) {
    const auto opened = tables.open();
    if (!opened) throw std::runtime_error(opened.error().text);
    FastPathOptions options;
    options.self = self;
    options.nonce_lane = lane;
    path = std::make_unique<FastPath>(tables, pools(), options);
    path->online();
    fib::Peer peer;
    peer.address = other;
    for (std::size_t i = 0; i < peer.secret.size(); ++i)
      peer.secret[i] = static_cast<std::uint8_t>(i * 5 + 1);
    peer.suite = suite;
    peer.path = {1, *wire::parse_endpoint("192.0.2.9/9993")};
    peer.direct = true;
    publisher.apply(peer);
    network.id = wire::NetworkId{kNetwork};
    network.self = self;
    network.mac = wire::mac_of(self, network.id);
    network.rules.push_back(
        wire::Rule{static_cast<std::uint8_t>(wire::RuleType::kActionAccept), {}});
    publisher.apply(network);
    member.network = network.id;
    member.address = other;
    member.allowed = true;
    member.credentials_pushed = true;
    publisher.apply(member);
  }

  ~End() { path->offline(); }

  rte_mbuf* frame(wire::Mac destination, wire::Mac source, std::size_t payload) const {
    rte_mbuf* m = rte_pktmbuf_alloc(payload > 3700 ? pools().frame : pools().wire);
    meta_of(m) = {};
    auto* p = reinterpret_cast<std::uint8_t*>(
        rte_pktmbuf_append(m, static_cast<std::uint16_t>(14 + payload)));
    destination.store(p);
    source.store(p + 6);
    store_be16(p + 12, 0x0800);
    for (std::size_t i = 0; i < payload; ++i)
      p[14 + i] = static_cast<std::uint8_t>(i * 3 + payload);
    return m;
  }

  [[nodiscard]] wire::Mac their_mac() const { return wire::mac_of(other, network.id); }

  wire::Address self, other;
  Tables tables;
  Publisher publisher;
  std::unique_ptr<FastPath> path;
  fib::Network network;
  fib::Member member;
  Outcome out;
  std::uint64_t drops[static_cast<std::size_t>(Drop::kCount)] = {};

  [[nodiscard]] std::uint64_t dropped(Drop d) const { return drops[static_cast<std::size_t>(d)]; }

  void clear() {
    for (unsigned i = 0; i < out.delivers; ++i) rte_pktmbuf_free(out.deliver[i]);
    for (unsigned i = 0; i < out.transmits; ++i) rte_pktmbuf_free(out.transmit[i]);
    for (unsigned i = 0; i < out.punts; ++i) rte_pktmbuf_free(out.punt[i]);
    out.delivers = out.transmits = out.punts = 0;
  }
};

/// A and B share a process, so only one pair of tables (they have names) lives at a time.
class FastPathTest : public testing::TestWithParam<wire::Suite> {
 protected:
  void SetUp() override {
    (void)pools();
    before_ = in_use();
  }

  void TearDown() override { EXPECT_EQ(in_use(), before_) << "packet buffers leaked"; }

  unsigned before_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Suites, FastPathTest,
                         testing::Values(wire::Suite::kSalsaPoly, wire::Suite::kAesGmacSiv));

/// What `from` makes of a frame to its peer, as raw datagrams.
std::vector<ByteVector> datagrams_of(wire::Suite suite, std::size_t payload, bool bridged = false) {
  End a(kA, kB, suite, 0);
  if (bridged) {
    a.network.active_bridge = true;
    a.network.active_bridges = {kA};
    a.publisher.apply(a.network);
  }
  const wire::Mac source = bridged ? wire::Mac{0x3a0000000001} : a.network.mac;
  rte_mbuf* m = a.frame(a.their_mac(), source, payload);
  a.path->outbound(a.network.id, &m, 1, a.out, a.drops);
  std::vector<ByteVector> datagrams;
  for (unsigned i = 0; i < a.out.transmits; ++i) {
    rte_mbuf* t = a.out.transmit[i];
    EXPECT_EQ(wire::to_string(meta_of(t).remote), "192.0.2.9/9993");
    const auto* p = rte_pktmbuf_mtod(t, const std::uint8_t*);
    datagrams.emplace_back(p, p + rte_pktmbuf_data_len(t));
  }
  EXPECT_EQ(a.out.punts, 0u);
  a.clear();
  return datagrams;
}

void feed(End& end, const ByteVector& datagram) {
  rte_mbuf* m = rte_pktmbuf_alloc(pools().wire);
  meta_of(m) = {};
  meta_of(m).remote = *wire::parse_endpoint("192.0.2.1/9993");
  meta_of(m).socket = 1;
  std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(datagram.size())), datagram.data(),
              datagram.size());
  end.path->inbound(&m, 1, end.out, end.drops);
}

TEST_P(FastPathTest, FramesComeOutAsTheyWentIn) {
  for (const std::size_t payload : {1u, 46u, 60u, 500u, 1386u, 1400u, 2800u, 3600u, 9800u}) {
    const auto datagrams = datagrams_of(GetParam(), payload);
    ASSERT_FALSE(datagrams.empty()) << payload;
    if (datagrams.size() > 1) {
      for (const auto& d : datagrams)
        EXPECT_LE(datagrams[0].size() - d.size(), datagrams.size()) << "equal sizes";
      EXPECT_LE(datagrams[0].size(), wire::kDefaultUdpPayload);
    }
    End b(kB, kA, GetParam(), 1);
    for (const auto& d : datagrams) feed(b, d);
    ASSERT_EQ(b.out.delivers, 1u) << payload;
    rte_mbuf* m = b.out.deliver[0];
    rte_mbuf* expected = b.frame(b.network.mac, b.their_mac(), payload);
    ASSERT_EQ(rte_pktmbuf_data_len(m), rte_pktmbuf_data_len(expected));
    EXPECT_EQ(std::memcmp(rte_pktmbuf_mtod(m, void*), rte_pktmbuf_mtod(expected, void*),
                          rte_pktmbuf_data_len(m)),
              0)
        << payload;
    EXPECT_EQ(meta_of(m).network, kNetwork);
    rte_pktmbuf_free(expected);
    b.clear();
  }
}

TEST_P(FastPathTest, FragmentsInAnyOrderAndTwice) {
  auto datagrams = datagrams_of(GetParam(), 5000);
  ASSERT_EQ(datagrams.size(), 4u);
  std::swap(datagrams[0], datagrams[3]);
  End b(kB, kA, GetParam(), 1);
  for (std::size_t i = 0; i < 3; ++i) {
    feed(b, datagrams[i]);
    feed(b, datagrams[i]);
  }
  EXPECT_EQ(b.dropped(Drop::kFragmentDuplicate), 3u);
  EXPECT_EQ(b.out.delivers, 0u);
  feed(b, datagrams[3]);
  EXPECT_EQ(b.out.delivers, 1u);
  b.clear();
}

TEST_P(FastPathTest, OneFlippedBitIsADropAndNothingElse) {
  const auto datagrams = datagrams_of(GetParam(), 300);
  ASSERT_EQ(datagrams.size(), 1u);
  std::uint64_t wrong = 0;
  End b(kB, kA, GetParam(), 1);
  for (std::size_t at : {0u, 7u, 19u, 26u, 27u, 40u, 200u}) {
    ByteVector broken = datagrams[0];
    broken[at] ^= 0x10;
    feed(b, broken);
    ++wrong;
    EXPECT_EQ(b.dropped(Drop::kMac), wrong) << at;
  }
  ByteVector hops = datagrams[0];
  hops[wire::kFlagsOffset] |= 3;
  feed(b, hops);
  EXPECT_EQ(b.out.delivers, 1u) << "hops may change";
  b.clear();
}

TEST_P(FastPathTest, WhatIsNotKnownIsPuntedUnchanged) {
  const auto datagrams = datagrams_of(GetParam(), 300);
  {
    End b(kB, kA, GetParam(), 1);
    b.publisher.apply(fib::RemovePeer{kA});
    feed(b, datagrams[0]);
    ASSERT_EQ(b.out.punts, 1u);
    EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kDatagram);
    EXPECT_EQ(std::memcmp(rte_pktmbuf_mtod(b.out.punt[0], void*), datagrams[0].data(),
                          datagrams[0].size()),
              0);
    b.clear();
  }
  End b(kB, kA, GetParam(), 1);
  b.member.allowed = false;
  b.publisher.apply(b.member);
  feed(b, datagrams[0]);
  ASSERT_EQ(b.out.punts, 1u) << "the gate is control's business";
  EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kAuthenticated);
  EXPECT_EQ(rte_pktmbuf_mtod(b.out.punt[0], const std::uint8_t*)[wire::kVerbOffset], 0x06);
  b.clear();
  ByteVector other = datagrams[0];
  other[wire::kDestinationOffset] ^= 1;
  feed(b, other);
  EXPECT_EQ(b.out.punts, 1u) << "for somebody else: relay";
  b.clear();
  ByteVector hello = datagrams[0];
  hello[wire::kFlagsOffset] = 0;
  feed(b, hello);
  EXPECT_EQ(b.out.punts, 1u) << "cipher 0";
  b.clear();
}

TEST_P(FastPathTest, ForeignSourcesNeedABridge) {
  const auto datagrams = datagrams_of(GetParam(), 200, true);
  ASSERT_EQ(datagrams.size(), 1u);
  End b(kB, kA, GetParam(), 1);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.dropped(Drop::kSourceMac), 1u) << "the sender is no active bridge";
  b.network.active_bridges = {kA};
  b.publisher.apply(b.network);
  b.member.active_bridge = true;
  b.publisher.apply(b.member);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.out.punts, 1u) << "a new station is learned by control";
  b.clear();
  b.publisher.apply(fib::BridgeRoute{b.network.id, wire::Mac{0x3a0000000001}, kA});
  feed(b, datagrams[0]);
  EXPECT_EQ(b.out.delivers, 1u);
  b.clear();
}

TEST_P(FastPathTest, RulesDecideBothWays) {
  const auto datagrams = datagrams_of(GetParam(), 200);
  End b(kB, kA, GetParam(), 1);
  b.network.rules = {wire::Rule{static_cast<std::uint8_t>(wire::RuleType::kActionDrop), {}}};
  b.publisher.apply(b.network);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.dropped(Drop::kRules), 1u);
  rte_mbuf* m = b.frame(b.their_mac(), b.network.mac, 100);
  b.path->outbound(b.network.id, &m, 1, b.out, b.drops);
  EXPECT_EQ(b.dropped(Drop::kRules), 2u);
  b.clear();
}

TEST_P(FastPathTest, OutboundPuntsWhatControlMustSee) {
  End a(kA, kB, GetParam(), 0);
  const auto punted = [&](wire::Mac destination, wire::Mac source) {
    rte_mbuf* m = a.frame(destination, source, 100);
    a.path->outbound(a.network.id, &m, 1, a.out, a.drops);
    const bool yes = a.out.punts == 1 && meta_of(a.out.punt[0]).message == Message::kFrame;
    a.clear();
    return yes;
  };
  EXPECT_TRUE(punted(wire::kBroadcastMac, a.network.mac));
  EXPECT_TRUE(punted(wire::mac_of(wire::Address{0x3344556677}, a.network.id), a.network.mac))
      << "unknown member";
  EXPECT_TRUE(punted(wire::Mac{0x3a0000000009}, a.network.mac)) << "unknown station";
  EXPECT_FALSE(punted(a.their_mac(), a.network.mac));
  a.member.credentials_pushed = false;
  a.publisher.apply(a.member);
  EXPECT_TRUE(punted(a.their_mac(), a.network.mac)) << "stale credentials";
}

TEST_P(FastPathTest, RetiredRecordsAreFreedOnlyAfterAQuiescentState) {
  End a(kA, kB, GetParam(), 0);
  fib::Peer peer;
  peer.address = kB;
  const PeerRecord* held = a.tables.peers.find({kB.value});
  ASSERT_NE(held, nullptr);
  const auto secret = held->peer.secret;
  for (int i = 0; i < 100; ++i) {
    peer.path = {1, wire::Endpoint::v4(0x0a000001, static_cast<std::uint16_t>(i + 1))};
    a.publisher.apply(peer);
  }
  EXPECT_EQ(held->peer.secret, secret) << "still readable: this worker was not quiescent yet";
  a.path->quiescent();
  a.publisher.reclaim();
  EXPECT_EQ(a.tables.peers.find({kB.value})->peer.path.remote.port, 100);
}

}  // namespace
}  // namespace orrery::dataplane
