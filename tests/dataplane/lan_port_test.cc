// LAN ports: one device, a network per VLAN.
#include "dataplane/lan_port.h"

#include <rte_ethdev.h>

#include <algorithm>

#include "ring_device.h"

namespace orrery::dataplane::test {
namespace {

const wire::Mac kHost{0x020000000001ULL}, kStation{0x020000000002ULL};
const wire::NetworkId kPlain{0xaa}, kTen{0xab}, kTwenty{0xac};

ByteVector untagged(std::uint8_t mark) {
  ByteVector f = ethernet(kHost, kStation, 0x0800, 60);
  f[20] = mark;
  return f;
}

std::vector<ByteVector> receive(LanPort& port) {
  rte_mbuf* burst[64];
  const std::uint16_t n = port.receive(burst, 64);
  std::vector<ByteVector> frames;
  for (std::uint16_t i = 0; i < n; ++i) {
    EXPECT_EQ(meta_of(burst[i]).network, port.network().value);
    frames.emplace_back(bytes_of(burst[i]).begin(), bytes_of(burst[i]).end());
    rte_pktmbuf_free(burst[i]);
  }
  return frames;
}

class LanPortTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    auto device = LanDevice::open(ring_.name(), pools());
    ASSERT_TRUE(device) << device.error().text;
    ASSERT_EQ(device->size(), 1u);
    device_ = device->front();
    plain_ = *LanPort::open(device_, kPlain, LanVlans{});
    ten_ = *LanPort::open(device_, kTen, LanVlans{.vlan = 10});
    twenty_ = *LanPort::open(device_, kTwenty, LanVlans{.vlan = 20});
  }

  void TearDown() override {
    plain_.reset();
    ten_.reset();
    twenty_.reset();
    device_.reset();
    Dataplane::TearDown();
  }

  void arrive(const ByteVector& frame) { ring_.arrive(frame); }

  RingDevice ring_{1024, 64};
  std::shared_ptr<LanDevice> device_;
  std::shared_ptr<LanPort> plain_, ten_, twenty_;
};

TEST_F(LanPortTest, EachVlanGoesToItsNetwork) {
  arrive(tagged(20, untagged(1)));
  arrive(untagged(2));
  arrive(tagged(10, untagged(3)));
  arrive(tagged(0xe000 | 20, untagged(4)));  // with a priority
  arrive(tagged(0x6000, untagged(5)));       // a priority alone is no VLAN
  arrive(tagged(30, untagged(6)));           // nobody's
  arrive(ByteVector(13, 1));                 // no frame
  EXPECT_EQ(receive(*ten_), (std::vector<ByteVector>{untagged(3)}));
  EXPECT_EQ(receive(*plain_), (std::vector<ByteVector>{untagged(2), untagged(5)}));
  EXPECT_EQ(receive(*twenty_), (std::vector<ByteVector>{untagged(1), untagged(4)}));
  EXPECT_EQ(plain_->counters().rx_dropped, 2u);
  EXPECT_EQ(twenty_->counters().rx_packets, 2u);
  EXPECT_EQ(twenty_->counters().rx_bytes, 2u * untagged(1).size());
}

TEST_F(LanPortTest, ATagThatTheDeviceTookOffCounts) {
  rte_mbuf* m = mbuf_of(untagged(7), pools().wire);
  m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
  m->vlan_tci = 0x2000 | 10;
  ring_.arrive(m);
  EXPECT_TRUE(receive(*plain_).empty());
  EXPECT_EQ(receive(*ten_), (std::vector<ByteVector>{untagged(7)}));
}

TEST_F(LanPortTest, OrderIsKeptAndNothingIsLostBeforeALaneIsFull) {
  for (unsigned i = 0; i < 300; ++i) arrive(tagged(20, untagged(static_cast<std::uint8_t>(i))));
  std::vector<ByteVector> all;
  for (int turn = 0; turn < 10; ++turn) {
    EXPECT_TRUE(receive(*plain_).empty());
    EXPECT_TRUE(receive(*ten_).empty());
    const auto some = receive(*twenty_);
    all.insert(all.end(), some.begin(), some.end());
  }
  ASSERT_EQ(all.size(), 300u);
  for (unsigned i = 0; i < 300; ++i) ASSERT_EQ(all[i], untagged(static_cast<std::uint8_t>(i))) << i;
  EXPECT_EQ(plain_->counters().rx_dropped + twenty_->counters().rx_dropped, 0u);
}

TEST_F(LanPortTest, AnUnaskedPortStopsTheDeviceInsteadOfLosing) {
  for (unsigned i = 0; i < 200; ++i) arrive(tagged(20, untagged(1)));
  for (int turn = 0; turn < 10; ++turn) EXPECT_TRUE(receive(*plain_).empty());
  EXPECT_EQ(ring_.waiting(), 200u - 128);
  ring_.forget_waiting();  // the rest is the test's to free; what lies in lanes is the device's
}

