// Who has key schedules: so many peers at most, those in use rather than others; workers leave the
// rest to control, whole and unchanged.
#include "dataplane/publisher.h"

#include <algorithm>

#include "fixture.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

constexpr std::size_t kMost = 3;

class PublisherTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    ASSERT_TRUE(tables_.open("publisher"));
    publisher_.tick(now_);
  }

  void publish(std::uint64_t address, wire::Suite suite = wire::Suite::kAesGmacSiv,
               std::uint16_t port = 9993) {
    fib::Peer peer;
    peer.address = wire::Address{address};
    crypto::SharedSecret secret{};
    secret[0] = static_cast<std::uint8_t>(address);
    peer.secret = crypto::Secret(secret);
    peer.suite = suite;
    peer.path = {kSocket, wire::Endpoint::v4(0x0a000001, port)};
    publisher_.apply(peer);
  }

  void in_use(std::uint64_t address) { publisher_.apply(fib::PeerInUse{wire::Address{address}}); }

  /// A worker seals to it or opens from it.
  void used_by_worker(std::uint64_t address) { record(address)->note_use(now_); }

  [[nodiscard]] const PeerRecord* record(std::uint64_t address) const {
    return tables_.peers.find({address});
  }

  /// Addresses in 1..9 whose records have schedules.
  [[nodiscard]] std::vector<std::uint64_t> active() const {
    std::vector<std::uint64_t> all;
    for (std::uint64_t address = 1; address < 10; ++address) {
      const PeerRecord* r = record(address);
      if (r != nullptr && r->keys.expanded()) all.push_back(address);
    }
    EXPECT_EQ(all.size(), publisher_.active());
    return all;
  }

  void pass(Millis time) {
    now_ += time;
    publisher_.tick(now_);
  }

  using Addresses = std::vector<std::uint64_t>;

  Tables tables_;
  Publisher publisher_{tables_, kMost};
  Millis now_ = 1'000'000;
};

TEST_F(PublisherTest, SchedulesAreMadeWhileThereIsRoom) {
  for (std::uint64_t address = 1; address <= 5; ++address) publish(address);
  EXPECT_EQ(active(), (Addresses{1, 2, 3}));
  EXPECT_TRUE(record(5)->can_use(wire::Suite::kSalsaPoly));
  EXPECT_FALSE(record(5)->can_use(wire::Suite::kAesGmacSiv));
  publisher_.apply(fib::RemovePeer{wire::Address{2}});
  EXPECT_EQ(active(), (Addresses{1, 3}));
  in_use(5);
  EXPECT_EQ(active(), (Addresses{1, 3, 5}));
  EXPECT_EQ(record(5)->peer.address.value, 5u);
}

TEST_F(PublisherTest, RunsOfAKeyInABulkLookUpFindWhatOneByOneFinds) {
  for (const std::uint64_t address : {1, 2, 3}) publish(address);
  // [key]: known and unknown ones, in runs and alone, up to a full vector
  const std::vector<std::uint64_t> pattern = {1, 1, 9, 9, 2, 1, 3, 3, 3, 8};
  for (unsigned n = 0; n <= 64; ++n) {
    std::array<PeerKey, 64> keys;
    std::array<const PeerKey*, 64> wanted;
    std::array<const PeerRecord*, 64> found;
    for (unsigned i = 0; i < n; ++i) {
      keys[i] = {pattern[i % pattern.size()]};
      wanted[i] = &keys[i];
    }
    tables_.peers.find_bulk(wanted.data(), n, found.data());
    for (unsigned i = 0; i < n; ++i) EXPECT_EQ(found[i], record(keys[i].address)) << n << ' ' << i;
  }
}

TEST_F(PublisherTest, WhoSpeaksNoAesTakesNoRoom) {
  for (std::uint64_t address = 1; address <= 4; ++address)
    publish(address, wire::Suite::kSalsaPoly);
  in_use(1);
  EXPECT_EQ(active(), Addresses{});
  publish(4);  // its version became known
  EXPECT_EQ(active(), Addresses{4});
  publish(4, wire::Suite::kSalsaPoly);
  EXPECT_EQ(active(), Addresses{});
}

TEST_F(PublisherTest, ANewRecordChangesNothingOfThat) {
  for (std::uint64_t address = 1; address <= 4; ++address) publish(address);
  publish(2, wire::Suite::kAesGmacSiv, 1234);
  publish(4, wire::Suite::kAesGmacSiv, 1234);
  EXPECT_EQ(active(), (Addresses{1, 2, 3}));
  EXPECT_EQ(record(4)->peer.path.remote.port, 1234);
}

