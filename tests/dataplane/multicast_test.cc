// Multicast frames of the host to the members of their group, and those of others to the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "fixture.h"
#include "wire/header.h"
#include "wire/verbs/multicast.h"

namespace orrery::dataplane::test {
namespace {

const wire::Mac kGroupMac{0x01005e000001ULL};
const wire::Mac kStation{0x3a0000000001ULL};

wire::Address member_at(std::uint64_t i) {
  return wire::Address{0x6600000000 + i};
}

class MulticastTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    a_ = std::make_unique<End>("mcast_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
    join([](fib::Network&) {});
  }

  void TearDown() override {
    a_.reset();
    Dataplane::TearDown();
  }

  template <typename Change>
  void join(Change change) {
    fib::Network n = a_->network();
    n.multicast_limit = 32;
    change(n);
    a_->publisher.apply(n);
  }

  /// A member with a path, all under the secret of B.
  void add(wire::Address address) {
    fib::Peer p = a_->peer();
    p.address = address;
    p.path = {kSocket, wire::Endpoint::v4(static_cast<std::uint32_t>(address.value), 9993)};
    a_->publisher.apply(p);
    fib::Member m = a_->member();
    m.address = address;
    a_->publisher.apply(m);
  }

  void publish(const std::vector<wire::Address>& recipients, std::uint32_t limit = 32,
               std::uint32_t bridges = 0, wire::MulticastGroup group = {kGroupMac, 0}) {
    a_->publisher.apply(fib::Group{kNetwork, group, limit, bridges, recipients});
  }

  struct Sent {
    wire::Address to;
    ByteVector datagram;
  };

  /// What becomes of one frame of the host; punts stay in a_->out, all but the event that the group
  /// is used.
  std::vector<Sent> send(const ByteVector& frame) {
    std::vector<Sent> all;
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    std::uint64_t in = 1, out = 0;
    const std::uint64_t dropped = total(a_->drops);
    const auto take = [&] {
      Outcome& o = a_->out;
      in += o.copies;
      out += o.transmits + o.merged;
      for (unsigned i = 0; i < o.transmits; ++i) {
        const Bytes b = bytes_of(o.transmit[i]);
        all.push_back({wire::Address{(std::uint64_t{b[8]} << 32) | load_be32(b.data() + 9)},
                       ByteVector(b.begin(), b.end())});
        rte_pktmbuf_free(o.transmit[i]);
      }
      for (unsigned i = 0; i < o.punts; ++i) {
        ++out;
        if (meta_of(o.punt[i]).message == Message::kGroupUsed) {
          EXPECT_EQ(wire::Mac::load(bytes_of(o.punt[i]).data()), wire::Mac::load(frame.data()));
          ++used_;
          rte_pktmbuf_free(o.punt[i]);
        } else {
          punts_.push_back({meta_of(o.punt[i]).message,
                            ByteVector(bytes_of(o.punt[i]).begin(), bytes_of(o.punt[i]).end())});
          rte_pktmbuf_free(o.punt[i]);
        }
      }
      o.transmits = o.punts = o.merged = o.copies = 0;
    };
    a_->fast->outbound(kNetwork, &m, 1, a_->out, a_->drops);
    take();
    while (a_->fast->replicate(a_->out, a_->drops)) take();
    EXPECT_EQ(in, out + total(a_->drops) - dropped) << "the ledger";
    return all;
  }

  static ByteVector frame(std::size_t payload = 100, wire::Mac to = kGroupMac,
                          wire::Mac from = wire::mac_of(kA, kNetwork)) {
    return ethernet(to, from, 0x0800, payload);
  }

  /// Header and plaintext of a packet to `to`.
  static ByteVector opened(const Sent& sent) {
    ByteVector packet = sent.datagram;
    crypto::SharedSecret secret;
    for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i + 5);
    crypto::PeerKeys keys(secret);
    keys.expand();
    crypto::Armorer armorer;
    crypto::DearmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), &keys, false};
    armorer.dearmor({&job, 1});
    EXPECT_TRUE(job.ok);
    return packet;
  }

  struct Punt {
    Message message;
    ByteVector bytes;
  };

  std::unique_ptr<End> a_;
  std::vector<Punt> punts_;
  unsigned used_ = 0;
};

