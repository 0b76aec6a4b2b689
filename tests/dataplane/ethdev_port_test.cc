// The underlay over a DPDK device: outer headers off and on, the mirror, next hops.
#include "dataplane/ethdev_port.h"

#include <rte_ethdev.h>
#include <rte_ip.h>

#include <algorithm>

#include "ring_device.h"
#include "wire/fragment.h"

namespace orrery::dataplane::test {
namespace {

const wire::Mac kHost{0x020000000001ULL}, kGatewayMac{0x020000000002ULL};

wire::Endpoint at(const char* text) {
  return *wire::parse_endpoint(text);
}

/// The kernel's side of the mirror, in memory.
class Mirror final : public FramePort {
 public:
  [[nodiscard]] wire::NetworkId network() const noexcept override { return {}; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    std::uint16_t taken = 0;
    for (; taken < n && !from_kernel.empty(); ++taken) {
      out[taken] = from_kernel.front();
      from_kernel.pop_front();
    }
    return taken;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override {
    for (std::uint16_t i = 0; i < n; ++i) {
      to_kernel.emplace_back(bytes_of(in[i]).begin(), bytes_of(in[i]).end());
      rte_pktmbuf_free(in[i]);
    }
  }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  std::deque<rte_mbuf*> from_kernel;
  std::vector<ByteVector> to_kernel;

 private:
  PortCounters counters_;
};

/// The kernel's sockets of the port's addresses, in memory.
class Kernel final : public Port {
 public:
  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    std::uint16_t taken = 0;
    for (; taken < n && !arrived.empty(); ++taken) {
      out[taken] = arrived.front();
      arrived.pop_front();
    }
    return taken;
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override {
    for (std::uint16_t i = 0; i < n; ++i) {
      sent.emplace_back(meta_of(in[i]).remote, rte_pktmbuf_data_len(in[i]));
      rte_pktmbuf_free(in[i]);
    }
  }

  [[nodiscard]] bool owns(fib::LocalSocket) const noexcept override { return false; }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  std::deque<rte_mbuf*> arrived;
  std::vector<std::pair<wire::Endpoint, std::uint16_t>> sent;

 private:
  PortCounters counters_;
};

/// What the kernel knows in these tests.
std::unique_ptr<const UnderlayView> view_with(std::shared_ptr<Port> kernel) {
  auto view = std::make_unique<UnderlayView>();
  view->kernel = std::move(kernel);
  view->locals = {{7, at("10.0.0.1/9993")}, {8, at("2001:db8::1/9993")}};
  view->routes = {
      {at("0.0.0.0/0"), at("10.0.0.254/0")}, {at("10.0.0.0/24"), {}}, {at("2001:db8::/64"), {}}};
  view->neighbours = {
      {at("10.0.0.254/0"), kGatewayMac}, {at("10.0.0.2/0"), kHost}, {at("2001:db8::2/0"), kHost}};
  sort_view(*view);
  return view;
}

void send_by(Port& port, Bytes payload, fib::LocalSocket socket, const wire::Endpoint& remote) {
  rte_mbuf* m = mbuf_of(payload, pools().wire);
  meta_of(m).socket = socket;
  meta_of(m).remote = remote;
  port.send(&m, 1);
}

std::vector<rte_mbuf*> received_by(Port& port) {
  rte_mbuf* burst[64];
  const std::uint16_t n = port.receive(burst, 64);
  return {burst, burst + n};
}

/// A frame of IPv4 that left us, sent back by who got it.
ByteVector sent_back(ByteVector frame) {
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  std::swap_ranges(frame.begin() + 26, frame.begin() + 30, frame.begin() + 30);
  std::swap_ranges(frame.begin() + 34, frame.begin() + 36, frame.begin() + 36);
  return frame;
}

class EthdevPortTest : public Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    auto opened = EthdevPort::open(ring_.name(), pools());
    ASSERT_TRUE(opened) << opened.error().text;
    port_ = opened->front();
    port_->set_mirror(mirror_);
    hand_over(nullptr);
  }

  void hand_over(std::shared_ptr<Port> kernel) { port_->hand_over(view_with(std::move(kernel))); }

