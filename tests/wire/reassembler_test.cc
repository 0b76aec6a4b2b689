// Reassembly under bad luck and ill will: pieces lost, repeated, reordered, lying, and too many.
#include "wire/reassembler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "wire/fragment.h"

namespace orrery::wire {
namespace {

constexpr std::uint64_t kHome = 7;  // the source of the packets that shall come through

/// A fragmented packet and its datagrams, head first.
struct Cut {
  ByteVector packet;
  std::vector<ByteVector> datagrams;

  Cut(std::uint64_t id, std::size_t size, std::size_t mtu = 1400) : packet(size) {
    for (std::size_t i = 0; i < size; ++i) {
      packet[i] = static_cast<std::uint8_t>(i * 31 + i / 251 + id);
    }
    store_be64(packet.data(), id);
    packet[kSourceOffset] = 1;
    const FragmentPlan plan = plan_fragments(size, mtu);
    datagrams.emplace_back(packet.begin(), packet.begin() + plan.head_size);
    for (std::uint8_t n = 1; n < plan.pieces; ++n) {
      ByteVector out(kFragmentHeaderSize + plan.data_size);
      out.resize(write_fragment(out, packet, plan, n));
      datagrams.push_back(out);
    }
  }
};

ByteVector fragment(std::uint64_t id, std::uint8_t total, std::uint8_t number, std::size_t size,
                    std::uint8_t fill = 0xee) {
  ByteVector bytes(kFragmentHeaderSize + size, fill);
  encode_fragment_header(bytes, {id, Address{0x1122334455}, total, number, 0});
  return bytes;
}

ByteVector head(std::uint64_t id, std::size_t size) {
  ByteVector bytes(size, 0xdd);
  store_be64(bytes.data(), id);
  bytes[kSourceOffset] = 1;
  return bytes;
}

Reassembly add(Reassembler& r, Millis now, std::uint64_t source, const ByteVector& datagram) {
  return kind_of(datagram) == DatagramKind::kFragment ? r.add_fragment(now, source, datagram)
                                                      : r.add_head(now, source, datagram);
}

TEST(Reassembler, EveryOrderOfFourPieces) {
  const Cut cut(1, 5000);
  ASSERT_EQ(cut.datagrams.size(), 4u);
  std::array<std::size_t, 4> order = {0, 1, 2, 3};
  do {
    Reassembler r({}, {1, 2});
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(add(r, 1, kHome, cut.datagrams[order[k]]), Reassembly::kParked);
    }
    EXPECT_EQ(add(r, 1, kHome, cut.datagrams[order[3]]), Reassembly::kComplete);
    EXPECT_EQ(ByteVector(r.packet().begin(), r.packet().end()), cut.packet);
    EXPECT_EQ(r.in_flight(), 0u);
    EXPECT_EQ(r.bytes_held(), 0u);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Reassembler, HalvesExpire) {
  ReassemblerLimits limits;
  limits.timeout = 100;
  Reassembler r(limits, {1, 2});
  EXPECT_EQ(r.add_fragment(1000, kHome, fragment(1, 2, 1, 50)), Reassembly::kParked);
  EXPECT_EQ(r.add_head(1050, kHome, head(2, 1400)), Reassembly::kParked);
  EXPECT_EQ(r.bytes_held(), 1450u);
  EXPECT_EQ(r.expire(1100), 0u);
  EXPECT_EQ(r.expire(1101), 1u);
  EXPECT_EQ(r.bytes_held(), 1400u);
  EXPECT_EQ(r.expire(1151), 1u);
  EXPECT_EQ(r.in_flight(), 0u);
  EXPECT_EQ(r.bytes_held(), 0u);
  EXPECT_EQ(r.evicted(), 0u);
}

TEST(Reassembler, StrangersBetweenHeadAndTail) {
  Reassembler r({}, {1, 2});
  std::mt19937_64 random(1);
  std::size_t delivered = 0;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    const Cut cut(id, 2800);
    ASSERT_EQ(cut.datagrams.size(), 3u);
    add(r, static_cast<Millis>(id), kHome, cut.datagrams[0]);
    // few sources with many packets; they can only push out each other
    for (int k = 0; k < 1000; ++k) {
      (void)r.add_fragment(static_cast<Millis>(id), 1000 + random() % 20,
                           fragment(random(), 3, 2, 1 + random() % 1400));
    }
    add(r, static_cast<Millis>(id), kHome, cut.datagrams[1]);
    if (add(r, static_cast<Millis>(id), kHome, cut.datagrams[2]) == Reassembly::kComplete) {
      ++delivered;
    }
  }
  EXPECT_EQ(delivered, 100u);
  EXPECT_GT(r.evicted(), 0u);
}

TEST(Reassembler, ForgedSourcesBetweenHeadAndTail) {
  Reassembler r({}, {1, 2});
  std::uint64_t forged = 1'000'000;
  for (std::uint64_t id = 1; id <= 20; ++id) {
    const Cut cut(id, 2000);
    EXPECT_EQ(add(r, 1, kHome, cut.datagrams[0]), Reassembly::kParked);
    // every one from a source of its own: 3000 is 30 ms at 100,000 a second
    for (int k = 0; k < 3000; ++k) (void)r.add_fragment(1, ++forged, fragment(id, 2, 1, 1400));
    EXPECT_EQ(add(r, 1, kHome, cut.datagrams[1]), Reassembly::kComplete) << id;
  }
  EXPECT_EQ(r.in_flight(), ReassemblerLimits{}.packets - 1);
}

TEST(Reassembler, SameIdFromTwoSources) {
  const Cut mine(5, 2000);
  ASSERT_EQ(mine.datagrams.size(), 2u);
  Reassembler r({}, {1, 2});
  EXPECT_EQ(r.add_fragment(1, 666, fragment(5, 2, 1, 616)), Reassembly::kParked);
  EXPECT_EQ(add(r, 1, kHome, mine.datagrams[0]), Reassembly::kParked);
  EXPECT_EQ(r.in_flight(), 2u);
  EXPECT_EQ(add(r, 1, kHome, mine.datagrams[1]), Reassembly::kComplete);
  EXPECT_EQ(ByteVector(r.packet().begin(), r.packet().end()), mine.packet);
  EXPECT_EQ(r.in_flight(), 1u);
}

TEST(Reassembler, CountsOutOfRange) {
  Reassembler r({}, {1, 2});
  for (unsigned total = 0; total < 16; ++total) {
    for (unsigned number = 0; number < 16; ++number) {
      const bool fits = total >= 2 && total <= 7 && number >= 1 && number < total;
      const auto verdict =
          r.add_fragment(1, kHome,
                         fragment(100 * total + number, static_cast<std::uint8_t>(total),
                                  static_cast<std::uint8_t>(number), 10));
      EXPECT_EQ(verdict, fits ? Reassembly::kParked : Reassembly::kRefused) << total << number;
    }
  }
}

TEST(Reassembler, TotalDoesNotChange) {
  Reassembler r({}, {1, 2});
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 3, 1, 10)), Reassembly::kParked);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 7, 2, 10)), Reassembly::kRefused);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 10)), Reassembly::kRefused);
  EXPECT_EQ(r.bytes_held(), 10u);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 3, 2, 10)), Reassembly::kParked);
  EXPECT_EQ(r.add_head(1, kHome, head(1, 100)), Reassembly::kComplete);
  EXPECT_EQ(r.packet().size(), 120u);
}

