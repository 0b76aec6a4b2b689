// Two running workers with ports in memory: frames in at A come out at B; the ledger of each adds
// up; tables change under load.
#include "dataplane/worker.h"

#include <algorithm>

#include "running.h"
#include "support/neighbour_frames.h"
#include "wire/bridge_probe.h"

namespace orrery::dataplane::test {
namespace {

class WorkerTest : public Dataplane {};

TEST_F(WorkerTest, FramesCrossTwoWorkersAndTheLedgersAddUp) {
  Running a("worker_a", 1, kA, kB, kEndA, kEndB);
  Running b("worker_b", 2, kB, kA, kEndB, kEndA);
  a.wire_port->connect(b.wire_port.get());
  b.wire_port->connect(a.wire_port.get());
  a.start();
  b.start();
  for (const std::size_t size : {46u, 64u, 256u, 1024u, 1394u, 1395u, 2000u, 2800u}) {
    const ByteVector there = a.end.frame(size), back = b.end.frame(size);
    a.frames->offer(there);
    b.frames->offer(back);
    const auto at_b = await(b, 1), at_a = await(a, 1);
    ASSERT_EQ(at_b.size(), 1u) << size;
    ASSERT_EQ(at_a.size(), 1u) << size;
    EXPECT_EQ(at_b[0], there) << size;
    EXPECT_EQ(at_a[0], back) << size;
  }
  a.frames->offer(ethernet(wire::kBroadcastMac, wire::mac_of(kA, kNetwork), 0x0806, 46));
  for (int i = 0; i < 1000 && a.link.punt.empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  a.stop();
  b.stop();
  EXPECT_GE(a.worker->counters().punted.value(), 1u);
  a.check_ledger();
  b.check_ledger();
}

TEST_F(WorkerTest, TagsCrossAsTheyAre) {
  Running a("tags_a", 1, kA, kB, kEndA, kEndB);
  Running b("tags_b", 2, kB, kA, kEndB, kEndA);
  a.wire_port->connect(b.wire_port.get());
  b.wire_port->connect(a.wire_port.get());
  a.start();
  b.start();
  std::vector<ByteVector> frames;
  for (const std::size_t payload : {46u, 1500u, 2800u}) {
    frames.push_back(tagged(0xa000 | 100, a.end.frame(payload)));
    frames.push_back(tagged(100, tagged(200, a.end.frame(payload))));
  }
  for (const ByteVector& frame : frames) a.frames->offer(frame);
  EXPECT_EQ(await(b, frames.size()), frames);
  a.stop();
  b.stop();
  a.check_ledger();
  b.check_ledger();
}

TEST_F(WorkerTest, RecordsChangeUnderLoad) {
  Running a("load_a", 1, kA, kB, kEndA, kEndB);
  Running b("load_b", 2, kB, kA, kEndB, kEndA);
  a.wire_port->connect(b.wire_port.get());
  b.wire_port->connect(a.wire_port.get());
  a.start();
  b.start();
  std::size_t arrived = 0;
  constexpr std::size_t kFrames = 2000;
  for (std::size_t i = 0; i < kFrames; ++i) {
    a.frames->offer(a.end.frame(46 + i % 1000));
    // Replaced, not changed in meaning: every frame still arrives.
    a.end.publisher.apply(a.end.peer());
    a.end.publisher.apply(a.end.network());
    b.end.publisher.apply(b.end.peer());
    b.end.publisher.apply(b.end.member());
    arrived += b.frames->take().size();
    if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  arrived += await(b, kFrames - arrived).size();
  a.stop();
  b.stop();
  EXPECT_EQ(arrived, kFrames);
  a.end.publisher.reclaim();
  b.end.publisher.reclaim();
  EXPECT_EQ(a.end.publisher.refused(), 0u);
  a.check_ledger();
  b.check_ledger();
}

TEST_F(WorkerTest, PiecesDoNotWaitForTheNextDatagram) {
  Running a("idle_a", 1, kA, kB, kEndA, kEndB);
  MemoryPort far(kEndB);
  far.connect(a.wire_port.get());
  a.wire_port->connect(&far);
  a.start();
  ByteVector head(100, 1);
  wire::PacketHeader h;
  h.destination = kA;
  h.source = kB;
  h.flags = wire::kFlagFragmented;
  wire::encode_packet_header(head, h);
  rte_mbuf* m = mbuf_of(head, pools().wire);
  far.send(&m, 1);
  const auto lost = [&] {
    return a.worker->counters().drops[static_cast<std::size_t>(Drop::kFragmentTimeout)].value();
  };
  for (int i = 0; i < 10'000 && lost() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  a.stop();
  EXPECT_EQ(lost(), 1u);
  EXPECT_EQ(a.worker->counters().parked.value(), 0u);
  a.check_ledger();
}

TEST_F(WorkerTest, FramesToManyAreSentBesideUnitsOfWork) {
  Team team(2);  // nobody sits on the other seat
  Running a("many_a", 1, kA, kB, kEndA, kEndB);
  Running b("many_b", 2, kB, kA, kEndB, kEndA);
  a.worker = std::make_unique<Worker>(pools(), a.link, a.end.fast.get(), false, Place{&team, 0});
  auto set = std::make_unique<PortSet>();
  set->ports = {a.wire_port};
  set->frame_ports = {a.frames};
  a.worker->hand_over(std::move(set));
  a.wire_port->connect(b.wire_port.get());
  b.wire_port->connect(a.wire_port.get());
  const wire::Mac group{0x01005e000001ULL};
  for (Running* end : {&a, &b}) {
    fib::Network n = end->end.network();
    n.multicast_limit = 32;
    end->end.publisher.apply(n);
  }
  a.end.publisher.apply(fib::Group{kNetwork, {group, 0}, 32, 0, {kB}});
  for (unsigned i = 0; i < 64; ++i) {
    a.frames->offer(i % 3 == 0 ? ethernet(group, wire::mac_of(kA, kNetwork), 0x0800, 46 + i)
                               : a.end.frame(46 + i));
  }
  a.start();
  b.start();
  const auto arrived = await(b, 64);
  EXPECT_EQ(arrived.size(), 64u);
  EXPECT_EQ(std::ranges::count_if(arrived, [](const ByteVector& f) { return f[0] == 0x01; }), 22);
  a.stop();
  b.stop();
  EXPECT_EQ(a.worker->counters().merged.value(), 22u) << "the frames themselves";
  a.check_ledger();
  b.check_ledger();
}

TEST_F(WorkerTest, LanPortsOfTheFirstWorkerServeTheOthers) {
  Team team(2);
  Running a("lan_team", 1, kA, kB, kEndA, kEndB);
  a.worker = std::make_unique<Worker>(pools(), a.link, a.end.fast.get(), false, Place{&team, 0});
  FastPathOptions options;
  options.self = kA;
  options.worker = options.nonce_lane = 1;
  FastPath fast(a.end.tables, pools(), options);
  fast.offline();
  ControlLink link;
  ASSERT_TRUE(link.open(2));
  Worker second(pools(), link, &fast, false, Place{&team, 1});
  const auto lan_port = std::make_shared<MemoryFrames>(true);
  const auto tap = std::make_shared<MemoryFrames>();  // the second worker's queue of it
  const auto lan = std::make_shared<LanSwitch>(kNetwork, kA, SipKey{1, 2});
  ASSERT_TRUE(lan->add_lan_port(1, {}));
  lan->set_ports(0b11);
  auto set = std::make_unique<PortSet>();
  set->frame_ports = {a.frames, lan_port};
  set->switched = {{lan, {a.frames.get(), lan_port.get()}}};
  a.worker->hand_over(std::move(set));
  set = std::make_unique<PortSet>();
  set->frame_ports = {tap};
  set->switched = {{lan, {tap.get(), nullptr}}};
  second.hand_over(std::move(set));
  a.start();
  std::thread thread([&] { second.run(); });

  // From the host, and from the overlay: as if a worker had opened it.
  const ByteVector from_host =
      ethernet(wire::kBroadcastMac, wire::mac_of(kA, kNetwork), 0x0806, 46);
  const ByteVector from_overlay =
      ethernet(wire::kBroadcastMac, wire::mac_of(kB, kNetwork), 0x0806, 50);
  tap->offer(from_host);
  rte_mbuf* m = mbuf_of(from_overlay, pools().frame);
  meta_of(m).network = kNetwork.value;
  ASSERT_TRUE(link.deliver.push(m));
  link.wake_worker();
  std::vector<ByteVector> at_lan, at_host;
  for (int i = 0; i < 10'000 && (at_lan.size() < 2 || at_host.empty()); ++i) {
    for (ByteVector& f : lan_port->take()) at_lan.push_back(std::move(f));
    for (ByteVector& f : tap->take()) at_host.push_back(std::move(f));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::ranges::sort(at_lan, {}, &ByteVector::size);
  EXPECT_EQ(at_lan, (std::vector<ByteVector>{from_host, from_overlay}));
  EXPECT_EQ(at_host, std::vector<ByteVector>{from_overlay});
  second.stop();
  thread.join();
  a.stop();
  while (link.punt.pop(&m, 1) != 0) rte_pktmbuf_free(m);
  EXPECT_TRUE(a.frames->take().empty()) << "the host has it by the other queue";
  EXPECT_EQ(second.counters().passed.value(), 2u);
  EXPECT_EQ(a.worker->counters().taken.value(), 2u);
  EXPECT_TRUE(second.counters().balanced());
  a.check_ledger();
}

TEST_F(WorkerTest, WhatFindsNoRoomToTheFirstWorkerIsDropped) {
  Team team(2);  // nobody sits on the first seat
  Running b("full_b", 2, kB, kA, kEndB, kEndA);
  b.worker = std::make_unique<Worker>(pools(), b.link, b.end.fast.get(), false, Place{&team, 1});
  b.worker->hand_over(std::make_unique<PortSet>());
  b.start();
  constexpr unsigned kRoom = ControlLink::kRingSize - 1, kMany = 1'000;
  // One buffer many times over: pools of tests are small.
  rte_mbuf* m = mbuf_of(ByteVector(60, 1), pools().wire);
  meta_of(m).socket = kSocket;
  rte_mbuf_refcnt_set(m, 5 * kMany);
  const auto& c = b.worker->counters();
  for (unsigned sent = kMany; sent <= 5 * kMany; sent += kMany) {
    for (unsigned i = 0; i < kMany; ++i) ASSERT_TRUE(b.link.inject.push(m));
    b.link.wake_worker();
    for (int i = 0; i < 10'000 && c.injected.value() < sent; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  b.stop();
  EXPECT_EQ(c.passed.value(), kRoom);
  EXPECT_EQ(c.drops[static_cast<std::size_t>(Drop::kPassFull)].value(), 5 * kMany - kRoom);
  b.check_ledger();
  while (b.link.pass.pop(&m, 1) != 0) rte_pktmbuf_free(m);
}

TEST_F(WorkerTest, RawDatagramsGoByARingOfTheirOwn) {  // L2
  Running a("raw_a", 1, kA, kB, kEndA, kEndB);
  MemoryPort far(kEndB);
  far.connect(a.wire_port.get());
  a.wire_port->connect(&far);
  a.start();
  ByteVector stranger(100, 1);
  wire::encode_packet_header(stranger, {1, kA, wire::Address{0x5555555555}, 0x18, 0, 0});
  constexpr unsigned kMany = 2'000;
  for (unsigned i = 0; i < kMany; ++i) {
    rte_mbuf* m = mbuf_of(stranger, pools().wire);
    far.send(&m, 1);
    if (i % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto& counters = a.worker->counters();
  for (int i = 0; i < 5'000 && counters.datagrams_in.value() < kMany; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(a.link.punt.empty()) << "nothing stands before what is authentic";
  a.frames->offer(ethernet(wire::kBroadcastMac, wire::mac_of(kA, kNetwork), 0x0806, 46));
  for (int i = 0; i < 5'000 && a.link.punt.empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(a.link.punt.empty());
  EXPECT_FALSE(a.link.raw.empty());
  a.stop();
  EXPECT_GT(counters.drops[static_cast<std::size_t>(Drop::kPuntSource)].value(), 1'000u);
  a.check_ledger();
}

/// A gateway with two LAN ports in one network.
class LocalSwitchTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    gateway_ = std::make_unique<Running>("switch", 1, kA, kB, kEndA, kEndB);
    gateway_->wire_port->connect(far_end_.get());
    fib::Network n = gateway_->end.network();
    n.active_bridge = true;
    n.active_bridges = {kA, kB};
    n.multicast_limit = 32;
    gateway_->end.publisher.apply(n);
    auto set = std::make_unique<PortSet>();
    set->ports = {gateway_->wire_port};
    set->frame_ports = {first_, second_};
    for (const unsigned port : {1u, 2u}) ASSERT_TRUE(lan_->add_lan_port(port, options_));
    lan_->set_ports(0b110);
    set->switched = {{lan_, {nullptr, first_.get(), second_.get()}}};
    gateway_->worker->hand_over(std::move(set));
    gateway_->start();
  }

  void TearDown() override {
    if (gateway_->thread.joinable()) gateway_->stop();
    gateway_->check_ledger();
    gateway_.reset();
    far_end_.reset();
    Dataplane::TearDown();
  }

  /// A frame from a station of the first LAN; returns once the worker has had it.
  void offer(const std::shared_ptr<MemoryFrames>& port, wire::Mac destination, wire::Mac source) {
    offer(port, ethernet(destination, source, 0x0800, 46));
  }

  void offer(const std::shared_ptr<MemoryFrames>& port, const ByteVector& frame) {
    const std::uint64_t before = gateway_->worker->counters().frames_in.value();
    port->offer(frame);
    settle([&] { return gateway_->worker->counters().frames_in.value() > before; });
  }

  /// A frame that came from the overlay, as control hands it over.
  void from_overlay(wire::Mac destination, wire::Mac source) {
    from_overlay(ethernet(destination, source, 0x0800, 46));
  }

  void from_overlay(const ByteVector& frame) {
    const std::uint64_t before = gateway_->worker->counters().handed_frames.value();
    rte_mbuf* m = mbuf_of(frame, pools().frame);
    meta_of(m).network = kNetwork.value;
    ASSERT_TRUE(gateway_->link.deliver.push(m));
    gateway_->link.wake_worker();
    settle([&] { return gateway_->worker->counters().handed_frames.value() > before; });
  }

  std::size_t at(const std::shared_ptr<MemoryFrames>& port) { return port->take().size(); }

  /// Frames that left for the overlay: control gets what the worker has no member for.
  std::size_t overlay() {
    std::size_t n = 0;
    for (rte_mbuf* m = nullptr; gateway_->link.punt.pop(&m, 1) != 0; ++n) rte_pktmbuf_free(m);
    return n;
  }

  const wire::Mac one_{0x525400000001ULL}, two_{0x525400000002ULL}, far_{0x525400000009ULL};
  LanPortOptions options_;
  std::shared_ptr<LanSwitch> lan_ = std::make_shared<LanSwitch>(kNetwork, kA, SipKey{1, 2});
  std::shared_ptr<MemoryFrames> first_ = std::make_shared<MemoryFrames>(true);
  std::shared_ptr<MemoryFrames> second_ = std::make_shared<MemoryFrames>(true);
  std::unique_ptr<Running> gateway_;

 private:
  std::unique_ptr<MemoryPort> far_end_ = std::make_unique<MemoryPort>(kEndB);

  template <typename Done>
  void settle(Done done) {
    for (int i = 0; i < 5000 && !done(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::uint64_t turn = gateway_->worker->counters().turns.value();
    for (int i = 0; i < 5000 && gateway_->worker->counters().turns.value() < turn + 2; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
};

TEST_F(LocalSwitchTest, UnknownStationsAreSoughtEverywhere) {
  offer(first_, far_, one_);
  EXPECT_EQ(at(second_), 1u);
  EXPECT_EQ(at(first_), 0u) << "never back to where it came from";
  EXPECT_EQ(overlay(), 1u);
}

TEST_F(LocalSwitchTest, MembersAreNotSoughtOnTheLan) {
  offer(first_, wire::mac_of(kB, kNetwork), one_);
  EXPECT_EQ(at(second_), 0u);
}

TEST_F(LocalSwitchTest, KnownStationsGetTheirFramesAlone) {
  offer(second_, wire::kBroadcastMac, two_);
  EXPECT_EQ(at(first_), 1u) << "broadcast";
  EXPECT_EQ(overlay(), 1u) << "broadcast";
  offer(first_, two_, one_);
  EXPECT_EQ(at(second_), 1u);
  EXPECT_EQ(overlay(), 0u);
}

TEST_F(LocalSwitchTest, WhatStaysOnOneLanIsDropped) {
  offer(first_, wire::kBroadcastMac, one_);
  offer(first_, wire::kBroadcastMac, two_);
  (void)at(second_);
  (void)overlay();
  offer(first_, two_, one_);
  EXPECT_EQ(at(second_), 0u);
  EXPECT_EQ(overlay(), 0u);
  EXPECT_EQ(gateway_->worker->counters().drops[static_cast<std::size_t>(Drop::kLocal)], 1u);
}

TEST_F(LocalSwitchTest, ProbesAreControlsAndNobodyElses) {
  ByteVector probe =
      ethernet(wire::kBridgeProbeGroup, wire::Mac{0x060000000001}, wire::kBridgeProbeEthertype, 46);
  store_be32(probe.data() + 14, 0x4f724250);
  const std::uint64_t before = gateway_->worker->counters().punted.value();
  second_->offer(probe);
  for (int i = 0; i < 5000 && gateway_->worker->counters().punted.value() == before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  rte_mbuf* m = nullptr;
  ASSERT_EQ(gateway_->link.punt.pop(&m, 1), 1u);
  EXPECT_EQ(meta_of(m).message, Message::kProbe);
  EXPECT_EQ(meta_of(m).side, 2 + 1);
  EXPECT_EQ(meta_of(m).network, kNetwork.value);
  EXPECT_TRUE(std::ranges::equal(bytes_of(m), probe));
  rte_pktmbuf_free(m);
  EXPECT_EQ(at(first_) + at(second_), 0u);
}

TEST_F(LocalSwitchTest, AFrameForOnePortGoesThereOnly) {
  rte_mbuf* m = mbuf_of(ethernet(wire::kBroadcastMac, one_, 0x0800, 46), pools().frame);
  meta_of(m).network = kNetwork.value;
  meta_of(m).side = 2 + 1;
  ASSERT_TRUE(gateway_->link.deliver.push(m));
  gateway_->link.wake_worker();
  std::size_t n = 0;
  for (int i = 0; i < 5000 && n == 0; ++i) {
    n = at(second_);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(n, 1u);
  EXPECT_EQ(at(first_), 0u);
}

TEST_F(LocalSwitchTest, WhatCameFromTheOverlayDoesNotReturnToIt) {
  from_overlay(wire::kBroadcastMac, far_);
  from_overlay(two_, far_);
  EXPECT_EQ(at(first_), 2u);
  EXPECT_EQ(at(second_), 2u);
  EXPECT_EQ(overlay(), 0u);
}

/// The same with suppression: one_ is 10.0.0.1 behind the first port, far_ is 10.0.0.9 behind
/// bridge B.
class SuppressingSwitchTest : public LocalSwitchTest {
 protected:
  static constexpr std::uint32_t kOneIp = 0x0a000001, kFarIp = 0x0a000009;

  SuppressingSwitchTest() { options_.arp_nd_suppression = true; }

  void SetUp() override {
    LocalSwitchTest::SetUp();
    gateway_->end.publisher.apply(fib::BridgeRoute{kNetwork, far_, kB});
    lan_->add_remote(far_, 1);
    fib::Member b = gateway_->end.member();
    b.active_bridge = true;
    gateway_->end.publisher.apply(b);
    from_overlay(orrery::test::arp_request(far_, kFarIp, kFarIp));
    offer(first_, orrery::test::arp_request(one_, kOneIp, kOneIp));
    forget();
  }

  void forget() {
    (void)at(first_);
    (void)at(second_);
    (void)overlay();
  }

  std::uint64_t suppressed() const {
    const WorkerCounters& c = gateway_->worker->counters();
    const std::uint64_t n = c.drops[static_cast<std::size_t>(Drop::kSuppressed)].value();
    EXPECT_EQ(c.answers.value(), n) << "each has its answer";
    return n;
  }
};

TEST_F(SuppressingSwitchTest, ALanIsAnsweredInTheNameOfTheOverlay) {
  using namespace orrery::test;
  offer(first_, arp_request(one_, kOneIp, kFarIp));
  EXPECT_EQ(suppressed(), 1u);
  EXPECT_EQ(first_->take(),
            std::vector<ByteVector>{arp(kArpReply, one_, far_, far_, kFarIp, kOneIp)});
  EXPECT_EQ(at(second_), 1u) << "other LANs of the node get the request as before";
  EXPECT_EQ(overlay(), 0u);
  EXPECT_EQ(gateway_->worker->counters().sent.value(), 0u);
}

TEST_F(SuppressingSwitchTest, AnswersAreInTheVlanOfTheQuestion) {
  using namespace orrery::test;
  constexpr std::uint16_t kTag = 0x6000 | 100;
  from_overlay(tagged(100, arp_request(far_, kFarIp, kFarIp)));
  forget();
  offer(first_, tagged(kTag, arp_request(one_, kOneIp, kFarIp)));
  EXPECT_EQ(suppressed(), 1u);
  EXPECT_EQ(first_->take(), std::vector<ByteVector>{
                                tagged(kTag, arp(kArpReply, one_, far_, far_, kFarIp, kOneIp))});
}

TEST_F(SuppressingSwitchTest, TheOverlayIsAnsweredInTheNameOfAStation) {
  using namespace orrery::test;
  from_overlay(arp_request(far_, kFarIp, kOneIp));
  EXPECT_EQ(suppressed(), 1u);
  EXPECT_EQ(at(first_) + at(second_), 0u);
  EXPECT_EQ(gateway_->worker->counters().sent.value(), 1u) << "to bridge B";
}

TEST_F(SuppressingSwitchTest, ConflictsAndProbesGoOn) {
  using namespace orrery::test;
  offer(first_, arp_request(one_, 0, kFarIp));
  EXPECT_EQ(overlay(), 1u) << "a probe";
  offer(first_, arp_request(two_, kFarIp, kFarIp));
  EXPECT_EQ(overlay(), 1u) << "an announcement that contradicts";
  offer(first_, arp_request(one_, kOneIp, kFarIp));
  EXPECT_EQ(overlay(), 1u) << "nobody's";
  EXPECT_EQ(suppressed(), 0u);
}

TEST_F(SuppressingSwitchTest, OnlyWhatRulesLetPassIsAnswered) {
  using namespace orrery::test;
  const auto rules = [&](std::initializer_list<std::pair<wire::RuleType, wire::Mac>> list) {
    fib::Network n = gateway_->end.network();
    n.active_bridge = true;
    n.active_bridges = {kA, kB};
    n.multicast_limit = 32;
    n.rules.clear();
    for (const auto& [type, mac] : list) {
      wire::Rule rule;
      rule.type = static_cast<std::uint8_t>(type);
      if (mac) mac.store(rule.data.data());
      n.rules.push_back(rule);
    }
    gateway_->end.publisher.apply(n);
  };
  const auto asked = [&] {
    offer(first_, arp_request(one_, kOneIp, kFarIp));
    return suppressed();
  };
  using enum wire::RuleType;
  rules({{kMatchMacSource, far_}, {kActionDrop, {}}, {kActionAccept, {}}});
  EXPECT_EQ(asked(), 0u) << "its answer would not come in";
  rules({{kMatchMacSource, one_}, {kActionDrop, {}}, {kActionAccept, {}}});
  EXPECT_EQ(asked(), 0u) << "the question would not go out";
  rules({{kMatchMacSource, two_}, {kActionDrop, {}}, {kActionAccept, {}}});
  EXPECT_EQ(asked(), 1u) << "neither is refused";
}

TEST_F(SuppressingSwitchTest, OnlyMembersAreAnsweredFor) {
  using namespace orrery::test;
  fib::Member b = gateway_->end.member();
  b.allowed = false;
  gateway_->end.publisher.apply(b);
  offer(first_, arp_request(one_, kOneIp, kFarIp));
  EXPECT_EQ(suppressed(), 0u);
  EXPECT_EQ(overlay(), 1u);
}

}  // namespace
}  // namespace orrery::dataplane::test
