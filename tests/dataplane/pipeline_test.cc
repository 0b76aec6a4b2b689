// Bursts between two members, and rows of single packets: tables, verdict, what is handed back for
// control.
#include "dataplane/fast_path.h"

#include <algorithm>
#include <functional>

#include "fixture.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

class PipelinePair : public Dataplane, public ::testing::WithParamInterface<wire::Suite> {};

class PipelineTest : public Dataplane {};

/// Armored datagrams of one frame from `from`, as they arrive at the other end.
std::vector<rte_mbuf*> sent(End& from, const ByteVector& frame, const wire::Endpoint& seen_as) {
  rte_mbuf* m = mbuf_of(frame, pools().frame);
  from.fast->outbound(kNetwork, &m, 1, from.out, from.drops);
  std::vector<rte_mbuf*> datagrams(from.out.transmit, from.out.transmit + from.out.transmits);
  from.out.transmits = 0;
  cross(datagrams.data(), static_cast<unsigned>(datagrams.size()), seen_as);
  return datagrams;
}

TEST_P(PipelinePair, ABurstIsSealedAsOne) {
  End a("burst_a", kA, kB, kEndB, GetParam());
  End b("burst_b", kB, kA, kEndA, GetParam());
  rte_mbuf* burst[FastPath::kBurst];
  for (unsigned i = 0; i < FastPath::kBurst; ++i)
    burst[i] = mbuf_of(a.frame(46 + i * 20), pools().frame);
  a.fast->outbound(kNetwork, burst, FastPath::kBurst, a.out, a.drops);
  ASSERT_GE(a.out.transmits, FastPath::kBurst);
  cross(a.out.transmit, a.out.transmits, kEndA);
  unsigned delivered = 0;
  for (unsigned at = 0; at < a.out.transmits; at += FastPath::kBurst) {
    const unsigned n = std::min(FastPath::kBurst, a.out.transmits - at);
    b.fast->inbound(a.out.transmit + at, n, b.out, b.drops);
    for (unsigned i = 0; i < b.out.delivers; ++i) {
      EXPECT_TRUE(
          std::ranges::equal(bytes_of(b.out.deliver[i]), a.frame(46 + (delivered + i) * 20)));
    }
    delivered += b.out.delivers;
    release(b.out);
  }
  EXPECT_EQ(delivered, FastPath::kBurst);
  a.out.transmits = 0;
  release(a.out);
}

TEST_P(PipelinePair, PacketsOfOneAndOfSeveralPiecesStayInOrder) {
  End a("order_a", kA, kB, kEndB, GetParam());
  End b("order_b", kB, kA, kEndA, GetParam());
  rte_mbuf* burst[8];
  const auto size = [](unsigned i) { return i % 2 == 0 ? 60u + i : 2000u + i; };
  for (unsigned i = 0; i < 8; ++i) burst[i] = mbuf_of(a.frame(size(i)), pools().frame);
  a.fast->outbound(kNetwork, burst, 8, a.out, a.drops);
  ASSERT_EQ(a.out.transmits, 12u);
  cross(a.out.transmit, a.out.transmits, kEndA);
  b.fast->inbound(a.out.transmit, a.out.transmits, b.out, b.drops);
  ASSERT_EQ(b.out.delivers, 8u);
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_TRUE(std::ranges::equal(bytes_of(b.out.deliver[i]), a.frame(size(i)))) << i;
  a.out.transmits = 0;
  release(a.out);
  release(b.out);
}

INSTANTIATE_TEST_SUITE_P(Suites, PipelinePair,
                         ::testing::Values(wire::Suite::kSalsaPoly, wire::Suite::kAesGmacSiv),
                         [](const auto& i) {
                           return i.param == wire::Suite::kSalsaPoly ? "salsa" : "aes";
                         });

/// One frame of the host and what becomes of it.
struct OutboundRow {
  const char* description;
  std::function<void(End&)> tables;
  wire::Mac destination;
  wire::Mac source;
  std::size_t size;
  unsigned transmits, punts;
  Drop drop;
};

