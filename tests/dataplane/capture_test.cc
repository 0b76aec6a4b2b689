// Stories of packets through two running workers: each is seen once at each of the four points, or
// nowhere; what is dropped says why.
#include "dataplane/capture.h"

#include <algorithm>
#include <map>

#include "running.h"
#include "wire/header.h"

namespace orrery::dataplane::test {
namespace {

constexpr std::uint8_t kAllPoints = 15;

struct Seen {
  Sighting sighting;
  ByteVector bytes;
};

/// Two gateways whose workers may be captured.
class CaptureTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    a_ = std::make_unique<Running>("capture_a", 1, kA, kB, kEndA, kEndB, &capture_a_.recorder(0));
    b_ = std::make_unique<Running>("capture_b", 2, kB, kA, kEndB, kEndA, &capture_b_.recorder(0));
    a_->wire_port->connect(b_->wire_port.get());
    b_->wire_port->connect(a_->wire_port.get());
  }

  void TearDown() override {
    for (Running* end : {a_.get(), b_.get()}) {
      if (end->thread.joinable()) end->stop();
      end->check_ledger();
    }
    a_.reset();
    b_.reset();
    Dataplane::TearDown();
  }

  void start(Sampling sampling) {
    number_a_ = capture_a_.start(sampling).value();
    number_b_ = capture_b_.start(sampling).value();
    a_->start();
    b_->start();
  }

  void stop() {
    a_->stop();
    b_->stop();
  }

  static std::vector<Seen> drain(Capture& capture, std::uint8_t number) {
    std::vector<Seen> all;
    capture.recorder(0).drain(number, [&](const Sighting& s, Bytes bytes) {
      all.push_back({s, {bytes.begin(), bytes.end()}});
    });
    return all;
  }

  std::vector<Seen> at_a() { return drain(capture_a_, number_a_); }

  std::vector<Seen> at_b() { return drain(capture_b_, number_b_); }

  Capture capture_a_{1, {1, 2}}, capture_b_{1, {3, 4}};
  std::uint8_t number_a_ = 0, number_b_ = 0;
  std::unique_ptr<Running> a_, b_;
};

TEST_F(CaptureTest, AFrameIsSeenOnceAtEveryPointOfBothEnds) {
  start({0, kAllPoints, 0xffff, 1});
  const ByteVector frame = a_->end.frame(200);
  a_->frames->offer(frame);
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  stop();

  const std::vector<Seen> out = at_a(), in = at_b();
  ASSERT_EQ(out.size(), 4u);
  ASSERT_EQ(in.size(), 4u) << "an event for control is no packet";
  const Point there[] = {Point::kHost, Point::kRules, Point::kDecrypted, Point::kOuter};
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(out[i].sighting.spot.point, there[i]) << i;
    EXPECT_EQ(out[i].sighting.spot.direction, Direction::kOutbound);
    EXPECT_EQ(out[i].sighting.story, out[0].sighting.story);
    EXPECT_EQ(in[i].sighting.spot.point, there[3 - i]) << i;
    EXPECT_EQ(in[i].sighting.spot.direction, Direction::kInbound);
    EXPECT_EQ(in[i].sighting.story, in[0].sighting.story);
    EXPECT_GE(out[i].sighting.nanoseconds, out[0].sighting.nanoseconds);
  }
  EXPECT_EQ(out[0].bytes, frame);
  EXPECT_EQ(out[1].bytes, frame);
  EXPECT_EQ(in[2].bytes, frame) << "the header that the frame will have";
  EXPECT_EQ(in[3].bytes, frame);
  EXPECT_EQ(out[3].bytes, in[0].bytes) << "the datagram on the wire";
  EXPECT_NE(out[2].bytes, out[3].bytes);
  EXPECT_TRUE(std::ranges::equal(Bytes(out[2].bytes).subspan(wire::kVerbOffset),
                                 Bytes(in[1].bytes).subspan(wire::kVerbOffset)))
      << "verb and payload in clear at both ends";
  EXPECT_EQ(out[1].sighting.peer, kB);
  EXPECT_EQ(in[2].sighting.peer, kA);
  EXPECT_EQ(out[0].sighting.network, kNetwork.value);
  EXPECT_EQ(in[2].sighting.network, kNetwork.value);
  EXPECT_EQ(out[3].sighting.remote, kEndB);
  EXPECT_EQ(in[0].sighting.remote, kEndA);
}

