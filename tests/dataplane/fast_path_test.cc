// The stages of two nodes back to back, without ports: frames in at one come out at the other.
#include "dataplane/fast_path.h"

#include <gtest/gtest.h>

#include "fixture.h"
#include "wire/verbs/frame.h"

namespace orrery::dataplane::test {
namespace {

class FastPathTest : public Dataplane, public ::testing::WithParamInterface<wire::Suite> {
 protected:
  [[nodiscard]] End make_a() const { return End("path_a", kA, kB, kEndB, GetParam()); }

  [[nodiscard]] End make_b() const { return End("path_b", kB, kA, kEndA, GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Suites, FastPathTest,
                         ::testing::Values(wire::Suite::kSalsaPoly, wire::Suite::kAesGmacSiv),
                         [](const auto& i) {
                           return i.param == wire::Suite::kSalsaPoly ? "salsa" : "aes";
                         });

const wire::Mac kMacA = wire::mac_of(kA, kNetwork);
const wire::Mac kMacB = wire::mac_of(kB, kNetwork);
const wire::Mac kStation{0x3a0000000001};

fib::Network bridged(const End& end, wire::Address bridge) {
  fib::Network n = end.network();
  n.active_bridge = bridge == end.self;
  n.active_bridges = {bridge};
  return n;
}

/// What A makes of a frame to B, as raw datagrams.
std::vector<ByteVector> datagrams_of(End a, std::size_t payload, wire::Mac source = kMacA) {
  if (source != kMacA) a.publisher.apply(bridged(a, kA));
  rte_mbuf* m = mbuf_of(ethernet(kMacB, source, 0x0800, payload), pools().frame);
  a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
  std::vector<ByteVector> datagrams;
  for (unsigned i = 0; i < a.out.transmits; ++i) {
    EXPECT_EQ(meta_of(a.out.transmit[i]).remote, kEndB);
    const Bytes b = bytes_of(a.out.transmit[i]);
    datagrams.emplace_back(b.begin(), b.end());
  }
  EXPECT_EQ(punts_of(a.out), 0u);
  release(a.out);
  return datagrams;
}

void feed(End& end, const ByteVector& datagram) {
  rte_mbuf* m = mbuf_of(datagram, pools().wire);
  meta_of(m).remote = end.remote;
  meta_of(m).socket = kSocket;
  end.fast->inbound(&m, 1, end.out, end.drops);
}

TEST_P(FastPathTest, FramesComeOutAsTheyWentIn) {
  for (const std::size_t payload : {1u, 46u, 60u, 500u, 1386u, 1400u, 2800u, 3600u, 9800u}) {
    const auto datagrams = datagrams_of(make_a(), payload);
    ASSERT_FALSE(datagrams.empty()) << payload;
    if (datagrams.size() > 1) {
      for (const auto& d : datagrams)
        EXPECT_LE(datagrams[0].size() - d.size(), datagrams.size()) << "equal sizes";
      EXPECT_LE(datagrams[0].size(), wire::kDefaultUdpPayload);
    }
    End b = make_b();
    for (const auto& d : datagrams) feed(b, d);
    ASSERT_EQ(b.out.delivers, 1u) << payload;
    EXPECT_TRUE(
        std::ranges::equal(bytes_of(b.out.deliver[0]), ethernet(kMacB, kMacA, 0x0800, payload)))
        << payload;
    EXPECT_EQ(meta_of(b.out.deliver[0]).network, kNetwork.value);
    release(b.out);
  }
}

TEST_P(FastPathTest, FragmentsInAnyOrderAndTwice) {
  auto datagrams = datagrams_of(make_a(), 5000);
  ASSERT_EQ(datagrams.size(), 4u);
  std::swap(datagrams[0], datagrams[3]);
  End b = make_b();
  for (std::size_t i = 0; i < 3; ++i) {
    feed(b, datagrams[i]);
    feed(b, datagrams[i]);
  }
  EXPECT_EQ(b.dropped(Drop::kFragmentDuplicate), 3u);
  EXPECT_EQ(b.out.delivers, 0u);
  feed(b, datagrams[3]);
  EXPECT_EQ(b.out.delivers, 1u);
  release(b.out);
}

TEST_P(FastPathTest, OneFlippedBitIsADropAndNothingElse) {
  const auto datagrams = datagrams_of(make_a(), 300);
  ASSERT_EQ(datagrams.size(), 1u);
  std::uint64_t wrong = 0;
  End b = make_b();
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
  release(b.out);
}

TEST_P(FastPathTest, WhatIsNotKnownIsPuntedUnchanged) {
  const auto datagrams = datagrams_of(make_a(), 300);
  {
    End b = make_b();
    b.publisher.apply(fib::RemovePeer{kA});
    feed(b, datagrams[0]);
    ASSERT_EQ(b.out.punts, 1u);
    EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kDatagram);
    EXPECT_TRUE(std::ranges::equal(bytes_of(b.out.punt[0]), datagrams[0]));
    release(b.out);
  }
  End b = make_b();
  fib::Member refused = b.member();
  refused.allowed = false;
  b.publisher.apply(refused);
  feed(b, datagrams[0]);
  ASSERT_EQ(b.out.punts, 1u) << "the gate is control's business";
  EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kAuthenticated);
  EXPECT_EQ(rte_pktmbuf_mtod(b.out.punt[0], const std::uint8_t*)[wire::kVerbOffset], 0x06);
  release(b.out);
  ByteVector other = datagrams[0];
  other[wire::kDestinationOffset] ^= 1;
  feed(b, other);
  EXPECT_EQ(b.out.punts, 1u) << "for somebody else: relay";
  release(b.out);
  ByteVector hello = datagrams[0];
  hello[wire::kFlagsOffset] = 0;
  feed(b, hello);
  EXPECT_EQ(b.out.punts, 1u) << "cipher 0";
  release(b.out);
}

TEST_P(FastPathTest, ForeignSourcesNeedABridge) {
  const auto datagrams = datagrams_of(make_a(), 200, kStation);
  ASSERT_EQ(datagrams.size(), 1u);
  End b = make_b();
  feed(b, datagrams[0]);
  EXPECT_EQ(b.dropped(Drop::kSourceMac), 1u) << "the sender is no active bridge";
  ASSERT_EQ(b.out.punts, 1u) << "heard from A";
  EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kReceived);
  release(b.out);
  b.publisher.apply(bridged(b, kA));
  fib::Member bridge = b.member();
  bridge.active_bridge = true;
  b.publisher.apply(bridge);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.out.delivers, 1u);
  ASSERT_EQ(b.out.punts, 1u) << "a station to learn";
  rte_mbuf* event = b.out.punt[0];
  EXPECT_EQ(meta_of(event).message, Message::kLearned);
  EXPECT_EQ(meta_of(event).network, kNetwork.value);
  EXPECT_EQ(wire::Mac::load(bytes_of(event).data()), kStation);
  EXPECT_EQ(bytes_of(event).size(), 11u);
  release(b.out);
  b.publisher.tick(b.fast->now());
  b.publisher.apply(fib::BridgeRoute{kNetwork, kStation, kA});
  feed(b, datagrams[0]);
  EXPECT_EQ(b.out.delivers, 1u);
  EXPECT_EQ(b.out.punts, 0u) << "a known station is no event";
  release(b.out);
  b.publisher.tick(b.fast->now() - 2'000);
  b.publisher.apply(fib::BridgeRoute{kNetwork, kStation, kA});
  feed(b, datagrams[0]);
  ASSERT_EQ(b.out.punts, 1u) << "but when it was learned a while ago: that it is still there";
  EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kLearned);
  release(b.out);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.out.punts, 0u) << "once a minute";
  release(b.out);
}