  void TearDown() override {
    port_.reset();
    Dataplane::TearDown();
  }

  std::vector<rte_mbuf*> receive() { return received_by(*port_); }

  void send(Bytes payload, fib::LocalSocket socket, const wire::Endpoint& remote,
            std::uint8_t ttl = 0, bool whole = false) {
    rte_mbuf* m = mbuf_of(payload, pools().wire);
    meta_of(m).socket = socket;
    meta_of(m).remote = remote;
    meta_of(m).ttl = ttl;
    meta_of(m).whole = whole;
    port_->send(&m, 1);
  }

  std::shared_ptr<Mirror> mirror_ = std::make_shared<Mirror>();
  RingDevice ring_{256, 256};
  std::shared_ptr<EthdevPort> port_;
};

/// The checksum of RFC 1071 over `bytes`, an independent count.
std::uint16_t sum_of(Bytes bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += (i & 1) != 0 ? bytes[i] : std::uint32_t{bytes[i]} << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

TEST_F(EthdevPortTest, SendsIpv4OnTheLink) {
  const ByteVector payload(333, 0xa5);
  send(payload, 7, at("10.0.0.2/1234"), 3);
  const auto frames = ring_.left();
  ASSERT_EQ(frames.size(), 1u);
  const Bytes f = frames[0];
  ASSERT_EQ(f.size(), 42 + payload.size());
  EXPECT_EQ(wire::Mac::load(f.data()), kHost);
  EXPECT_EQ(wire::Mac::load(f.data() + 6), port_->mac());
  EXPECT_EQ(f[14 + 8], 3) << "TTL";
  EXPECT_EQ(sum_of(f.subspan(14, 20)), 0xffff);
  EXPECT_EQ(sum_of(f.subspan(34), sum_of(f.subspan(26, 8), 17u + 8 + 333)), 0xffff);
  const auto read = read_udp(f);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->source, at("10.0.0.1/9993"));
  EXPECT_EQ(read->destination, at("10.0.0.2/1234"));
  EXPECT_TRUE(std::ranges::equal(f.subspan(read->offset, read->size), payload));
}

TEST_F(EthdevPortTest, OnlyWholeDatagramsMayNotBeFragmented) {
  const ByteVector payload(333, 0xa5);
  for (const bool whole : {true, false}) send(payload, 7, at("10.0.0.2/1234"), 0, whole);
  const auto frames = ring_.left();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(load_be16(frames[0].data() + 20), 0x4000);
  EXPECT_EQ(load_be16(frames[1].data() + 20), 0);
  for (const Bytes frame : frames) EXPECT_EQ(sum_of(frame.subspan(14, 20)), 0xffff);
}

TEST_F(EthdevPortTest, SendsIpv6WithItsChecksum) {
  const ByteVector payload(77, 0x5a);
  send(payload, 8, at("2001:db8::2/1234"));
  const auto frames = ring_.left();
  ASSERT_EQ(frames.size(), 1u);
  const Bytes f = frames[0];
  ASSERT_EQ(f.size(), 62 + payload.size());
  EXPECT_EQ(f[14 + 7], 64) << "hop limit";
  EXPECT_EQ(sum_of(f.subspan(54), sum_of(f.subspan(22, 32), 17u + 8 + 77)), 0xffff);
  const auto read = read_udp(f);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->destination, at("2001:db8::2/1234"));
}

TEST_F(EthdevPortTest, UsesTheGatewayBeyondTheLink) {
  send(ByteVector(50, 1), 7, at("192.0.2.77/9993"));
  const auto frames = ring_.left();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(wire::Mac::load(frames[0].data()), kGatewayMac);
}

TEST_F(EthdevPortTest, AsksForUnknownNextHops) {
  send(ByteVector(50, 1), 7, at("10.0.0.9/9993"));
  send(ByteVector(50, 1), 7, at("10.0.0.9/9993"));
  EXPECT_TRUE(ring_.left().empty());
  EXPECT_EQ(port_->counters().tx_dropped, 2u);
  const auto wanted = port_->take_wanted();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0], at("10.0.0.9/0"));
  EXPECT_TRUE(port_->take_wanted().empty());
}

