// tunnel_port: a worker's side of a TCP fallback, against a relay in hand, in a namespace of the
// test's own.
#include "tap/tunnel_port.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "port_test.h"
#include "tap/sockaddr.h"

namespace orrery::tap {
namespace {

using dataplane::meta_of;
using dataplane::test::bytes_of;
using dataplane::test::pools;
using test::at;

constexpr fib::LocalSocket kId = 0x8000'0001;
const wire::Endpoint kPeer = wire::Endpoint::v4(0x05050502, 9993);
using State = TunnelPort::State;

/// Listens on loopback and has the other end in hand.
struct Relay {
  Relay() {
    sockaddr_storage address;
    const socklen_t size = to_sockaddr(at("127.0.0.1/0"), address);
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener, 4), 0);
    where = local_endpoint(listener);
  }

  ~Relay() {
    ::close(listener);
    if (fd >= 0) ::close(fd);
  }

  void accept() { fd = ::accept(listener, nullptr, nullptr); }

  void send(Bytes bytes) const {
    ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  /// Messages that came, once there are `n`.
  std::vector<ByteVector> messages(std::size_t n) {
    std::vector<ByteVector> found;
    while (found.size() < n) {
      const MutableBytes room = stream->room();
      const ssize_t got = ::recv(fd, room.data(), room.size(), 0);
      if (got <= 0) break;
      stream->filled(static_cast<std::size_t>(got));
      while (const auto m = stream->next()) found.emplace_back(m->begin(), m->end());
    }
    return found;
  }

  int listener = -1, fd = -1;
  wire::Endpoint where;
  std::unique_ptr<wire::TunnelStream> stream = std::make_unique<wire::TunnelStream>();
};

ByteVector framed(const wire::Endpoint& endpoint, Bytes datagram) {
  ByteVector bytes(wire::kTunnelHeadSize + wire::kTunnelEndpointSize);
  bytes.resize(wire::write_tunnel_head(bytes, endpoint, datagram.size()));
  bytes.insert(bytes.end(), datagram.begin(), datagram.end());
  return bytes;
}

class TunnelPortTest : public test::PortTest {
 protected:
  void SetUp() override {
    PortTest::SetUp();
    if (!IsSkipped()) relay_ = std::make_unique<Relay>();
  }

  void TearDown() override {
    port_ = nullptr;
    Dataplane::TearDown();
  }

  void open() {
    auto port = TunnelPort::open(kId, relay_->where, pools().wire, pools().frame);
    ASSERT_TRUE(port) << port.error().text;
    port_ = std::move(*port);
    relay_->accept();
    await(State::kOpen);
  }

  /// Lets the port work, as a worker does when its descriptor is ready, until it is so.
  void await(State state) {
    for (int i = 0; i < 500 && port_->state() != state; ++i) {
      wait();
      (void)receive(0);
    }
    ASSERT_EQ(static_cast<int>(port_->state()), static_cast<int>(state));
  }

  void wait(int ms = 10) const {
    pollfd p{port_->wait_fds().at(0), POLLIN, 0};
    (void)::poll(&p, 1, ms);
  }

  std::vector<std::pair<wire::Endpoint, ByteVector>> receive(std::size_t at_least) {
    std::vector<std::pair<wire::Endpoint, ByteVector>> all;
    for (int i = 0; i < 500; ++i) {
      rte_mbuf* burst[8];
      const std::uint16_t n = port_->receive(burst, 8);
      for (std::uint16_t k = 0; k < n; ++k) {
        const Bytes bytes = bytes_of(burst[k]);
        EXPECT_EQ(meta_of(burst[k]).socket, kId);
        EXPECT_EQ(meta_of(burst[k]).wire_size, bytes.size());
        all.emplace_back(meta_of(burst[k]).remote, ByteVector(bytes.begin(), bytes.end()));
      }
      rte_pktmbuf_free_bulk(burst, n);
      if (n == 0 && all.size() >= at_least) break;
      if (n == 0) wait();
    }
    return all;
  }

  void send(std::vector<ByteVector> datagrams, const wire::Endpoint& to = kPeer) {
    std::vector<rte_mbuf*> burst;
    for (const ByteVector& d : datagrams) burst.push_back(datagram(d, to, kId));
    PortTest::send(*port_, std::move(burst));
  }