/// An IPv4 packet without a right checksum in a frame of A's station to B: a SYN with an MSS of
/// 1460, or a datagram that may not be fragmented.
ByteVector from_station(bool syn, std::size_t payload) {
  ByteVector frame = ethernet(kMacB, kStation, 0x0800, payload);
  std::uint8_t* ip = frame.data() + 14;
  std::fill_n(ip, 44, std::uint8_t{0});
  ip[0] = 0x45;
  store_be16(ip + 2, static_cast<std::uint16_t>(payload));
  ip[6] = 0x40;
  ip[9] = syn ? 6 : 17;
  store_be32(ip + 12, 0x0a000001);
  store_be32(ip + 16, 0x0a000002);
  if (syn) {
    ip[32] = 0x60;
    ip[33] = 2;
    store_be32(ip + 40, 0x020405b4);
  }
  return frame;
}

TEST_P(FastPathTest, SynsGetTheMssThatIsWorthSending) {
  for (const bool clamp : {true, false}) {
    FastPathOptions options;
    options.self = kA;
    options.worker = 1;
    options.clamp_mss = clamp;
    End a = make_a();
    FastPath fast(a.tables, pools(), options);
    fast.online();
    a.publisher.apply(bridged(a, kA));
    rte_mbuf* m = mbuf_of(from_station(true, 44), pools().frame);
    fast.outbound(kNetwork, &m, 1, a.out, a.drops);
    ASSERT_EQ(a.out.transmits, 1u);
    End b = make_b();
    b.publisher.apply(bridged(b, kA));
    fib::Member bridge = b.member();
    bridge.active_bridge = true;
    b.publisher.apply(bridge);
    const Bytes datagram = bytes_of(a.out.transmit[0]);
    feed(b, {datagram.begin(), datagram.end()});
    ASSERT_EQ(b.out.delivers, 1u);
    const Bytes arrived = bytes_of(b.out.deliver[0]);
    // One datagram of 1,432 bytes: 28 of header, 23 of EXT_FRAME, 40 of IP and TCP.
    EXPECT_EQ(load_be16(arrived.data() + 14 + 42), clamp ? 1'341 : 1'460);
    release(a.out);
    release(b.out);
    fast.offline();
  }
}