TEST_F(EthdevPortTest, DropsWhatCannotGo) {
  send(ByteVector(50, 1), 9, at("10.0.0.2/9993"));     // no such socket
  send(ByteVector(50, 1), 8, at("10.0.0.2/9993"));     // the other family
  send(ByteVector(50, 1), 8, at("2001:db9::1/9993"));  // no route
  send(ByteVector(3000, 1), 7, at("10.0.0.2/9993"));   // beyond the device's MTU
  EXPECT_TRUE(ring_.left().empty());
  EXPECT_EQ(port_->counters().tx_dropped, 4u);
  EXPECT_TRUE(port_->owns(7));
  EXPECT_FALSE(port_->owns(9));
}

TEST_F(EthdevPortTest, TheKernelCarriesWhatItCannot) {
  auto kernel = std::make_shared<Kernel>();
  hand_over(kernel);
  send(ByteVector(3000, 1), 7, at("10.0.0.2/9993"));   // beyond the device's MTU
  send(ByteVector(50, 1), 7, at("10.0.0.9/9993"));     // no MAC yet
  send(ByteVector(50, 1), 8, at("2001:db9::1/9993"));  // no route: nowhere
  EXPECT_EQ(port_->counters().tx_dropped, 1u);
  const std::vector<std::pair<wire::Endpoint, std::uint16_t>> expected = {
      {at("10.0.0.2/9993"), 3000}, {at("10.0.0.9/9993"), 50}};
  EXPECT_EQ(kernel->sent, expected);
  EXPECT_EQ(port_->take_wanted(), (std::vector<wire::Endpoint>{at("10.0.0.9/0")}));
  EXPECT_TRUE(ring_.left().empty());

  kernel->arrived.push_back(mbuf_of(ByteVector(5000, 3), pools().frame));
  const auto got = receive();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(rte_pktmbuf_data_len(got[0]), 5000u);
  EXPECT_EQ(port_->counters().rx_bytes, 5000u);
  rte_pktmbuf_free(got[0]);
}

TEST_F(EthdevPortTest, ABusyDeviceDoesNotShutOutTheKernel) {
  auto kernel = std::make_shared<Kernel>();
  hand_over(kernel);
  send(ByteVector(60, 9), 7, at("10.0.0.2/1234"));
  const ByteVector ours = sent_back(ring_.left().at(0));
  kernel->arrived.push_back(mbuf_of(ByteVector(5000, 3), pools().frame));
  int turns = 0;
  for (; !kernel->arrived.empty() && turns < 100; ++turns) {
    ring_.arrive(ours);
    for (rte_mbuf* m : receive()) rte_pktmbuf_free(m);
  }
  EXPECT_GT(turns, 1);
  EXPECT_LE(turns, 16);
}

TEST_F(EthdevPortTest, TellsWhichNeighboursAreInUse) {
  UnderlayView view;
  view.neighbours = {{at("10.0.0.2/0"), kHost}, {at("10.0.0.1/0"), kHost}};
  sort_view(view);
  EXPECT_FALSE(UnderlayView::take_used(view.neighbours[1]));
  EXPECT_EQ(view.mac_of(at("10.0.0.2/0")), kHost);
  EXPECT_FALSE(UnderlayView::take_used(view.neighbours[0]));
  EXPECT_TRUE(UnderlayView::take_used(view.neighbours[1]));
  EXPECT_FALSE(UnderlayView::take_used(view.neighbours[1]));
}