  std::unique_ptr<Relay> relay_;
  std::shared_ptr<TunnelPort> port_;
};

TEST_F(TunnelPortTest, GreetsAndCarriesBothWays) {
  open();
  EXPECT_TRUE(port_->owns(kId));
  EXPECT_FALSE(port_->owns(1));
  EXPECT_TRUE(port_->local().same_ip(at("127.0.0.1/0")));
  auto got = relay_->messages(1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(wire::decode_tunnel_message(got[0])->kind, wire::TunnelMessage::Kind::kHello);

  send({ByteVector(28, 1), ByteVector(1'432, 2), ByteVector(10'000, 3)});
  got = relay_->messages(3);
  ASSERT_EQ(got.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto decoded = wire::decode_tunnel_message(got[i]);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->endpoint, kPeer);
    EXPECT_EQ(decoded->datagram.size(), std::vector<std::size_t>({28, 1'432, 10'000})[i]);
    EXPECT_EQ(decoded->datagram.back(), i + 1);
  }
  EXPECT_EQ(port_->counters().tx_packets, 3u);

  // answers, cut where the network likes; what has no address is ignored
  ByteVector stream = framed(kPeer, ByteVector(40, 7));
  for (const ByteVector& more :
       {*from_hex("170303000100"), framed(at("2001:db8::1/5"), ByteVector(9'900, 8)),
        framed(kPeer, ByteVector(1, 9))}) {
    stream.insert(stream.end(), more.begin(), more.end());
  }
  relay_->send(Bytes(stream).first(3));
  relay_->send(Bytes(stream).subspan(3, 100));
  relay_->send(Bytes(stream).subspan(103));
  const auto came = receive(3);
  ASSERT_EQ(came.size(), 3u);
  EXPECT_EQ(came[0], std::pair(kPeer, ByteVector(40, 7)));
  EXPECT_EQ(came[1], std::pair(at("2001:db8::1/5"), ByteVector(9'900, 8)));
  EXPECT_EQ(came[2], std::pair(kPeer, ByteVector(1, 9)));
}

TEST_F(TunnelPortTest, ARelayThatDoesNotReadCostsDatagramsAndNobodyWaits) {
  open();
  // Far more than the two kernel buffers take.
  for (int i = 0; i < 12'000; ++i) send({ByteVector(1'400, 1)});
  const std::uint64_t dropped = port_->counters().tx_dropped;
  const std::uint64_t sent = port_->counters().tx_packets;
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(dropped + sent, 12'000u);
  // What was taken comes out whole once it reads. The port goes on when its descriptor says so.
  std::size_t got = 0;
  while (got < sent + 1) {
    wait(0);
    (void)receive(0);
    const auto some = relay_->messages(1);
    ASSERT_FALSE(some.empty());
    got += some.size();
  }
  EXPECT_EQ(got, sent + 1) << "and the greeting";
}

TEST_F(TunnelPortTest, EndsWithTheConnectionAndIsQuietThen) {
  open();
  ASSERT_EQ(relay_->messages(1).size(), 1u);  // what is not read makes its end an error
  ::close(relay_->fd);
  relay_->fd = -1;
  await(State::kClosed);
  EXPECT_EQ(port_->error(), 0);
  pollfd p{port_->wait_fds().at(0), POLLIN, 0};
  EXPECT_EQ(::poll(&p, 1, 0), 0) << "nothing wakes the worker any more";
  send({ByteVector(28, 1)});
  EXPECT_EQ(port_->counters().tx_dropped, 1u);
  EXPECT_TRUE(receive(0).empty());
}

TEST_F(TunnelPortTest, WhatIsNoSuchStreamEndsIt) {
  for (const char* hex : {"485454502f312e31", "17030300140505050505050505050505050505050505050505",
                          "1703030000", "170303ffff"}) {
    open();
    relay_->send(*from_hex(hex));
    await(State::kClosed);
    port_ = nullptr;
    ::close(relay_->fd);
  }
}

TEST_F(TunnelPortTest, ARelayThatIsNotThereIsAnError) {
  relay_ = nullptr;
  auto port = TunnelPort::open(kId, at("127.0.0.1/1"), pools().wire, pools().frame);
  if (!port) {
    EXPECT_NE(port.error().text.find("127.0.0.1/1"), std::string::npos);
    return;
  }
  port_ = std::move(*port);
  await(State::kClosed);
  EXPECT_EQ(port_->error(), ECONNREFUSED);
}

}  // namespace
}  // namespace orrery::tap
