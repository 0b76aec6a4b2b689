// What workers count beside the ledger: stages, time from rx to tx, bytes by peer and network, and
// the same over DPDK's telemetry.
#include "dataplane/observe.h"

#include <gtest/gtest.h>
#include <rte_cycles.h>

#include "dataplane/telemetry.h"
#include "fixture.h"

namespace orrery::dataplane::test {
namespace {

class ObserveTest : public Dataplane {
 protected:
  ObserveTest()
      : a_("observe_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv),
        b_("observe_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv) {}

  static const StageCount& of(const End& end, StageId stage) {
    return end.fast->stages()[static_cast<std::size_t>(stage)];
  }

  /// `n` frames of `payload` bytes from a to b; both ends' lists are empty afterwards.
  void carry(unsigned n, std::size_t payload) {
    rte_mbuf* burst[kVectorMax];
    for (unsigned i = 0; i < n; ++i) burst[i] = mbuf_of(a_.frame(payload), pools().wire);
    a_.fast->outbound(kNetwork, burst, n, a_.out, a_.drops);
    for (unsigned at = 0; at < a_.out.transmits; at += kVectorMax) {
      const unsigned some = std::min(kVectorMax, a_.out.transmits - at);
      b_.fast->inbound(a_.out.transmit + at, some, b_.out, b_.drops);
      datagrams_ += some;
      delivered_ += b_.out.delivers;
      release(b_.out);
    }
    a_.out.transmits = 0;
    release(a_.out);
  }

  unsigned datagrams_ = 0, delivered_ = 0;
  End a_, b_;
};

TEST_F(ObserveTest, EveryStageCountsWhatCameIn) {
  carry(64, 100);
  carry(5, 100);
  for (const StageId stage :
       {StageId::flow, StageId::resolve, StageId::encap, StageId::armor, StageId::fragment}) {
    EXPECT_EQ(of(a_, stage).packets.value(), 69u) << stage_label(stage);
    EXPECT_EQ(of(a_, stage).vectors.value(), 2u) << stage_label(stage);
    EXPECT_GT(of(a_, stage).cycles.value(), 0u) << stage_label(stage);
    EXPECT_EQ(of(b_, stage).vectors.value(), 0u) << stage_label(stage);
  }
  EXPECT_EQ(of(b_, StageId::dearmor).packets.value(), 69u);
  EXPECT_EQ(of(b_, StageId::deliver).packets.value(), 69u);
}

TEST_F(ObserveTest, AStageBehindTheLastLaneDoesNotRun) {
  ByteVector forged = a_.frame(100);
  rte_mbuf* burst[] = {mbuf_of(forged, pools().wire)};
  b_.fast->inbound(burst, 1, b_.out, b_.drops);  // no packet of ours: control's
  EXPECT_EQ(b_.out.punts, 1u);
  EXPECT_EQ(of(b_, StageId::classify).packets.value(), 1u);
  EXPECT_EQ(of(b_, StageId::dearmor).vectors.value(), 0u);
  release(b_.out);
}

TEST_F(ObserveTest, BytesByPeerNetworkAndMember) {
  carry(10, 100);
  carry(3, 2800);  // two datagrams each
  EXPECT_EQ(delivered_, 13u);
  const std::size_t packets = 10 * (28 + 10 + 100) + 3 * (28 + 10 + 2800);
  const std::size_t frames = 10 * 114 + 3 * 2814;
  const Traffic out = a_.publisher.traffic_of(kB), net = a_.publisher.traffic_of(kNetwork);
  EXPECT_EQ(out.tx_packets, 13u);
  EXPECT_EQ(out.tx_bytes, packets);
  EXPECT_EQ(out.rx_packets, 0u);
  EXPECT_EQ(net.tx_packets, 13u);
  EXPECT_EQ(net.tx_bytes, frames);
  const Traffic in = b_.publisher.traffic_of(kA);
  EXPECT_EQ(in.rx_packets, 13u);
  EXPECT_EQ(in.rx_bytes, packets);
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork).rx_bytes, frames);
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork).tx_bytes, 0u);
  EXPECT_EQ(a_.publisher.members_of(kNetwork), std::vector{kB});
  EXPECT_EQ(a_.publisher.traffic_of(kNetwork, kB).tx_bytes, frames);
  EXPECT_EQ(a_.publisher.traffic_of(kNetwork, kB).rx_bytes, 0u);
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork, kA).rx_packets, 13u);
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork, kA).rx_bytes, frames);
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork, kB).rx_bytes, 0u);
  b_.publisher.apply(fib::RemoveMember{kNetwork, kA});
  EXPECT_TRUE(b_.publisher.members_of(kNetwork).empty());
  b_.publisher.apply(b_.member());
  EXPECT_EQ(b_.publisher.traffic_of(kNetwork, kA).rx_bytes, 0u) << "begins anew";
}

TEST_F(ObserveTest, CountsOutliveNewRecordsButNotTheirOwner) {
  carry(10, 100);
  fib::Peer peer = a_.peer();
  peer.mtu = 1400;
  a_.publisher.apply(peer);
  carry(1, 100);
  EXPECT_EQ(a_.publisher.traffic_of(kB).tx_packets, 11u);
  a_.publisher.apply(fib::RemovePeer{kB});
  EXPECT_EQ(a_.publisher.traffic_of(kB).tx_packets, 0u);
  a_.publisher.apply(peer);
  EXPECT_EQ(a_.publisher.traffic_of(kB).tx_packets, 0u) << "who comes anew begins at zero";
  carry(2, 100);
  EXPECT_EQ(a_.publisher.traffic_of(kB).tx_packets, 2u);
}

TEST(TrafficSlots, AreReusedAndEndSomewhere) {
  std::vector<std::unique_ptr<TrafficCounts>> workers(2);
  for (auto& w : workers) w = std::make_unique<TrafficCounts>();
  TrafficSlots slots(workers);
  const TrafficSlot first = slots.take();
  ASSERT_NE(first, 0u);
  (*workers[0])[first].rx_bytes += 5;
  (*workers[1])[first].rx_bytes += 7;
  EXPECT_EQ(slots.of(first).rx_bytes, 12u);
  slots.give_back(first);
  EXPECT_EQ(slots.take(), first);
  EXPECT_EQ(slots.of(first).rx_bytes, 0u);
  unsigned more = 0;
  while (slots.take() != 0) ++more;
  EXPECT_EQ(more, TrafficCounts::kSlots - 2);
  EXPECT_EQ(slots.of(0).rx_bytes, 0u);
}

TEST(LatencyHistogram, BucketsArePowersOfTwo) {
  LatencyHistogram h;
  h.add(0);
  h.add(1);
  h.add(1023);
  h.add(1024);
  h.add(~std::uint64_t{0});
  EXPECT_EQ(h.bucket(0), 1u);
  EXPECT_EQ(h.bucket(1), 1u);
  EXPECT_EQ(h.bucket(10), 1u);
  EXPECT_EQ(h.bucket(11), 1u);
  EXPECT_EQ(h.bucket(LatencyHistogram::kBuckets - 1), 1u);
  const double ghz = static_cast<double>(rte_get_tsc_hz()) / 1e9;
  EXPECT_NEAR(latency_bound_ns(10) * ghz, 1024, 1);
}

}  // namespace
}  // namespace orrery::dataplane::test
