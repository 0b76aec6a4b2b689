// The worker's reassembly by itself: who makes room, what is told of it, and what happens when
// buffers run out.
#include "dataplane/reassembly.h"

#include <algorithm>

#include "fixture.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

constexpr SipKey kKey{3, 4};
constexpr std::size_t kHead = 1400;  // bytes

class ReassemblyTest : public Dataplane {
 protected:
  static rte_mbuf* from(const wire::Endpoint& endpoint, Bytes datagram) {
    rte_mbuf* m = mbuf_of(datagram, pools().wire);
    meta_of(m).remote = endpoint;
    meta_of(m).socket = kSocket;
    return m;
  }

  static rte_mbuf* head(std::uint64_t id, const wire::Endpoint& endpoint = kEndA) {
    ByteVector bytes(kHead, 0x11);
    wire::PacketHeader h;
    h.id = id;
    h.destination = kB;
    h.source = kA;
    h.flags = wire::kFlagFragmented;
    wire::encode_packet_header(bytes, h);
    return from(endpoint, bytes);
  }

  static rte_mbuf* fragment(std::uint64_t id, unsigned total, unsigned number, std::size_t size,
                            const wire::Endpoint& endpoint = kEndA) {
    ByteVector bytes(wire::kFragmentHeaderSize + size, static_cast<std::uint8_t>(number));
    wire::encode_fragment_header(
        bytes, {id, kB, static_cast<std::uint8_t>(total), static_cast<std::uint8_t>(number), 0});
    return from(endpoint, bytes);
  }

  /// An endpoint of its own for every number.
  static wire::Endpoint endpoint(unsigned number) {
    return wire::Endpoint::v4(0x0b000000 + number, 9993);
  }

  /// Of a piece that has to be parked.
  static void park(Reassembly& r, rte_mbuf* piece, Millis now = 1) {
    const auto outcome = r.add(piece, now);
    EXPECT_EQ(outcome.whole, nullptr);
    EXPECT_EQ(outcome.drop, Drop::kNone);
  }
};

TEST_F(ReassemblyTest, OneSegmentComesOut) {
  Reassembly r(pools(), kKey);
  park(r, fragment(7, 3, 2, 900));
  park(r, head(7));
  EXPECT_EQ(r.parked(), 2u);
  const auto outcome = r.add(fragment(7, 3, 1, 1400), 1);
  ASSERT_NE(outcome.whole, nullptr);
  EXPECT_EQ(outcome.merged, 2u);
  EXPECT_EQ(r.parked(), 0u);
  const Bytes whole = bytes_of(outcome.whole);
  ASSERT_EQ(whole.size(), kHead + 1400 + 900);
  EXPECT_EQ(outcome.whole->nb_segs, 1u);
  EXPECT_EQ(whole[kHead - 1], 0x11);
  EXPECT_EQ(whole[kHead], 1);
  EXPECT_EQ(whole.back(), 2);
  EXPECT_EQ(meta_of(outcome.whole).wire_size, whole.size());
  EXPECT_EQ(meta_of(outcome.whole).remote, kEndA);
  rte_pktmbuf_free(outcome.whole);
  EXPECT_EQ(r.expire(1), 0u);
}

TEST_F(ReassemblyTest, ThePiecesOfOnePathBelongTogether) {
  Reassembly r(pools(), kKey);
  park(r, head(7));
  park(r, fragment(7, 2, 1, 100, kEndB));
  rte_mbuf* other_socket = fragment(7, 2, 1, 100);
  meta_of(other_socket).socket = kSocket + 1;
  park(r, other_socket);
  const auto outcome = r.add(fragment(7, 2, 1, 100), 1);
  ASSERT_NE(outcome.whole, nullptr);
  rte_pktmbuf_free(outcome.whole);
  EXPECT_EQ(r.parked(), 2u);
}

TEST_F(ReassemblyTest, RefusedPiecesStayTheCallers) {
  Reassembly r(pools(), kKey);
  park(r, fragment(7, 3, 1, 100));
  const auto refused = [&](rte_mbuf* piece) {
    const auto outcome = r.add(piece, 1);
    EXPECT_EQ(outcome.whole, nullptr);
    rte_pktmbuf_free(piece);
    return outcome.drop;
  };
  EXPECT_EQ(refused(fragment(7, 3, 1, 100)), Drop::kFragmentDuplicate);
  EXPECT_EQ(refused(fragment(7, 4, 2, 100)), Drop::kFragment) << "another total";
  EXPECT_EQ(refused(fragment(8, 8, 1, 100)), Drop::kFragment) << "more than seven";
  EXPECT_EQ(refused(fragment(8, 2, 2, 100)), Drop::kFragment) << "number out of range";
  for (unsigned n = 1; n <= 6; ++n) {
    if (n <= 3) {
      park(r, fragment(9, 7, n, 3000));
    } else {
      EXPECT_EQ(refused(fragment(9, 7, n, 3000)), Drop::kFragment) << "larger than a packet";
    }
  }
  EXPECT_EQ(r.parked(), 4u);
}