TEST_F(PipelineTest, OutboundRows) {
  const wire::Mac self = wire::mac_of(kA, kNetwork), other = wire::mac_of(kB, kNetwork);
  const wire::Mac station{0x525400aabbccULL};
  const auto nothing = [](End&) {};
  const OutboundRow rows[] = {
      {"known member", nothing, other, self, 100, 1, 0, Drop::kNone},
      {"broadcast is control's", nothing, wire::kBroadcastMac, self, 100, 0, 1, Drop::kNone},
      {"own MAC is control's", nothing, self, self, 100, 0, 1, Drop::kNone},
      {"unknown network", [](End& e) { e.publisher.apply(fib::RemoveNetwork{kNetwork}); }, other,
       self, 100, 0, 1, Drop::kNone},
      {"unknown member", [](End& e) { e.publisher.apply(fib::RemoveMember{kNetwork, kB}); }, other,
       self, 100, 0, 1, Drop::kNone},
      {"unknown peer", [](End& e) { e.forget_peer(); }, other, self, 100, 0, 1, Drop::kNone},
      {"no path",
       [](End& e) {
         auto p = e.peer();
         p.path = {};
         e.publisher.apply(p);
       },
       other, self, 100, 0, 1, Drop::kNone},
      {"credentials not pushed",
       [](End& e) {
         auto m = e.member();
         m.credentials_pushed = false;
         e.publisher.apply(m);
       },
       other, self, 100, 1, 1, Drop::kNone},
      {"rules refuse",
       [](End& e) {
         auto n = e.network();
         n.rules.clear();
         e.publisher.apply(n);
       },
       other, self, 100, 0, 0, Drop::kRules},
      {"foreign source without bridging", nothing, other, station, 100, 0, 1, Drop::kNone},
      {"foreign source of a bridge",
       [](End& e) {
         auto n = e.network();
         n.active_bridge = true;
         n.active_bridges = {kA};
         e.publisher.apply(n);
       },
       other, station, 100, 1, 0, Drop::kNone},
      {"pieces larger than a wire object",
       [](End& e) {
         auto p = e.peer();
         p.mtu = 4500;
         e.publisher.apply(p);
       },
       other, self, 8900, 2, 0, Drop::kNone},
      {"more than seven pieces",
       [](End& e) {
         auto p = e.peer();
         p.mtu = 400;
         e.publisher.apply(p);
       },
       other, self, 2800, 0, 0, Drop::kTooBig},
  };
  for (const OutboundRow& row : rows) {
    SCOPED_TRACE(row.description);
    End a("rows_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
    row.tables(a);
    rte_mbuf* m = mbuf_of(ethernet(row.destination, row.source, 0x0800, row.size), pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
    EXPECT_EQ(a.out.transmits, row.transmits);
    EXPECT_EQ(punts_of(a.out), row.punts);
    if (row.punts == 1 && a.out.transmits == 1) {
      EXPECT_EQ(meta_of(a.out.punt[0]).message, Message::kStale) << "an event beside the frame";
    } else if (row.punts == 1) {
      EXPECT_EQ(meta_of(a.out.punt[0]).message, Message::kFrame);
      EXPECT_TRUE(std::ranges::equal(bytes_of(a.out.punt[0]),
                                     ethernet(row.destination, row.source, 0x0800, row.size)))
          << "handed back unchanged";
    }
    if (row.drop != Drop::kNone) {
      EXPECT_EQ(a.dropped(row.drop), 1u);
    }
    release(a.out);
  }
}

/// One datagram of a good frame, what the receiver knows, and what becomes of it.
struct InboundRow {
  const char* description;
  std::function<void(End&)> tables;
  std::function<void(std::uint8_t*)> change;
  unsigned delivers, punts;
  Message message;
  Drop drop;
};

TEST_F(PipelineTest, InboundRows) {
  const auto same = [](End&) {};
  const auto keep = [](std::uint8_t*) {};
  const InboundRow rows[] = {
      // The first frame of a peer is reported to control, whatever becomes of it behind the gate.
      {"known member", same, keep, 1, 1, Message::kReceived, Drop::kNone},
      {"unknown sender", [](End& e) { e.forget_peer(); }, keep, 0, 1, Message::kDatagram,
       Drop::kNone},
      {"for somebody else", same, [](std::uint8_t* p) { p[8] ^= 0x40; }, 0, 1, Message::kDatagram,
       Drop::kNone},
      {"cipher 0", same, [](std::uint8_t* p) { p[wire::kFlagsOffset] = 0; }, 0, 1,
       Message::kDatagram, Drop::kNone},
      {"hops are not authenticated", same, [](std::uint8_t* p) { p[wire::kFlagsOffset] |= 2; }, 1,
       1, Message::kReceived, Drop::kNone},
      {"gate: no member", [](End& e) { e.publisher.apply(fib::RemoveMember{kNetwork, kA}); }, keep,
       0, 1, Message::kAuthenticated, Drop::kNone},
      {"gate: not allowed",
       [](End& e) {
         auto m = e.member();
         m.allowed = false;
         e.publisher.apply(m);
       },
       keep, 0, 1, Message::kAuthenticated, Drop::kNone},
      {"network not joined", [](End& e) { e.publisher.apply(fib::RemoveNetwork{kNetwork}); }, keep,
       0, 1, Message::kAuthenticated, Drop::kNone},
      {"rules refuse",
       [](End& e) {
         auto n = e.network();
         n.rules.clear();
         e.publisher.apply(n);
       },
       keep, 0, 1, Message::kReceived, Drop::kRules},
      {"another key",
       [](End& e) {
         auto p = e.peer();
         crypto::SharedSecret other = p.secret.bytes();
         other[0] ^= 1;
         p.secret = crypto::Secret(other);
         e.publisher.apply(p);
       },
       keep, 0, 0, Message::kDatagram, Drop::kMac},
  };
  for (const InboundRow& row : rows) {
    SCOPED_TRACE(row.description);
    End a("rows_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
    End b("rows_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
    row.tables(b);
    auto datagrams = sent(a, a.frame(100), kEndA);
    ASSERT_EQ(datagrams.size(), 1u);
    row.change(rte_pktmbuf_mtod(datagrams[0], std::uint8_t*));
    b.fast->inbound(datagrams.data(), 1, b.out, b.drops);
    EXPECT_EQ(b.out.delivers, row.delivers);
    EXPECT_EQ(b.out.punts, row.punts);
    if (b.out.punts == 1) {
      EXPECT_EQ(meta_of(b.out.punt[0]).message, row.message);
      // What control may answer to an unconfirmed path depends on it.
      EXPECT_EQ(meta_of(b.out.punt[0]).wire_size,
                row.message == Message::kAuthenticated ? 28 + 10 + 100 : 0);
    }
    if (row.drop != Drop::kNone) {
      EXPECT_EQ(b.dropped(row.drop), 1u);
    }
    release(a.out);
    release(b.out);
  }
}

TEST_F(PipelineTest, AFloodOfHeadsLosesNoBuffers) {
  End b("flood_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
  ByteVector head(100, 1);
  wire::PacketHeader h;
  h.destination = kB;
  h.source = kA;
  h.flags = 0x58;  // fragmented, cipher 3
  std::uint64_t in = 0;
  for (std::uint64_t id = 1; id <= 4000; ++id) {
    h.id = id * 0x9e3779b97f4a7c15ULL;
    wire::encode_packet_header(head, h);
    rte_mbuf* m = mbuf_of(head, pools().wire);
    meta_of(m).remote = kEndA;
    b.fast->inbound(&m, 1, b.out, b.drops);
    ++in;
    EXPECT_EQ(b.fast->parked() + b.dropped(Drop::kFragmentTimeout), in);
  }
  EXPECT_EQ(b.fast->parked(), Reassembly::kPacketsPerSource);
}

}  // namespace
}  // namespace orrery::dataplane::test