TEST(Reassembler, FirstOfDuplicatesWins) {
  Reassembler r({}, {1, 2});
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 10, 0xaa)), Reassembly::kParked);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 90, 0xbb)), Reassembly::kDuplicate);
  EXPECT_EQ(r.add_head(1, kHome, head(1, 100)), Reassembly::kComplete);
  EXPECT_EQ(to_hex(r.packet().subspan(100)), "aaaaaaaaaaaaaaaaaaaa");
  EXPECT_EQ(r.add_head(1, kHome, head(2, 100)), Reassembly::kParked);
  EXPECT_EQ(r.add_head(1, kHome, head(2, 200)), Reassembly::kDuplicate);
  EXPECT_EQ(r.bytes_held(), 100u);
}

TEST(Reassembler, SumBeyondAPacket) {
  Reassembler r({}, {1, 2});
  EXPECT_EQ(r.add_head(1, kHome, head(1, 10000)), Reassembly::kParked);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 25)), Reassembly::kRefused);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 24)), Reassembly::kComplete);
  EXPECT_EQ(r.packet().size(), kMaxPacket);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(2, 2, 1, kMaxPacket + 1)), Reassembly::kRefused);
  EXPECT_EQ(r.add_head(1, kHome, head(3, kMaxPacket + 1)), Reassembly::kRefused);
  EXPECT_EQ(r.add_head(1, kHome, head(3, kHeaderSize - 1)), Reassembly::kRefused);
  EXPECT_EQ(r.in_flight(), 0u) << "what is refused leaves nothing behind";
}

TEST(Reassembler, SmallestPieces) {
  Reassembler r({}, {1, 2});
  for (std::uint8_t n = 6; n >= 1; --n) {
    EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 7, n, 1, n)), Reassembly::kParked);
  }
  EXPECT_EQ(r.add_head(1, kHome, head(1, kHeaderSize)), Reassembly::kComplete);
  EXPECT_EQ(to_hex(r.packet().subspan(kHeaderSize)), "010203040506");
}