TEST_F(LanPortTest, SendsWithItsTag) {
  rte_mbuf* frames[2] = {mbuf_of(untagged(1), pools().wire), mbuf_of(untagged(2), pools().wire)};
  ten_->send(frames, 2);
  rte_mbuf* one = mbuf_of(untagged(3), pools().wire);
  plain_->send(&one, 1);
  EXPECT_EQ(ring_.left(), (std::vector<ByteVector>{tagged(10, untagged(1)), tagged(10, untagged(2)),
                                                   untagged(3)}));
  EXPECT_EQ(ten_->counters().tx_packets, 2u);
  EXPECT_EQ(ten_->counters().tx_bytes, 2u * (untagged(1).size() + 4));
}

TEST_F(LanPortTest, AFrameWithoutRoomForTheTagIsDropped) {
  rte_mbuf* m = mbuf_of(untagged(1), pools().wire);
  ASSERT_NE(rte_pktmbuf_prepend(m, rte_pktmbuf_headroom(m)), nullptr);
  ten_->send(&m, 1);
  EXPECT_TRUE(ring_.left().empty());
  EXPECT_EQ(ten_->counters().tx_dropped, 1u);
}

TEST_F(LanPortTest, AFullDeviceIsCounted) {
  std::vector<rte_mbuf*> frames;
  for (int i = 0; i < 70; ++i) frames.push_back(mbuf_of(untagged(1), pools().wire));
  twenty_->send(frames.data(), static_cast<std::uint16_t>(frames.size()));
  EXPECT_EQ(twenty_->counters().tx_packets, 63u);
  EXPECT_EQ(twenty_->counters().tx_bytes, 63u * (untagged(1).size() + 4));
  EXPECT_EQ(twenty_->counters().tx_dropped, 7u);
  EXPECT_EQ(ring_.left().size(), 63u);
}

TEST_F(LanPortTest, AVlanIsOneNetworks) {
  const auto again = LanPort::open(device_, kPlain, LanVlans{.vlan = 10});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kExists);
  EXPECT_NE(again.error().text.find("VLAN 10"), std::string::npos) << again.error().text;
}

TEST_F(LanPortTest, FramesOfTheNetworkDoNotSlipIntoAnotherVlan) {
  const auto sends = [&](LanPort& port, const ByteVector& frame) {
    rte_mbuf* m = mbuf_of(frame, pools().wire);
    port.send(&m, 1);
    return ring_.left();
  };
  ByteVector cut = tagged(20, untagged(1));
  cut.resize(17);  // the device pads it, and the LAN reads a tag
  for (const ByteVector& frame : {tagged(20, untagged(1)), tagged(30, untagged(1)), cut})
    EXPECT_TRUE(sends(*plain_, frame).empty());
  EXPECT_EQ(plain_->counters().tx_dropped, 3u);
  const ByteVector urgent = tagged(0xa000, untagged(1));  // a priority alone
  EXPECT_EQ(sends(*plain_, urgent), std::vector<ByteVector>{urgent});
  EXPECT_EQ(sends(*ten_, tagged(20, untagged(1))),
            std::vector<ByteVector>{tagged(10, tagged(20, untagged(1)))})
      << "inside its own VLAN";
}

/// The port of the untagged frames preserves tags; VLAN 10 is another port's.
class PreservedTagsTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    auto device = LanDevice::open(ring_.name(), pools());
    ASSERT_TRUE(device) << device.error().text;
    all_ = *LanPort::open(device->front(), kPlain, LanVlans{.preserve_tags = true});
    ten_ = *LanPort::open(device->front(), kTen, LanVlans{.vlan = 10});
  }

  void TearDown() override {
    all_.reset();
    ten_.reset();
    Dataplane::TearDown();
  }

  RingDevice ring_{1024, 64};
  std::shared_ptr<LanPort> all_, ten_;
};

TEST_F(PreservedTagsTest, FramesComeInAsTheyAre) {
  const std::vector<ByteVector> frames = {untagged(1), tagged(0xe000 | 20, untagged(2)),
                                          tagged(0x2000, untagged(3)),
                                          tagged(30, tagged(40, untagged(4)))};
  for (const ByteVector& frame : frames) ring_.arrive(frame);
  ring_.arrive(tagged(10, untagged(5)));
  EXPECT_EQ(receive(*all_), frames);
  EXPECT_EQ(receive(*ten_), std::vector<ByteVector>{untagged(5)});
}

TEST_F(PreservedTagsTest, ATagThatTheDeviceTookOffIsPutBack) {
  rte_mbuf* m = mbuf_of(untagged(7), pools().wire);
  m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
  m->vlan_tci = 0x2000 | 20;
  ring_.arrive(m);
  EXPECT_EQ(receive(*all_), std::vector<ByteVector>{tagged(0x2000 | 20, untagged(7))});
  ByteVector cut = tagged(20, untagged(1));
  cut.resize(17);
  ring_.arrive(cut);
  EXPECT_TRUE(receive(*all_).empty());
  EXPECT_EQ(all_->counters().rx_dropped, 1u);
}