TEST_F(MulticastTest, EachRecipientGetsAPacketAsControlWouldSendIt) {
  std::vector<wire::Address> members;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    members.push_back(member_at(i));
    add(members.back());
  }
  publish(members);
  const auto all = send(frame());
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(used_, 1u);
  std::vector<std::uint64_t> ids;
  for (const Sent& one : all) {
    const ByteVector packet = opened(one);
    EXPECT_EQ(packet[wire::kVerbOffset], 0x0e);
    // Control's own encoder is the definition: no gather limit, our MAC is implied.
    wire::MulticastFrame expected;
    expected.network = kNetwork;
    expected.group = {kGroupMac, 0};
    expected.ethertype = 0x0800;
    const ByteVector ours = frame();
    expected.payload = Bytes(ours).subspan(14);
    ByteVector payload(21 + 100);
    Writer w(payload);
    wire::encode_multicast_frame(w, expected);
    EXPECT_TRUE(std::ranges::equal(Bytes(packet).subspan(wire::kHeaderSize), payload));
    // And as bytes: [8] network, [1] flags, [6] MAC, [4] ADI, [2] ethertype, payload
    EXPECT_EQ(to_hex(Bytes(packet).subspan(wire::kHeaderSize, 21)),
              "8056c2e21c0000010001005e000001000000000800");
    ids.push_back(load_be64(one.datagram.data()));
  }
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end()) << "an id of its own for each";
  EXPECT_TRUE(punts_.empty());
  (void)send(frame());
  EXPECT_EQ(used_, 1u) << "control hears of it now and then";
}

TEST_F(MulticastTest, AStationsMacIsSaid) {
  join([](fib::Network& n) {
    n.active_bridge = true;
    n.active_bridges = {kA};
  });
  add(member_at(1));
  publish({member_at(1)});
  const auto all = send(frame(100, kGroupMac, kStation));
  ASSERT_EQ(all.size(), 1u);
  const ByteVector packet = opened(all[0]);
  const auto decoded = wire::decode_multicast_frame(Bytes(packet).subspan(wire::kHeaderSize));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->source, kStation);
  EXPECT_EQ(decoded->gather_limit, 0u);
  EXPECT_EQ(to_hex(Bytes(packet).subspan(wire::kHeaderSize, 27)),
            "8056c2e21c000001043a000000000101005e000001000000000800");
}

TEST_F(MulticastTest, ArpRequestsGoToTheGroupOfTheirTarget) {
  add(member_at(1));
  publish({member_at(1)}, 32, 0, {wire::kBroadcastMac, 0x0a000007});
  ByteVector arp = ethernet(wire::kBroadcastMac, wire::mac_of(kA, kNetwork), 0x0806, 28);
  const std::uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
  std::copy_n(request, 8, arp.begin() + 14);
  store_be32(arp.data() + 14 + 24, 0x0a000007);
  const auto all = send(arp);
  ASSERT_EQ(all.size(), 1u);
  const ByteVector packet = opened(all[0]);
  EXPECT_EQ(load_be32(packet.data() + wire::kHeaderSize + 15), 0x0a000007u);
  store_be32(arp.data() + 14 + 24, 0x0a000008);
  EXPECT_TRUE(send(arp).empty()) << "another target is another group";
  ASSERT_EQ(punts_.size(), 1u);
  EXPECT_EQ(punts_[0].message, Message::kFrame);
  EXPECT_EQ(punts_[0].bytes, arp) << "unchanged";
}

TEST_F(MulticastTest, TheLimitHoldsAndBridgesComeFirst) {
  std::vector<wire::Address> members;
  for (std::uint64_t i = 1; i <= 60; ++i) {
    members.push_back(member_at(i));
    add(members.back());
  }
  publish(members, 10, 2);
  std::vector<unsigned> times(61);
  for (int i = 0; i < 300; ++i) {
    const auto all = send(frame(46));
    ASSERT_EQ(all.size(), 10u);
    for (const Sent& one : all) ++times[one.to.value - 0x6600000000];
  }
  EXPECT_EQ(times[1], 300u);
  EXPECT_EQ(times[2], 300u);
  for (std::size_t i = 3; i <= 60; ++i) EXPECT_GT(times[i], 5u) << "nobody is left out for long";
}

TEST_F(MulticastTest, WhoWasPutOutTakesNobodysPlace) {
  std::vector<wire::Address> members;
  for (std::uint64_t i = 1; i <= 60; ++i) {
    members.push_back(member_at(i));
    add(members.back());
    if (i % 2 != 0) continue;
    fib::Member out = a_->member();
    out.address = members.back();
    out.revoked = true;
    a_->publisher.apply(out);
  }
  publish(members, 10);
  for (int i = 0; i < 60; ++i) {
    const auto all = send(frame(46));
    ASSERT_EQ(all.size(), 10u);
    for (const Sent& one : all) EXPECT_EQ(one.to.value % 2, 1u);
  }
  EXPECT_GT(a_->dropped(Drop::kRevoked), 0u) << "on the way to the tenth";
}