TEST(Reassembler, LossAndReordering) {
  Reassembler r({}, {1, 2});
  std::mt19937_64 random(7);
  std::vector<Cut> cuts;
  for (std::uint64_t id = 1; id <= 200; ++id) cuts.emplace_back(id, 1500 + random() % 8000);
  std::vector<std::pair<std::size_t, std::size_t>> arrivals;
  std::vector<bool> whole(cuts.size(), true);
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    for (std::size_t k = 0; k < cuts[i].datagrams.size(); ++k) {
      if (random() % 10 < 3) {
        whole[i] = false;
      } else {
        arrivals.emplace_back(i, k);
      }
    }
  }
  std::shuffle(arrivals.begin(), arrivals.end(), random);
  std::vector<bool> delivered(cuts.size(), false);
  for (const auto& [i, k] : arrivals) {
    if (add(r, 1000, kHome, cuts[i].datagrams[k]) != Reassembly::kComplete) continue;
    EXPECT_EQ(ByteVector(r.packet().begin(), r.packet().end()), cuts[i].packet);
    delivered[i] = true;
  }
  EXPECT_EQ(delivered, whole);
  EXPECT_GT(r.in_flight(), 0u);
  (void)r.expire(1000 + ReassemblerLimits{}.timeout + 1);
  EXPECT_EQ(r.in_flight(), 0u);
  EXPECT_EQ(r.bytes_held(), 0u);
}

TEST(Reassembler, OneSourceHasAQuota) {
  ReassemblerLimits limits;
  limits.packets = 100;
  limits.packets_per_source = 10;
  Reassembler r(limits, {1, 2});
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    EXPECT_EQ(r.add_fragment(1, 666, fragment(id, 2, 1, 1400)), Reassembly::kParked);
  }
  EXPECT_EQ(r.in_flight(), 10u);
  EXPECT_EQ(r.evicted(), 990u);
  // the youngest stayed
  EXPECT_EQ(r.add_head(1, 666, head(991, 100)), Reassembly::kComplete);
  EXPECT_EQ(r.add_head(1, 666, head(990, 100)), Reassembly::kParked);
}

TEST(Reassembler, TheNoisiestMakesRoom) {
  ReassemblerLimits limits;
  limits.packets = 12;
  limits.packets_per_source = 10;
  Reassembler r(limits, {1, 2});
  EXPECT_EQ(r.add_head(1, kHome, head(1, 100)), Reassembly::kParked);
  for (std::uint64_t id = 1; id <= 10; ++id) {
    (void)r.add_fragment(1, 666, fragment(id, 2, 1, 10));
  }
  for (std::uint64_t source = 1000; source < 1006; ++source) {
    (void)r.add_fragment(1, source, fragment(1, 2, 1, 10));
  }
  EXPECT_EQ(r.in_flight(), 12u);
  EXPECT_EQ(r.evicted(), 5u);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 10)), Reassembly::kComplete);
  EXPECT_EQ(r.add_head(1, 666, head(5, 100)), Reassembly::kParked) << "its oldest went";
  EXPECT_EQ(r.add_head(1, 666, head(6 + 1, 100)), Reassembly::kComplete);
}

TEST(Reassembler, BytesNeverExceedTheirLimit) {
  ReassemblerLimits limits;
  limits.bytes = 20'000;
  Reassembler r(limits, {1, 2});
  std::mt19937_64 random(3);
  for (int k = 0; k < 5000; ++k) {
    const std::uint64_t source = random() % 8;
    const std::uint64_t id = random() % 16;
    if (random() % 3 == 0) {
      (void)r.add_head(k, source, head(id, kHeaderSize + random() % 3000));
    } else {
      const auto number = static_cast<std::uint8_t>(1 + random() % 3);
      (void)r.add_fragment(k, source, fragment(id, 4, number, 1 + random() % 4000));
    }
    ASSERT_LE(r.bytes_held(), limits.bytes);
    if (k % 100 == 0) (void)r.expire(k);
  }
  EXPECT_GT(r.evicted(), 0u);
  (void)r.expire(1'000'000);
  EXPECT_EQ(r.bytes_held(), 0u);
}

TEST(Reassembler, LimitsOfOne) {
  ReassemblerLimits limits;
  limits.packets = 0;  // counts as 1
  limits.packets_per_source = 0;
  Reassembler r(limits, {1, 2});
  for (std::uint64_t id = 1; id <= 5; ++id) {
    EXPECT_EQ(r.add_fragment(1, id % 2, fragment(id, 2, 1, 10)), Reassembly::kParked);
    EXPECT_EQ(r.in_flight(), 1u);
  }
  EXPECT_EQ(r.add_head(1, 1, head(5, 50)), Reassembly::kComplete);
}

TEST(Reassembler, PieceLargerThanAllRoomIsRefused) {
  ReassemblerLimits limits;
  limits.bytes = 100;
  Reassembler r(limits, {1, 2});
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(1, 2, 1, 100)), Reassembly::kParked);
  EXPECT_EQ(r.add_fragment(1, kHome, fragment(2, 2, 1, 101)), Reassembly::kRefused);
  EXPECT_EQ(r.in_flight(), 1u);
}

TEST(Reassembler, Moves) {
  Reassembler a({}, {1, 2});
  EXPECT_EQ(a.add_head(1, kHome, head(1, 100)), Reassembly::kParked);
  Reassembler b(std::move(a));
  EXPECT_EQ(b.add_fragment(1, kHome, fragment(1, 2, 1, 10)), Reassembly::kComplete);
}

}  // namespace
}  // namespace orrery::wire