TEST_F(PreservedTagsTest, FramesGoOutAsTheyAreButForAnothersVlan) {
  rte_mbuf* frames[] = {mbuf_of(untagged(1), pools().wire),
                        mbuf_of(tagged(20, untagged(2)), pools().wire),
                        mbuf_of(tagged(10, untagged(3)), pools().wire)};
  all_->send(frames, 3);
  EXPECT_EQ(ring_.left(), (std::vector<ByteVector>{untagged(1), tagged(20, untagged(2))}));
  EXPECT_EQ(all_->counters().tx_dropped, 1u);
}

/// A device with two queues, of three that are wanted, and two networks on it.
class LanQueuesTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    const auto queues = LanDevice::open(ring_.name(), pools(), 3);
    ASSERT_TRUE(queues) << queues.error().text;
    ASSERT_EQ(queues->size(), kQueues);
    for (const auto& queue : *queues) {
      plain_.push_back(*LanPort::open(queue, kPlain, LanVlans{}));
      ten_.push_back(*LanPort::open(queue, kTen, LanVlans{.vlan = 10}));
      EXPECT_FALSE(LanPort::open(queue, kTwenty, LanVlans{.vlan = 10}));
    }
  }

  void TearDown() override {
    plain_.clear();
    ten_.clear();
    Dataplane::TearDown();
  }

  static constexpr unsigned kQueues = 2;
  RingDevice ring_{64, 64, kQueues};
  std::vector<std::shared_ptr<LanPort>> plain_, ten_;
};

TEST_F(LanQueuesTest, EachHasItsFramesAndItsCounts) {
  ring_.arrive(untagged(1), 0);
  ring_.arrive(tagged(10, untagged(2)), 1);
  ring_.arrive(untagged(3), 1);
  EXPECT_EQ(receive(*plain_[1]), std::vector<ByteVector>{untagged(3)});
  EXPECT_EQ(receive(*ten_[1]), std::vector<ByteVector>{untagged(2)});
  EXPECT_EQ(receive(*plain_[0]), std::vector<ByteVector>{untagged(1)});
  EXPECT_TRUE(receive(*ten_[0]).empty());
  EXPECT_EQ(plain_[1]->counters().rx_packets, 1u);
  for (unsigned q = 0; q < kQueues; ++q) {
    rte_mbuf* m = mbuf_of(untagged(static_cast<std::uint8_t>(q)), pools().wire);
    ten_[q]->send(&m, 1);
    EXPECT_EQ(ring_.left(1 - q).size(), 0u);
    EXPECT_EQ(ring_.left(q),
              std::vector<ByteVector>{tagged(10, untagged(static_cast<std::uint8_t>(q)))});
  }
}

TEST_F(LanQueuesTest, TheDeviceStopsWithItsLastQueue) {
  plain_[0].reset();
  ten_[0].reset();
  ring_.arrive(untagged(1), 1);
  EXPECT_EQ(receive(*plain_[1]).size(), 1u);
  std::uint16_t port = 0;
  ASSERT_EQ(rte_eth_dev_get_port_by_name(ring_.name().c_str(), &port), 0);
  plain_[1].reset();
  ten_[1].reset();
  EXPECT_NE(rte_eth_dev_get_port_by_name(ring_.name().c_str(), &port), 0);
}

TEST(Pools, AWireObjectFitsAChunkOfAfXdp) {
  const rte_mempool& wire = *pools().wire;
  EXPECT_LE(wire.header_size + wire.elt_size + wire.trailer_size, 4096u);
  EXPECT_GE(rte_pktmbuf_data_room_size(pools().wire) - RTE_PKTMBUF_HEADROOM, 2800u + 14 + 4);
}

TEST(Ethdev, AnUnknownDeviceIsNamedAndLeavesNothing) {
  const std::uint16_t before = rte_eth_dev_count_avail();
  for (const char* device : {"net_nosuch0", "net_af_packet0,iface=nosuchif", "net_af_packet0"}) {
    for (int again = 0; again < 2; ++again) {
      const auto opened = LanDevice::open(device, pools());
      ASSERT_FALSE(opened) << device;
      EXPECT_NE(opened.error().text.find(device), std::string::npos) << opened.error().text;
      EXPECT_NE(opened.error().text.find("expected"), std::string::npos) << opened.error().text;
    }
  }
  EXPECT_EQ(rte_eth_dev_count_avail(), before);
}

TEST(Ethdev, QueuesThatNobodyReadsAreRefused) {
  for (const char* device :
       {"net_af_packet0,iface=lo,qpairs=3", "net_af_xdp0,iface=lo,queue_count=3"}) {
    const auto opened = LanDevice::open(device, pools(), 2);
    ASSERT_FALSE(opened) << device;
    EXPECT_NE(opened.error().text.find("expected q"), std::string::npos) << opened.error().text;
  }
}

TEST(Ethdev, ARingThatDoesNotFitMbufsIsRefused) {
  const auto opened = LanDevice::open("net_af_packet0,iface=lo,framesz=16384", pools());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kInvalid);
  EXPECT_NE(opened.error().text.find("expected framesz of at most 10240"), std::string::npos);
}

}  // namespace
}  // namespace orrery::dataplane::test