TEST_F(EthdevPortTest, ClaimsItsOwnDatagramsOnly) {
  // A frame to us, made by swapping the ends of one that we sent.
  send(ByteVector(60, 9), 7, at("10.0.0.2/1234"));
  const ByteVector ours = sent_back(ring_.left().at(0));
  const auto fix = [](ByteVector& f) {
    store_be16(f.data() + 24, 0);
    store_be16(f.data() + 24,
               static_cast<std::uint16_t>(~sum_of(Bytes(f).subspan(14, (f[14] & 15u) * 4u))));
  };
  ByteVector padded = ours;
  padded.resize(padded.size() + 6);

  const struct {
    const char* description;
    ByteVector frame;
    bool claimed;
  } rows[] = {
      {"ours", ours, true},
      {"ours with padding", padded, true},
      {"to another UDP port",
       [&] {
         auto f = ours;
         f[37] ^= 1;
         return f;
       }(),
       false},
      {"to another address",
       [&] {
         auto f = ours;
         f[33] ^= 1;
         fix(f);
         return f;
       }(),
       false},
      {"to another MAC",
       [&] {
         auto f = ours;
         f[5] ^= 1;
         return f;
       }(),
       false},
      {"TCP",
       [&] {
         auto f = ours;
         f[23] = 6;
         fix(f);
         return f;
       }(),
       false},
      {"first fragment",
       [&] {
         auto f = ours;
         f[20] = 0x20;
         fix(f);
         return f;
       }(),
       false},
      {"later fragment",
       [&] {
         auto f = ours;
         f[21] = 3;
         fix(f);
         return f;
       }(),
       false},
      {"bad header checksum",
       [&] {
         auto f = ours;
         f[24] ^= 1;
         return f;
       }(),
       false},
      {"IP longer than the frame",
       [&] {
         auto f = ours;
         f[16] = 4;
         fix(f);
         return f;
       }(),
       false},
      {"UDP longer than IP",
       [&] {
         auto f = ours;
         f[38] = 4;
         return f;
       }(),
       false},
      {"UDP shorter than its header",
       [&] {
         auto f = ours;
         store_be16(f.data() + 38, 7);
         return f;
       }(),
       false},
      {"header of 16 bytes",
       [&] {
         auto f = ours;
         f[14] = 0x44;
         return f;
       }(),
       false},
      {"ARP",
       [&] {
         auto f = ours;
         f[13] = 6;
         return f;
       }(),
       false},
      {"runt", ByteVector(ours.begin(), ours.begin() + 20), false},
  };

  for (const auto& row : rows) {
    SCOPED_TRACE(row.description);
    mirror_->to_kernel.clear();
    ring_.arrive(row.frame);
    const auto got = receive();
    if (!row.claimed) {
      EXPECT_TRUE(got.empty());
      ASSERT_EQ(mirror_->to_kernel.size(), 1u);
      EXPECT_EQ(mirror_->to_kernel[0], row.frame) << "the kernel gets it unchanged";
    } else {
      EXPECT_TRUE(mirror_->to_kernel.empty());
      ASSERT_EQ(got.size(), 1u);
      EXPECT_TRUE(std::ranges::equal(bytes_of(got[0]), ByteVector(60, 9)));
      EXPECT_EQ(meta_of(got[0]).remote, at("10.0.0.2/1234"));
      EXPECT_EQ(meta_of(got[0]).socket, 7u);
    }
    for (rte_mbuf* m : got) rte_pktmbuf_free(m);
  }
}

TEST_F(EthdevPortTest, CarriesTheKernelsFrames) {
  const ByteVector frame = ethernet(kHost, port_->mac(), 0x0806, 46);
  mirror_->from_kernel.push_back(mbuf_of(frame, pools().wire));
  EXPECT_TRUE(receive().empty());
  const auto frames = ring_.left();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], frame);
}

/// A device with two queues, of three that are wanted.
class EthdevQueuesTest : public Dataplane {
 protected:
  static constexpr unsigned kQueues = 2;

  void SetUp() override {
    Dataplane::SetUp();
    auto opened = EthdevPort::open(ring_.name(), pools(), 3);
    ASSERT_TRUE(opened) << opened.error().text;
    ASSERT_EQ(opened->size(), kQueues);
    ports_ = *opened;
    for (unsigned q = 0; q < kQueues; ++q) {
      mirrors_[q] = std::make_shared<Mirror>();
      kernels_[q] = std::make_shared<Kernel>();
      ports_[q]->set_mirror(mirrors_[q]);
      ports_[q]->hand_over(view_with(kernels_[q]));
    }
  }

  void TearDown() override {
    ports_.clear();
    Dataplane::TearDown();
  }

  /// As the device brings it: a frame with this payload from 10.0.0.2/1234.
  ByteVector frame_with(Bytes payload) {
    send_by(*ports_[0], payload, 7, kRemote);
    return sent_back(ring_.left(0).at(0));
  }