TEST_F(MulticastTest, ABurstOfFramesToManyIsMoreThanAVector) {
  std::vector<wire::Address> members;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    members.push_back(member_at(i));
    add(members.back());
  }
  publish(members, 64);
  rte_mbuf* burst[FastPath::kBurst];
  for (unsigned i = 0; i < FastPath::kBurst; ++i) burst[i] = mbuf_of(frame(46 + i), pools().wire);
  a_->fast->outbound(kNetwork, burst, FastPath::kBurst, a_->out, a_->drops);
  EXPECT_EQ(a_->out.transmits, 0u);
  release(a_->out);
  unsigned sent = 0, vectors = 0, merged = 0;
  while (a_->fast->replicate(a_->out, a_->drops)) {
    sent += a_->out.transmits;
    merged += a_->out.merged;
    ++vectors;
    release(a_->out);
  }
  EXPECT_EQ(sent, 50u * FastPath::kBurst);
  EXPECT_EQ(merged, FastPath::kBurst);
  EXPECT_EQ(vectors, 50u) << "full ones";
}

TEST_F(MulticastTest, WhomAWorkerCannotServeIsControls) {
  add(member_at(1));
  add(member_at(3));
  publish({member_at(1), member_at(2), member_at(3), member_at(4)});
  const ByteVector ours = frame();
  EXPECT_EQ(send(ours).size(), 2u);
  ASSERT_EQ(punts_.size(), 1u);
  EXPECT_EQ(punts_[0].message, Message::kMulticastRest);
  ByteVector expected = ours;
  std::vector<std::uint8_t> missing;
  const Bytes tail = Bytes(punts_[0].bytes).subspan(ours.size());
  ASSERT_EQ(tail.size(), 11u);
  EXPECT_EQ(tail.back(), 2);
  missing = {tail[4], tail[9]};
  std::ranges::sort(missing);
  EXPECT_EQ(missing, (std::vector<std::uint8_t>{2, 4}));
  EXPECT_TRUE(std::ranges::equal(Bytes(punts_[0].bytes).first(ours.size()), ours));
}

TEST_F(MulticastTest, LargeFramesAreCutForEach) {
  add(member_at(1));
  add(member_at(2));
  publish({member_at(1), member_at(2)});
  EXPECT_EQ(send(frame(2'700)).size(), 4u);
}

TEST_F(MulticastTest, RulesHaveTheirSayForEach) {
  add(member_at(1));
  add(member_at(2));
  publish({member_at(1), member_at(2)});
  join([](fib::Network& n) { n.rules.clear(); });
  EXPECT_TRUE(send(frame()).empty());
  EXPECT_EQ(a_->dropped(Drop::kRules), 1u);
}

TEST_F(MulticastTest, WithoutALimitThereIsNone) {
  add(member_at(1));
  publish({member_at(1)});
  join([](fib::Network& n) { n.multicast_limit = 0; });
  EXPECT_TRUE(send(frame()).empty());
  ASSERT_EQ(punts_.size(), 1u) << "control counts it as refused";
  EXPECT_EQ(punts_[0].message, Message::kFrame);
}

// --- from others

class MulticastInTest : public MulticastTest {
 protected:
  void SetUp() override {
    MulticastTest::SetUp();
    b_ = std::make_unique<End>("mcast_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
    fib::Network n = b_->network();
    n.multicast_limit = 32;
    b_->publisher.apply(n);
  }

  void TearDown() override {
    b_.reset();
    MulticastTest::TearDown();
  }

  /// As A armors it for B.
  ByteVector sealed(const wire::MulticastFrame& f) {
    ByteVector payload(64 + f.payload.size());
    Writer w(payload);
    wire::encode_multicast_frame(w, f);
    ByteVector packet(wire::kHeaderSize + w.size());
    wire::encode_packet_header(packet, {++id_ * 0x9e3779b97f4a7c15ULL, kB, kA, 0, 0, 0x0e});
    std::copy_n(payload.begin(), w.size(), packet.begin() + wire::kHeaderSize);
    crypto::SharedSecret secret;
    for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i + 5);
    crypto::PeerKeys keys(secret);
    keys.expand();
    crypto::Armorer armorer;
    crypto::ArmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()),
                         wire::Suite::kAesGmacSiv, &keys, 0};
    armorer.armor({&job, 1});
    return packet;
  }

  void feed(const ByteVector& datagram) {
    rte_mbuf* m = mbuf_of(datagram, pools().wire);
    meta_of(m).remote = kEndA;
    meta_of(m).socket = kSocket;
    b_->fast->inbound(&m, 1, b_->out, b_->drops);
  }

  wire::MulticastFrame plain() {
    wire::MulticastFrame f;
    f.network = kNetwork;
    f.group = {kGroupMac, 0};
    f.ethertype = 0x0800;
    f.payload = payload_;
    return f;
  }

  [[nodiscard]] unsigned punted(Message message) const {
    unsigned n = 0;
    for (unsigned i = 0; i < b_->out.punts; ++i) n += meta_of(b_->out.punt[i]).message == message;
    return n;
  }

  std::unique_ptr<End> b_;
  ByteVector payload_ = ByteVector(80, 0x5c);
  std::uint64_t id_ = 0;
};

TEST_F(MulticastInTest, WhatAWorkerSendsAWorkerDelivers) {
  publish({kB});
  const auto all = send(frame());
  ASSERT_EQ(all.size(), 1u);
  feed(all[0].datagram);
  ASSERT_EQ(b_->out.delivers, 1u);
  EXPECT_TRUE(std::ranges::equal(bytes_of(b_->out.deliver[0]), frame()));
  EXPECT_EQ(punted(Message::kReceived), 1u) << "it counts as heard";
  release(b_->out);
}

TEST_F(MulticastInTest, WhatItAsksForIsControls) {
  wire::MulticastFrame f = plain();
  f.gather_limit = 17;
  feed(sealed(f));
  EXPECT_EQ(b_->out.delivers, 1u);
  ASSERT_EQ(punted(Message::kAuthenticated), 1u);
  for (unsigned i = 0; i < b_->out.punts; ++i) {
    if (meta_of(b_->out.punt[i]).message != Message::kAuthenticated) continue;
    const auto asked =
        wire::decode_multicast_frame(bytes_of(b_->out.punt[i]).subspan(wire::kHeaderSize));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->gather_limit, 17u);
    EXPECT_TRUE(asked->payload.empty()) << "it is delivered already";
    EXPECT_EQ(meta_of(b_->out.punt[i]).remote, kEndA);
    EXPECT_EQ(meta_of(b_->out.punt[i]).wire_size, wire::kHeaderSize + 25 + 80);
  }
  release(b_->out);
  feed(sealed(f));
  EXPECT_EQ(b_->out.delivers, 1u);
  EXPECT_EQ(punted(Message::kAuthenticated), 0u) << "once a second";
  release(b_->out);
}