TEST_F(CaptureTest, PiecesAreOfOneStory) {
  start({0, kAllPoints, 0xffff, 1});
  a_->frames->offer(a_->end.frame(2000));
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  stop();
  const auto count = [](const std::vector<Seen>& all, Point p) {
    return std::ranges::count_if(all, [&](const Seen& s) {
      return s.sighting.spot.point == p && s.sighting.story == all[0].sighting.story;
    });
  };
  for (const std::vector<Seen>& all : {at_a(), at_b()}) {
    EXPECT_EQ(count(all, Point::kOuter), 2);
    EXPECT_EQ(count(all, Point::kDecrypted), 1);
    EXPECT_EQ(count(all, Point::kRules), 1);
    EXPECT_EQ(count(all, Point::kHost), 1);
  }
}

TEST_F(CaptureTest, WhatIsDroppedSaysWhyAndShowsWhatItWas) {
  fib::Network closed = b_->end.network();
  closed.rules[0].type = static_cast<std::uint8_t>(wire::RuleType::kActionDrop);
  b_->end.publisher.apply(closed);
  start({0, kAllPoints, 0xffff, 1});
  a_->frames->offer(a_->end.frame(100));
  const auto dropped = [&] {
    return b_->worker->counters().drops[static_cast<std::size_t>(Drop::kRules)].value();
  };
  for (int i = 0; i < 5000 && dropped() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop();
  const std::vector<Seen> in = at_b();
  ASSERT_EQ(in.size(), 3u);
  EXPECT_EQ(in[1].sighting.spot.point, Point::kDecrypted);
  EXPECT_EQ(in[2].sighting.spot.point, Point::kDecrypted) << "beyond it";
  EXPECT_EQ(in[2].sighting.fate, Fate::kDropped);
  EXPECT_EQ(in[2].sighting.drop, Drop::kRules);
  EXPECT_EQ(in[2].sighting.story, in[0].sighting.story);
  EXPECT_EQ(in[2].bytes, in[1].bytes);
}

TEST_F(CaptureTest, WhatIsNotAuthenticShowsNoBytesOfItsDecryption) {
  start({0, 1u << static_cast<unsigned>(Point::kRules), 0xffff, 1});
  MemoryPort stranger(kEndA);
  stranger.connect(b_->wire_port.get());
  ByteVector forged(100, 7);
  wire::PacketHeader header;
  header.destination = kB;
  header.source = kA;
  header.flags = 3u << 3;  // AES-GMAC-SIV
  wire::encode_packet_header(forged, header);
  rte_mbuf* m = mbuf_of(forged, pools().wire);
  stranger.send(&m, 1);
  const auto dropped = [&] {
    return b_->worker->counters().drops[static_cast<std::size_t>(Drop::kMac)].value();
  };
  for (int i = 0; i < 5000 && dropped() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop();
  const std::vector<Seen> in = at_b();
  ASSERT_EQ(in.size(), 1u) << "ends are told whatever points were asked for";
  EXPECT_EQ(in[0].sighting.drop, Drop::kMac);
  EXPECT_EQ(in[0].sighting.spot.point, Point::kOuter);
  EXPECT_EQ(in[0].sighting.size, 100);
  EXPECT_TRUE(in[0].bytes.empty());
}

TEST_F(CaptureTest, WhatControlGetsAndSendsSaysSo) {
  start({0, kAllPoints, 0xffff, 1});
  a_->frames->offer(ethernet(wire::kBroadcastMac, wire::mac_of(kA, kNetwork), 0x0806, 46));
  rte_mbuf* m = mbuf_of(b_->end.frame(60), pools().wire);
  meta_of(m).network = kNetwork.value;
  ASSERT_TRUE(a_->link.deliver.push(m));
  a_->link.wake_worker();
  ASSERT_EQ(await(*a_, 1).size(), 1u);
  for (int i = 0; i < 5000 && a_->worker->counters().punted.value() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop();
  unsigned punted = 0, by_control = 0;
  for (const Seen& s : at_a()) {
    punted += s.sighting.fate == Fate::kPunted && s.sighting.spot.point == Point::kHost;
    by_control += is_of_control(s.sighting.story);
  }
  EXPECT_EQ(punted, 1u);
  EXPECT_EQ(by_control, 1u);
}

TEST_F(CaptureTest, AllPointsOrNone) {
  constexpr std::size_t kFrames = 400;
  start({0, kAllPoints, 64, 4});
  std::size_t arrived = 0;
  for (std::size_t i = 0; i < kFrames; ++i) {
    a_->frames->offer(a_->end.frame(46 + i));
    if (i % 32 == 31) arrived += await(*b_, 32).size();
  }
  arrived += await(*b_, kFrames - arrived).size();
  ASSERT_EQ(arrived, kFrames);
  stop();
  for (const std::vector<Seen>& all : {at_a(), at_b()}) {
    std::map<std::uint64_t, unsigned> stories;
    for (const Seen& s : all) {
      if (s.sighting.fate != Fate::kPassed) continue;
      stories[s.sighting.story] |= 1u << static_cast<unsigned>(s.sighting.spot.point);
      EXPECT_LE(s.bytes.size(), 64u);
      EXPECT_GE(s.sighting.size, s.bytes.size());
    }
    for (const auto& [story, points] : stories) EXPECT_EQ(points, kAllPoints) << story;
    // A quarter of 400 by chance: more than eight standard deviations to either side.
    EXPECT_GT(stories.size(), 30u);
    EXPECT_LT(stories.size(), 170u);
  }
}

TEST_F(CaptureTest, UnitsOfWorkKeepTheirStories) {
  Team team(2);  // nobody sits on the other seat
  a_->worker =
      std::make_unique<Worker>(pools(), a_->link, a_->end.fast.get(), false, Place{&team, 0});
  auto set = std::make_unique<PortSet>();
  set->ports = {a_->wire_port};
  set->frame_ports = {a_->frames};
  a_->worker->hand_over(std::move(set));
  for (unsigned i = 0; i < 64; ++i) a_->frames->offer(a_->end.frame(46 + i));
  start({0, kAllPoints, 64, 1});
  ASSERT_EQ(await(*b_, 64).size(), 64u);
  stop();
  std::map<std::uint64_t, std::vector<Point>> stories;
  for (const Seen& s : at_a()) stories[s.sighting.story].push_back(s.sighting.spot.point);
  EXPECT_EQ(stories.size(), 64u);
  for (const auto& [story, points] : stories) {
    EXPECT_EQ(points, (std::vector{Point::kHost, Point::kRules, Point::kDecrypted, Point::kOuter}));
  }
}

TEST_F(CaptureTest, NothingIsSeenUnlessACaptureRuns) {
  a_->start();
  b_->start();
  a_->frames->offer(a_->end.frame(100));
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  const auto seen = [this] { return capture_a_.recorder(0).seen(Point::kHost).value(); };
  EXPECT_EQ(seen(), 0u);
  const auto number = capture_a_.start({0, kAllPoints, 64, 1});
  ASSERT_TRUE(number);
  EXPECT_FALSE(capture_a_.start({0, kAllPoints, 64, 1})) << "one at a time";
  a_->frames->offer(a_->end.frame(100));
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  const std::uint64_t turns = a_->worker->counters().turns.value();
  capture_a_.stop();
  for (int i = 0; i < 5000 && a_->worker->counters().turns.value() < turns + 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  a_->frames->offer(a_->end.frame(100));
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  stop();
  EXPECT_EQ(seen(), 1u);
  EXPECT_TRUE(drain(capture_a_, static_cast<std::uint8_t>(*number + 1)).empty())
      << "what was seen for an earlier capture is not the next one's";
  EXPECT_EQ(capture_a_.start({0, kAllPoints, 64, 1}), static_cast<std::uint8_t>(*number + 1));
}

TEST_F(CaptureTest, AFullRingLosesWhatComesAndCountsIt) {
  start({0, 1u << static_cast<unsigned>(Point::kHost), 0xffff, 1});
  const std::size_t fits = Recorder::kRingBytes / 9'000;
  std::size_t sent = 0;
  for (; sent < fits + 20; ++sent) {
    a_->frames->offer(a_->end.frame(9'000));
    ASSERT_EQ(await(*b_, 1).size(), 1u) << "packets go on, whoever looks at them";
  }
  stop();
  const std::uint64_t lost = capture_a_.recorder(0).lost(Point::kHost);
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(capture_a_.recorder(0).seen(Point::kHost), sent);
  EXPECT_EQ(at_a().size(), sent - lost);
}

TEST_F(CaptureTest, CopiesOfAMulticastFrameAreOfItsStory) {
  const wire::Mac group{0x01005e000001ULL};
  for (Running* end : {a_.get(), b_.get()}) {
    fib::Network n = end->end.network();
    n.multicast_limit = 32;
    end->end.publisher.apply(n);
  }
  a_->end.publisher.apply(fib::Group{kNetwork, {group, 0}, 32, 0, {kB}});
  start({0, kAllPoints, 0xffff, 1});
  a_->frames->offer(ethernet(group, wire::mac_of(kA, kNetwork), 0x0800, 80));
  ASSERT_EQ(await(*b_, 1).size(), 1u);
  stop();
  std::vector<Point> points;
  for (const Seen& s : at_a()) points.push_back(s.sighting.spot.point);
  EXPECT_EQ(points, (std::vector{Point::kHost, Point::kRules, Point::kDecrypted, Point::kOuter}));
}

}  // namespace
}  // namespace orrery::dataplane::test