TEST_F(PublisherTest, TheLeastRecentlyUsedGivesWay) {
  for (std::uint64_t address = 1; address <= 5; ++address) publish(address);
  pass(10'000);
  used_by_worker(1);
  pass(10'000);
  in_use(3);  // control carried something, but the worker has the keys
  pass(10'000);
  in_use(4);
  EXPECT_EQ(active(), (Addresses{1, 3, 4})) << "2 was never used";
  in_use(5);
  EXPECT_EQ(active(), (Addresses{3, 4, 5})) << "then 1";
  pass(10'000);
  in_use(2);
  EXPECT_EQ(active(), (Addresses{2, 4, 5}));
}

TEST_F(PublisherTest, WhoIsBusyKeepsHis) {
  for (std::uint64_t address = 1; address <= 4; ++address) publish(address);
  pass(10'000);
  for (const std::uint64_t address : {1, 2, 3}) used_by_worker(address);
  in_use(4);
  EXPECT_EQ(active(), (Addresses{1, 2, 3})) << "used since the last look";
  pass(1'000);
  in_use(4);
  EXPECT_EQ(active(), (Addresses{1, 2, 3}));
  pass(5'000);
  used_by_worker(1);
  used_by_worker(3);
  in_use(4);
  EXPECT_EQ(active(), (Addresses{1, 3, 4})) << "2 has stopped";
}

TEST_F(PublisherTest, WhatIsNotUsedForLongIsBurned) {
  publish(1);
  publish(2);
  for (int minute = 0; minute < 6; ++minute) {
    used_by_worker(2);
    pass(60'000);
  }
  EXPECT_EQ(active(), Addresses{2});
  publish(1, wire::Suite::kAesGmacSiv, 1234);
  EXPECT_EQ(active(), Addresses{2}) << "a new path is no use";
  in_use(1);
  EXPECT_EQ(active(), (Addresses{1, 2}));
}

TEST_F(PublisherTest, UnknownPeersAreNothing) {
  in_use(7);
  publisher_.apply(fib::RemovePeer{wire::Address{7}});
  EXPECT_EQ(active(), Addresses{});
}

TEST_F(PublisherTest, ManyPeersAskAndTheBoundHolds) {
  for (std::uint64_t address = 1; address <= 100; ++address) publish(address);
  for (int round = 0; round < 50; ++round) {
    pass(1'000);
    for (std::uint64_t address = 1; address <= 100; address += 7) {
      in_use(address + static_cast<std::uint64_t>(round) % 7);
      ASSERT_LE(publisher_.active(), kMost);
    }
    publisher_.reclaim();
  }
  EXPECT_EQ(publisher_.active(), kMost);
}

class KeylessTest : public Dataplane, public ::testing::WithParamInterface<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Frames, KeylessTest, ::testing::Values(100u, 2800u),
                         [](const auto& i) { return std::to_string(i.param); });

/// Takes the schedules of the other end, as if it had not been used for long.
void take_keys(End& end) {
  end.publisher.tick(1);
  end.publisher.tick(1 + 2 * Publisher::kActiveFor);
  EXPECT_FALSE(end.tables.peers.find({end.other.value})->keys.expanded());
}

TEST_P(KeylessTest, ControlCarriesWhatAWorkerHasNoSchedulesFor) {
  End a("keyless_a", kA, kB, kEndB, wire::Suite::kAesGmacSiv);
  End b("keyless_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
  const ByteVector frame = a.frame(GetParam());
  const auto send = [&] {
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
  };

  take_keys(a);
  send();
  ASSERT_EQ(a.out.punts, 1u);
  EXPECT_EQ(a.out.transmits, 0u);
  EXPECT_EQ(meta_of(a.out.punt[0]).message, Message::kFrame);
  EXPECT_TRUE(std::ranges::equal(bytes_of(a.out.punt[0]), frame)) << "unchanged";
  release(a.out);

  a.publisher.apply(fib::PeerInUse{kB});
  send();
  EXPECT_EQ(punts_of(a.out), 0u);
  ASSERT_GE(a.out.transmits, 1u);

  take_keys(b);
  const auto receive = [&] {
    std::vector<rte_mbuf*> copies;
    for (unsigned i = 0; i < a.out.transmits; ++i)
      copies.push_back(mbuf_of(bytes_of(a.out.transmit[i]), pools().wire));
    cross(copies.data(), static_cast<unsigned>(copies.size()), kEndA);
    b.fast->inbound(copies.data(), static_cast<unsigned>(copies.size()), b.out, b.drops);
  };
  receive();
  EXPECT_EQ(b.out.delivers, 0u);
  ASSERT_EQ(b.out.punts, 1u);
  if (a.out.transmits == 1) {
    EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kDatagram);
    EXPECT_TRUE(std::ranges::equal(bytes_of(b.out.punt[0]), bytes_of(a.out.transmit[0])));
  } else {
    EXPECT_EQ(meta_of(b.out.punt[0]).message, Message::kReassembled);
  }
  release(b.out);

  b.publisher.apply(fib::PeerInUse{kA});
  receive();
  EXPECT_EQ(b.out.delivers, 1u);
  release(b.out);
  release(a.out);
}

TEST_P(KeylessTest, TheOtherCipherIsNotConcerned) {
  End a("keyless_a", kA, kB, kEndB, wire::Suite::kSalsaPoly);
  End b("keyless_b", kB, kA, kEndA, wire::Suite::kAesGmacSiv);
  take_keys(b);
  rte_mbuf* m = mbuf_of(a.frame(GetParam()), pools().frame);
  a.fast->outbound(kNetwork, &m, 1, a.out, a.drops);
  cross(a.out.transmit, a.out.transmits, kEndA);
  b.fast->inbound(a.out.transmit, a.out.transmits, b.out, b.drops);
  EXPECT_EQ(b.out.delivers, 1u);
  a.out.transmits = 0;
  release(a.out);
  release(b.out);
}

}  // namespace
}  // namespace orrery::dataplane::test