TEST_P(FastPathTest, WhoSendsTooMuchIsTold) {
  End a = make_a();
  fib::Network network = bridged(a, kA);
  network.mtu = 2'800;
  a.publisher.apply(network);
  const auto send = [&](const ByteVector& frame) {
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
  };
  send(from_station(false, 2'800));
  EXPECT_EQ(a.out.delivers, 0u);
  EXPECT_GE(a.out.transmits, 1u);
  release(a.out);
  send(from_station(false, 2'801));
  EXPECT_EQ(a.dropped(Drop::kTooBig), 1u);
  EXPECT_EQ(a.out.transmits, 0u);
  EXPECT_EQ(a.out.copies, 1u) << "for the ledger";
  ASSERT_EQ(a.out.delivers, 1u);
  EXPECT_EQ(meta_of(a.out.deliver[0]).network, kNetwork.value);
  const Bytes answer = bytes_of(a.out.deliver[0]);
  EXPECT_EQ(wire::Mac::load(answer.data()), kStation);
  EXPECT_EQ(answer[14 + 20], 3);
  EXPECT_EQ(load_be16(answer.data() + 14 + 26), 2'800);
  release(a.out);
  ByteVector may_be_cut = from_station(false, 5'000);
  may_be_cut[14 + 6] = 0;
  send(may_be_cut);
  EXPECT_GE(a.out.transmits, 1u) << "passes as it always did";
  release(a.out);
  unsigned answers = 0;
  for (int i = 0; i < 1'000; ++i) {
    send(from_station(false, 2'801));
    answers += a.out.delivers;
    release(a.out);
  }
  EXPECT_LE(answers, 40u) << "a hundred a second, some at once";
  EXPECT_EQ(a.dropped(Drop::kTooBig), 1'001u);
}

TEST_P(FastPathTest, RulesDecideBothWays) {
  const auto datagrams = datagrams_of(make_a(), 200);
  End b = make_b();
  fib::Network strict = b.network();
  strict.rules = {wire::Rule{static_cast<std::uint8_t>(wire::RuleType::kActionDrop), {}}};
  b.publisher.apply(strict);
  feed(b, datagrams[0]);
  EXPECT_EQ(b.dropped(Drop::kRules), 1u);
  EXPECT_EQ(b.out.punts, 1u) << "refused, but heard: control keeps the path alive";
  release(b.out);
  rte_mbuf* m = mbuf_of(b.frame(100), pools().frame);
  b.fast->outbound(kNetwork, &m, 1, b.out, b.drops);
  EXPECT_EQ(b.dropped(Drop::kRules), 2u);
  release(b.out);
}

TEST_P(FastPathTest, MembersKeepToTheirLimits) {
  // The clock of a turn stands still, so a bucket holds what it holds: 12,000 bytes of frames.
  constexpr unsigned kFrames = 20, kFit = 12'000 / 1'014;
  std::vector<ByteVector> datagrams;
  {
    End a = make_a();
    for (unsigned i = 0; i < kFrames; ++i) {
      rte_mbuf* m = mbuf_of(a.frame(1'000), pools().frame);
      a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
      ASSERT_EQ(a.out.transmits, 1u);
      const Bytes sent = bytes_of(a.out.transmit[0]);
      datagrams.emplace_back(sent.begin(), sent.end());
      release(a.out);
    }
  }
  End a = make_a();
  const auto send = [&](unsigned frames) {
    unsigned sent = 0;
    for (unsigned i = 0; i < frames; ++i) {
      rte_mbuf* m = mbuf_of(a.frame(1'000), pools().frame);
      a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
      sent += a.out.transmits;
      release(a.out);
    }
    return sent;
  };
  fib::Member limited = a.member();
  limited.rate_out = 8;  // kbit/s
  limited.rate_in = 1;   // that of the other way counts for nothing here
  a.publisher.apply(limited);
  EXPECT_EQ(send(kFrames), kFit);
  EXPECT_EQ(a.dropped(Drop::kMemberRate), kFrames - kFit);
  limited.tags = {{1, 1}};
  a.publisher.apply(limited);
  EXPECT_EQ(send(1), 0u) << "a new record goes on where the last one was";
  limited.rate_out = 0;
  a.publisher.apply(limited);
  EXPECT_EQ(send(kFrames), kFrames);
  EXPECT_EQ(a.publisher.traffic_of(kNetwork, kB).tx_packets, kFit + kFrames) << "what was sent";

  End b = make_b();
  fib::Member sender = b.member();
  sender.rate_in = 8;
  b.publisher.apply(sender);
  unsigned delivered = 0;
  for (const ByteVector& datagram : datagrams) {
    feed(b, datagram);
    delivered += b.out.delivers;
    release(b.out);
  }
  EXPECT_EQ(delivered, kFit);
  EXPECT_EQ(b.dropped(Drop::kMemberRate), kFrames - kFit);
}

TEST_P(FastPathTest, OutboundPuntsWhatControlMustSee) {
  End a = make_a();
  const auto punted = [&](wire::Mac destination) {
    rte_mbuf* m = mbuf_of(ethernet(destination, kMacA, 0x0800, 100), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    const bool yes = a.out.punts == 1 && meta_of(a.out.punt[0]).message == Message::kFrame;
    release(a.out);
    return yes;
  };
  EXPECT_TRUE(punted(wire::kBroadcastMac));
  EXPECT_TRUE(punted(wire::mac_of(wire::Address{0x3344556677}, kNetwork))) << "unknown member";
  EXPECT_TRUE(punted(wire::Mac{0x3a0000000009})) << "unknown station";
  EXPECT_FALSE(punted(kMacB));
}

TEST_P(FastPathTest, EventsHaveARate) {
  End a = make_a();
  fib::Member stale = a.member();
  stale.credentials_pushed = false;
  a.publisher.apply(stale);
  unsigned events = 0;
  constexpr unsigned kFrames = 500;
  for (unsigned i = 0; i < kFrames; ++i) {
    rte_mbuf* m = mbuf_of(a.frame(100), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_EQ(a.out.transmits, 1u) << "the frame goes on";
    events += a.out.punts;
    release(a.out);
  }
  EXPECT_GE(events, 1u);
  EXPECT_LT(events, kFrames / 10) << "the clock of a turn stands still";
}

TEST_P(FastPathTest, WhoWasPutOutIsSentNothing) {
  End a = make_a();
  fib::Member out = a.member();
  out.revoked = true;
  a.publisher.apply(out);
  rte_mbuf* m = mbuf_of(a.frame(100), pools().frame);
  a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
  EXPECT_EQ(a.out.transmits, 0u);
  ASSERT_EQ(a.out.punts, 1u) << "control may find out whether it is in again";
  EXPECT_EQ(meta_of(a.out.punt[0]).message, Message::kStale);
  EXPECT_EQ(a.dropped(Drop::kRevoked), 1u);
  release(a.out);
}

TEST_P(FastPathTest, FramesToAPeerAreToldOnceASecond) {
  End a = make_a();
  unsigned told = 0;
  for (int i = 0; i < 10; ++i) {
    rte_mbuf* m = mbuf_of(a.frame(100), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_EQ(a.out.transmits, 1u) << "the frame goes on";
    for (unsigned k = 0; k < a.out.punts; ++k) {
      ASSERT_EQ(meta_of(a.out.punt[k]).message, Message::kSent);
      Reader r(bytes_of(a.out.punt[k]));
      EXPECT_EQ(wire::Address{r.u40()}, kB);
      ++told;
    }
    release(a.out);
  }
  EXPECT_EQ(told, 1u);
}

TEST_P(FastPathTest, DatagramsOfThisNodeItselfAreNoFrames) {
  for (const bool refuse : {true, false}) {
    FastPathOptions options;
    options.self = kA;
    options.worker = 1;
    options.refuse_nested = refuse;
    End a = make_a();
    FastPath fast(a.tables, pools(), options);
    fast.online();
    a.publisher.apply(bridged(a, kA));
    ByteVector frame = from_station(false, 100);
    // [14] Ethernet, [20] IP, [8] UDP, [8] id, [5] destination, [5] source
    std::uint8_t* source = frame.data() + 14 + 20 + 8 + wire::kSourceOffset;
    source[0] = static_cast<std::uint8_t>(kA.value >> 32);
    store_be32(source + 1, static_cast<std::uint32_t>(kA.value));
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    fast.outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_EQ(a.out.transmits, refuse ? 0u : 1u);
    EXPECT_EQ(a.dropped(Drop::kNested), refuse ? 1u : 0u);
    release(a.out);
    fast.offline();
  }
}

TEST_P(FastPathTest, PacketsOfFullSizeAreToldOnce) {
  End a = make_a();
  const auto told = [&](std::size_t payload) {
    rte_mbuf* m = mbuf_of(a.frame(payload), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_NE(a.out.transmits, 0u) << "the frame goes on";
    bool event = false;
    for (unsigned i = 0; i < a.out.punts; ++i) {
      if (meta_of(a.out.punt[i]).message != Message::kFullSize) continue;
      event = true;
      Reader r(bytes_of(a.out.punt[i]));
      EXPECT_EQ(wire::Address{r.u40()}, kB);
    }
    EXPECT_EQ(punts_of(a.out), 0u);
    release(a.out);
    return event;
  };
  EXPECT_FALSE(told(1'000));
  EXPECT_TRUE(told(1'300));
  EXPECT_FALSE(told(1'300));
  EXPECT_FALSE(told(2'800));
  fib::Peer moved = a.peer();
  moved.path.remote.port = 1;
  a.publisher.apply(moved);
  EXPECT_TRUE(told(2'800)) << "another path may carry something else";
}

TEST_P(FastPathTest, DatagramsHaveTheSizeOfTheirPath) {
  for (const std::uint16_t mtu :
       std::initializer_list<std::uint16_t>{548, 1'252, 1'432, 1'472, 2'772, 8'972}) {
    End a = make_a();
    End b = make_b();
    fib::Peer peer = a.peer();
    peer.mtu = mtu;
    a.publisher.apply(peer);
    for (const std::size_t payload : {500u, 1'200u, 1'420u, 2'800u, 3'000u}) {
      rte_mbuf* m = mbuf_of(a.frame(payload), pools().frame);
      a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
      const std::size_t packet = wire::kHeaderSize + wire::kFrameHead + payload;
      EXPECT_EQ(a.out.transmits, wire::plan_fragments(packet, mtu).pieces) << mtu << " " << payload;
      unsigned delivered = 0;
      for (unsigned i = 0; i < a.out.transmits; ++i) {
        const Bytes datagram = bytes_of(a.out.transmit[i]);
        EXPECT_LE(datagram.size(), mtu);
        feed(b, {datagram.begin(), datagram.end()});
        delivered += b.out.delivers;
        release(b.out);
      }
      EXPECT_EQ(delivered, 1u) << mtu << " " << payload;
      release(a.out);
    }
  }
}

TEST_P(FastPathTest, SharedFlowsKeepToOnePathEach) {
  End a = make_a();
  const fib::SharedPath paths[] = {{{1, kEndB}, 1'432}, {{2, kEndA}, 600}};
  fib::Peer peer = a.peer();
  peer.shared = true;
  a.publisher.apply(fib::PeerSpread{
      kB, std::make_shared<const fib::Spread>(std::vector(std::begin(paths), std::end(paths)))});
  a.publisher.apply(peer);
  // UDP over IPv4 from so many ports, each several times.
  const auto path_of = [&](std::uint16_t port) {
    ByteVector frame = ethernet(kMacB, kMacA, 0x0800, 800);
    std::uint8_t* ip = frame.data() + 14;
    std::fill_n(ip, 28, std::uint8_t{0});
    ip[0] = 0x45;
    store_be16(ip + 2, 800);
    ip[9] = 17;
    store_be16(ip + 20, port);
    store_be16(ip + 22, 53);
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_GE(a.out.transmits, 1u);
    const fib::PathKey key{meta_of(a.out.transmit[0]).socket, meta_of(a.out.transmit[0]).remote};
    for (unsigned i = 0; i < a.out.transmits; ++i) {
      EXPECT_EQ(meta_of(a.out.transmit[i]).socket, key.socket) << "pieces stay together";
      EXPECT_LE(bytes_of(a.out.transmit[i]).size(), key.socket == 1 ? 1'432u : 600u);
    }
    release(a.out);
    return key;
  };
  unsigned first = 0;
  constexpr std::uint16_t kFlows = 64;
  std::vector<fib::PathKey> taken;
  for (std::uint16_t port = 0; port < kFlows; ++port) {
    taken.push_back(path_of(port));
    EXPECT_TRUE(taken.back() == paths[0].key || taken.back() == paths[1].key);
    first += taken.back() == paths[0].key ? 1 : 0;
  }
  EXPECT_GT(first, kFlows / 8u);
  EXPECT_LT(first, kFlows * 7 / 8u);
  for (std::uint16_t port = 0; port < kFlows; ++port) EXPECT_EQ(path_of(port), taken[port]);

  // Alone again: all take the peer's path. One that says it is shared and is not takes it, too.
  a.publisher.apply(fib::PeerSpread{kB, nullptr});
  for (std::uint16_t port = 0; port < kFlows; ++port) EXPECT_EQ(path_of(port), paths[0].key);
}

TEST_P(FastPathTest, FragmentsOfEveryCipherComeBackTogether) {
  // A trusted path larger than the MTU: control judges it, whole.
  auto datagrams = datagrams_of(make_a(), 2800);
  ASSERT_EQ(datagrams.size(), 2u);
  datagrams[0][wire::kFlagsOffset] =
      static_cast<std::uint8_t>((datagrams[0][wire::kFlagsOffset] & ~0x38) | 2 << 3);
  End b = make_b();
  for (const auto& d : datagrams) feed(b, d);
  ASSERT_EQ(b.out.punts, 1u);
  EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kReassembled);
  EXPECT_EQ(bytes_of(b.out.punt[0]).size(), wire::kHeaderSize + 10 + 2800);
  release(b.out);
}

TEST_P(FastPathTest, RetiredRecordsAreFreedOnlyAfterAQuiescentState) {
  End a = make_a();
  fib::Peer peer = a.peer();
  const PeerRecord* held = a.tables.peers.find({kB.value});
  ASSERT_NE(held, nullptr);
  const auto secret = held->peer.secret;
  for (int i = 0; i < 100; ++i) {
    peer.path = {1, wire::Endpoint::v4(0x0a000001, static_cast<std::uint16_t>(i + 1))};
    a.publisher.apply(peer);
  }
  EXPECT_EQ(held->peer.secret, secret) << "still readable: this worker was not quiescent yet";
  a.fast->quiescent();
  a.publisher.reclaim();
  EXPECT_EQ(a.tables.peers.find({kB.value})->peer.path.remote.port, 100);
}

}  // namespace
}  // namespace orrery::dataplane::test