TEST_F(ReassemblyTest, WhatWaitsTooLongIsToldOnce) {
  Reassembly r(pools(), kKey);
  park(r, fragment(7, 3, 1, 100), 1'000);
  park(r, fragment(7, 3, 2, 100), 2'000);
  park(r, fragment(8, 3, 1, 100), 2'000);
  EXPECT_EQ(r.expire(1'000 + Reassembly::kTimeout), 0u);
  EXPECT_EQ(r.expire(1'001 + Reassembly::kTimeout), 2u);
  EXPECT_EQ(r.parked(), 1u);
  EXPECT_EQ(r.expire(2'001 + Reassembly::kTimeout), 1u);
  EXPECT_EQ(r.expire(10'000), 0u);
}

TEST_F(ReassemblyTest, AFloodPushesOutItself) {
  Reassembly r(pools(), kKey);
  park(r, head(7, kEndB));
  std::uint64_t flood = 0, lost = 0;
  for (; flood < 4000; ++flood) {
    park(r, fragment(flood, 2, 1, 10, kEndA));
    lost += r.expire(1);
    EXPECT_EQ(r.parked() + lost, 1 + flood + 1);
  }
  EXPECT_EQ(r.parked(), 1 + Reassembly::kPacketsPerSource);
  const auto outcome = r.add(fragment(7, 2, 1, 100, kEndB), 1);
  ASSERT_NE(outcome.whole, nullptr) << "another endpoint's packet is still there";
  rte_pktmbuf_free(outcome.whole);
}

TEST_F(ReassemblyTest, ManyEndpointsLeaveHalfOfThePool) {
  Reassembly r(pools(), kKey);
  const unsigned before = rte_mempool_avail_count(pools().wire);
  std::uint64_t taken = 0, lost = 0;
  for (unsigned source = 0; source < 2000; ++source) {
    for (unsigned n = 1; n <= 6; ++n, ++taken) park(r, fragment(1, 7, n, 10, endpoint(source)));
    lost += r.expire(1);
  }
  EXPECT_LE(r.parked(), pools().wire->size / 2);
  EXPECT_GT(r.parked(), pools().wire->size / 2 - 7) << "room is made by the packet";
  EXPECT_EQ(r.parked() + lost, taken);
  EXPECT_EQ(before - rte_mempool_avail_count(pools().wire), r.parked());
}

TEST_F(ReassemblyTest, WorkersShareThePool) {
  constexpr unsigned kWorkers = 4;
  Reassembly r(pools(), kKey, kWorkers);
  for (unsigned source = 0; source < 500; ++source) {
    for (unsigned n = 1; n <= 6; ++n) park(r, fragment(1, 7, n, 10, endpoint(source)));
  }
  EXPECT_LE(r.parked(), pools().wire->size / 2 / kWorkers);
}

TEST_F(ReassemblyTest, WithoutABufferAPacketIsLostAndCounted) {
  Reassembly r(pools(), kKey);
  std::vector<rte_mbuf*> all;
  while (rte_mbuf* m = rte_pktmbuf_alloc(pools().frame)) all.push_back(m);
  park(r, head(7));
  park(r, fragment(7, 3, 1, 3000));
  rte_mbuf* last = fragment(7, 3, 2, 3000);
  const auto outcome = r.add(last, 1);
  EXPECT_EQ(outcome.whole, nullptr);
  EXPECT_EQ(outcome.drop, Drop::kFragment);
  EXPECT_EQ(outcome.merged, 0u);
  rte_pktmbuf_free(last);  // refused: the caller's
  EXPECT_EQ(r.parked(), 0u);
  EXPECT_EQ(r.expire(1), 2u) << "the others";
  rte_pktmbuf_free_bulk(all.data(), static_cast<unsigned>(all.size()));
}

}  // namespace
}  // namespace orrery::dataplane::test