/// What is delivered, and else why not.
TEST_F(MulticastInTest, Rows) {
  struct Row {
    const char* description;
    std::function<void(wire::MulticastFrame&)> change;
    std::function<void(fib::Network&)> network;
    unsigned delivers, punts;
    Drop drop;
  };

  const auto as_is = [](fib::Network&) {};
  const Row rows[] = {
      {"for a group", [](auto&) {}, as_is, 1, 0, Drop::kNone},
      {"its own MAC, said", [](auto& f) { f.source = wire::mac_of(kA, kNetwork); }, as_is, 1, 0,
       Drop::kNone},
      {"a foreign MAC of no bridge", [](auto& f) { f.source = kStation; }, as_is, 0, 0,
       Drop::kSourceMac},
      {"our MAC", [](auto& f) { f.source = wire::mac_of(kB, kNetwork); }, as_is, 0, 0,
       Drop::kSourceMac},
      {"not a group", [](auto& f) { f.group.mac = wire::mac_of(kB, kNetwork); }, as_is, 0, 0,
       Drop::kDestinationMac},
      {"multicast is off", [](auto&) {}, [](fib::Network& n) { n.multicast_limit = 0; }, 0, 0,
       Drop::kDestinationMac},
      {"rules", [](auto&) {}, [](fib::Network& n) { n.rules.clear(); }, 0, 0, Drop::kRules},
      {"to replicate", [](auto& f) { f.replicate = true; }, as_is, 0, 1, Drop::kNone},
      {"without payload", [](auto& f) { f.payload = {}; }, as_is, 0, 1, Drop::kNone},
      {"another network", [](auto& f) { f.network = wire::NetworkId{5}; }, as_is, 0, 1,
       Drop::kNone},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.description);
    wire::MulticastFrame f = plain();
    row.change(f);
    fib::Network n = b_->network();
    n.multicast_limit = 32;
    row.network(n);
    b_->publisher.apply(n);
    const std::uint64_t before = b_->dropped(row.drop);
    feed(sealed(f));
    EXPECT_EQ(b_->out.delivers, row.delivers);
    EXPECT_EQ(punted(Message::kAuthenticated), row.punts);
    if (row.drop != Drop::kNone) {
      EXPECT_EQ(b_->dropped(row.drop), before + 1);
    }
    release(b_->out);
  }
}

}  // namespace
}  // namespace orrery::dataplane::test