  /// As the kernel brings it at a queue, from the same.
  void kernel_brings(unsigned queue, Bytes payload) {
    rte_mbuf* m = mbuf_of(payload, pools().wire);
    meta_of(m).remote = kRemote;
    meta_of(m).socket = 7;
    kernels_[queue]->arrived.push_back(m);
  }

  std::size_t received(unsigned queue) {
    const auto got = received_by(*ports_[queue]);
    for (rte_mbuf* m : got) rte_pktmbuf_free(m);
    return got.size();
  }

  const wire::Endpoint kRemote = at("10.0.0.2/1234");
  RingDevice ring_{64, 64, kQueues};
  std::vector<std::shared_ptr<EthdevPort>> ports_;
  std::array<std::shared_ptr<Mirror>, kQueues> mirrors_;
  std::array<std::shared_ptr<Kernel>, kQueues> kernels_;
};

ByteVector fragment_of_some_packet() {
  ByteVector piece(200, 1);
  wire::encode_fragment_header(piece, {0x1234, wire::Address{0x1122334455}, 2, 1, 0});
  return piece;
}

TEST_F(EthdevQueuesTest, EachReceivesSendsAndMirrorsByItself) {
  const ByteVector ours = frame_with(ByteVector(60, 9));
  ByteVector other = ours;
  other[13] = 6;  // ARP
  for (unsigned q = 0; q < kQueues; ++q) {
    const unsigned rest = 1 - q;
    ring_.arrive(ours, q);
    ring_.arrive(other, q);
    EXPECT_EQ(received(rest), 0u);
    EXPECT_EQ(received(q), 1u);
    EXPECT_EQ(mirrors_[q]->to_kernel.size(), 1u);
    mirrors_[q]->to_kernel.clear();
    send_by(*ports_[q], ByteVector(50, 1), 7, kRemote);
    mirrors_[q]->from_kernel.push_back(mbuf_of(other, pools().wire));
    EXPECT_EQ(received(q), 0u);
    EXPECT_EQ(ring_.left(q).size(), 2u);
    EXPECT_TRUE(ring_.left(rest).empty());
    send_by(*ports_[q], ByteVector(3000, 1), 7, kRemote);  // beyond the device's MTU
    EXPECT_EQ(kernels_[q]->sent.size(), 1u);
    EXPECT_TRUE(ports_[q]->owns(7));
  }
}

TEST_F(EthdevQueuesTest, WhatTheKernelBringsMeetsTheOtherPiecesOfItsPacket) {
  const ByteVector piece = fragment_of_some_packet();
  kernel_brings(0, piece);
  EXPECT_EQ(received(0), 1u) << "nobody has heard of its sender";
  ring_.arrive(frame_with(piece), 1);
  EXPECT_EQ(received(1), 1u);
  kernel_brings(0, piece);
  kernel_brings(0, ByteVector(60, 9));  // a packet in one piece
  kernel_brings(1, piece);
  EXPECT_EQ(received(0), 1u) << "the whole one";
  EXPECT_EQ(received(1), 2u);
  // The device may spread flows anew.
  ring_.arrive(frame_with(piece), 0);
  EXPECT_EQ(received(0), 1u);
  kernel_brings(1, piece);
  EXPECT_EQ(received(1), 0u);
  EXPECT_EQ(received(0), 1u);
}

TEST_F(EthdevQueuesTest, StraysThatNobodyTakesAreCountedDrops) {
  const ByteVector piece = fragment_of_some_packet();
  ring_.arrive(frame_with(piece), 1);
  EXPECT_EQ(received(1), 1u);
  constexpr unsigned kMany = 400;
  for (unsigned i = 0; i < kMany; ++i) kernel_brings(0, piece);
  while (!kernels_[0]->arrived.empty()) EXPECT_EQ(received(0), 0u);
  unsigned taken = 0;
  while (const std::size_t n = received(1)) taken += static_cast<unsigned>(n);
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(taken + ports_[0]->counters().rx_dropped, kMany);
}

}  // namespace
}  // namespace orrery::dataplane::test
