// tap_port: superframes through a real TAP in a namespace of the test's own. The kernel is the
// other end: what it hands out is cut, what is handed to it is merged and arrives in its sockets.
#include "tap/tap_port.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "dataplane/fixture.h"
#include "namespace.h"
#include "tap/offload.h"
#include "tap/socket_port.h"
#include "wire/fragment.h"

namespace orrery::tap {
namespace {

using dataplane::test::bytes_of;
using dataplane::test::pools;
using test::ip;

constexpr unsigned kMtu = 1500;

/// RFC 1071 word by word.
std::uint32_t sum_of(Bytes bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += bytes[i + 1];
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/// Whether an IPv4 frame of TCP or UDP is complete and right.
bool right(Bytes f) {
  if (f.size() < 42 || load_be16(f.data() + 12) != 0x0800) return false;
  const std::size_t header = (f[14] & 15u) * 4u;
  if (load_be16(f.data() + 16) + 14u != f.size() || f.size() > kMtu + 14) return false;
  if (sum_of(f.subspan(14, header), 0) != 0xffff) return false;
  const Bytes transport = f.subspan(14 + header);
  const std::uint32_t pseudo =
      sum_of(f.subspan(26, 8), f[23] + static_cast<std::uint32_t>(transport.size()));
  return sum_of(transport, pseudo) == 0xffff;
}

class TapPortTest : public dataplane::test::Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    ORRERY_NEEDS_NAMESPACE();
    auto device = Device::open({"zttest", wire::Mac{0x020000000001}});
    ASSERT_TRUE(device) << device.error().text;
    port_.emplace(wire::NetworkId{1}, std::move(*device), pools().wire, pools().frame);
    ASSERT_TRUE(ip("link set zttest mtu 1500 up"));
    ASSERT_TRUE(ip("address add 10.1.0.1/24 dev zttest"));
    ASSERT_TRUE(ip("neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev zttest"));
  }

  static sockaddr_in address(std::uint32_t host, std::uint16_t udp_port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(host);
    a.sin_port = htons(udp_port);
    return a;
  }

  /// IPv4 frames of one protocol that the host sends now.
  std::vector<ByteVector> received(std::uint8_t protocol) {
    std::vector<ByteVector> all;
    for (int tries = 0; tries < 20; ++tries) {
      rte_mbuf* burst[16];
      const unsigned n = port_->receive(burst, 16);
      for (unsigned i = 0; i < n; ++i) {
        const Bytes f = bytes_of(burst[i]);
        if (load_be16(f.data() + 12) == 0x0800 && f[23] == protocol)
          all.emplace_back(f.begin(), f.end());
      }
      rte_pktmbuf_free_bulk(burst, n);
      if (n == 0) {
        if (!all.empty()) break;
        ::usleep(1000);
      }
    }
    return all;
  }

  void send(const std::vector<ByteVector>& frames) {
    std::vector<rte_mbuf*> burst;
    for (const ByteVector& f : frames) burst.push_back(dataplane::test::mbuf_of(f, pools().wire));
    port_->send(burst.data(), static_cast<std::uint16_t>(burst.size()));
  }

  std::optional<TapPort> port_;
};

TEST_F(TapPortTest, CutsUdpOfTheHost) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const sockaddr_in to = address(0x0a010002, 7000);
  const int segment = 1000;
  ASSERT_EQ(::setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
  ByteVector bytes(20500);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 3);
  ASSERT_EQ(::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                     sizeof to),
            static_cast<ssize_t>(bytes.size()));
  ByteVector got;
  const auto frames = received(IPPROTO_UDP);
  EXPECT_EQ(frames.size(), 21u);
  for (const ByteVector& f : frames) {
    EXPECT_TRUE(right(f));
    got.insert(got.end(), f.begin() + 42, f.end());
  }
  EXPECT_TRUE(got == bytes);
  ::close(fd);
}

TEST_F(TapPortTest, SuperframesOfTheHostStayInOneBurst) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const sockaddr_in to = address(0x0a010002, 7000);
  const int segment = 1000;
  ASSERT_EQ(::setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
  const ByteVector bytes(40'000);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                       sizeof to),
              static_cast<ssize_t>(bytes.size()));
  }
  std::vector<unsigned> bursts;  // of those that are more than the host's own chatter
  for (int i = 0; i < 20 && bursts.size() < 3; ++i) {
    rte_mbuf* burst[64];
    const unsigned n = port_->receive(burst, 64);
    rte_pktmbuf_free_bulk(burst, n);
    if (n >= 20) bursts.push_back(n);
  }
  ASSERT_EQ(bursts.size(), 3u);
  for (const unsigned n : bursts) EXPECT_LT(n, 60u) << "one, and part of the next";
  ::close(fd);
}

TEST(SuperframeLimit, IsWhatOneCallSends) {
  constexpr std::size_t kKernelHeaders = 320;  // MAX_TCP_HEADER, at most
  for (unsigned mtu = 1280; mtu <= 10'000; ++mtu) {
    const std::size_t limit = superframe_limit(static_cast<std::uint16_t>(mtu));
    const std::size_t payload = mtu - 40;
    const std::size_t frames = (limit - kKernelHeaders - 1) / payload;
    ASSERT_LE(limit, kLargestSuperframe) << mtu;
    ASSERT_EQ((limit - 1) / payload, frames) << mtu << ": whatever headers take, as many frames";
    // FRAME: header, network id, ethertype, packet.
    const auto plan = wire::plan_equal_fragments(28 + 8 + 2 + mtu, 1432);
    const std::size_t bytes = std::size_t{plan.pieces} * plan.head_size;
    EXPECT_LE(frames * bytes, kMaxSegmented) << mtu;
    EXPECT_LE(frames * plan.pieces, kMaxSegments) << mtu;
    EXPECT_TRUE((frames + 1) * bytes > kMaxSegmented || (frames + 1) * plan.pieces > kMaxSegments ||
                (frames + 1) * payload > 65'000)
        << mtu << ": more would do";
  }
}

/// The far end of a TCP connection to the host's listener, as frames.
class Peer {
 public:
  ByteVector frame(std::uint8_t flags, Bytes payload) {
    ByteVector f(54 + payload.size());
    f[5] = 1;
    f[0] = f[6] = 2;
    f[11] = 2;
    f[12] = 8;
    f[14] = 0x45;
    store_be16(f.data() + 16, static_cast<std::uint16_t>(f.size() - 14));
    store_be16(f.data() + 18, id_++);
    f[20] = 0x40;
    f[22] = 64;
    f[23] = 6;
    store_be32(f.data() + 26, 0x0a010002);
    store_be32(f.data() + 30, 0x0a010001);
    store_be16(f.data() + 24, static_cast<std::uint16_t>(~sum_of(Bytes(f).subspan(14, 20), 0)));
    store_be16(f.data() + 34, 40000);
    store_be16(f.data() + 36, 7000);
    store_be32(f.data() + 38, sequence);
    store_be32(f.data() + 42, acknowledgement);
    f[46] = 0x50;
    f[47] = flags;
    store_be16(f.data() + 48, 65535);
    std::copy(payload.begin(), payload.end(), f.begin() + 54);
    const std::uint32_t pseudo =
        sum_of(Bytes(f).subspan(26, 8), 6 + static_cast<std::uint32_t>(f.size() - 34));
    store_be16(f.data() + 50, static_cast<std::uint16_t>(~sum_of(Bytes(f).subspan(34), pseudo)));
    sequence += static_cast<std::uint32_t>(payload.size()) + ((flags & 2) != 0 ? 1 : 0);
    return f;
  }

  std::uint32_t sequence = 0xfffff000;
  std::uint32_t acknowledgement = 0;

 private:
  std::uint16_t id_ = 1;
};

TEST_F(TapPortTest, CarriesTcpInSuperframesBothWays) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in local = address(0x0a010001, 7000);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  Peer peer;
  send({peer.frame(0x02, {})});
  const auto answer = received(IPPROTO_TCP);
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_TRUE(right(answer[0]));
  peer.acknowledgement = load_be32(answer[0].data() + 38) + 1;
  send({peer.frame(0x10, {})});
  const int fd = ::accept(listener, nullptr, nullptr);
  ASSERT_GE(fd, 0);

  // In: sixteen segments and a shorter one, in a burst. Behind them one whose checksum is wrong,
  // which the host must not take although it would continue the flow.
  std::vector<ByteVector> frames;
  ByteVector sent;
  for (std::size_t i = 0; i < 17; ++i) {
    ByteVector payload(i == 16 ? 500 : 1460);
    for (std::size_t k = 0; k < payload.size(); ++k)
      payload[k] = static_cast<std::uint8_t>(k * 5 + i);
    sent.insert(sent.end(), payload.begin(), payload.end());
    frames.push_back(peer.frame(0x10, payload));
  }
  ByteVector wrong = peer.frame(0x10, ByteVector(100, 9));
  wrong.back() ^= 7;
  frames.push_back(wrong);
  send(frames);
  ::usleep(20000);
  ByteVector got(sent.size() + 1000);
  const ssize_t n = ::recv(fd, got.data(), got.size(), MSG_DONTWAIT);
  ASSERT_EQ(n, static_cast<ssize_t>(sent.size()));
  got.resize(static_cast<std::size_t>(n));
  EXPECT_TRUE(got == sent);
  std::uint8_t info[144];  // struct tcp_info of Linux 4.6, newer than the C library's
  socklen_t size = sizeof info;
  ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size), 0);
  std::uint32_t segments_in = 0;
  std::memcpy(&segments_in, info + 140, sizeof segments_in);
  EXPECT_LE(segments_in, 4u) << "two of the handshake, one superframe, one that is wrong";
  peer.sequence -= 100;
  (void)received(IPPROTO_TCP);

  // Out: what the host writes at once leaves it in few pieces and comes out in segments.
  ByteVector reply(12000);
  for (std::size_t i = 0; i < reply.size(); ++i) reply[i] = static_cast<std::uint8_t>(i * 11);
  ASSERT_EQ(::send(fd, reply.data(), reply.size(), 0), static_cast<ssize_t>(reply.size()));
  ByteVector back;
  std::size_t count = 0;
  for (int rounds = 0; rounds < 20 && back.size() < reply.size(); ++rounds) {
    for (const ByteVector& f : received(IPPROTO_TCP)) {
      EXPECT_TRUE(right(f));
      const std::size_t payload = 34 + (f[46] >> 4) * 4u;
      if (f.size() == payload) continue;
      ASSERT_EQ(load_be32(f.data() + 38), peer.acknowledgement);
      peer.acknowledgement += static_cast<std::uint32_t>(f.size() - payload);
      back.insert(back.end(), f.begin() + static_cast<long>(payload), f.end());
      ++count;
    }
    send({peer.frame(0x10, {})});
  }
  EXPECT_TRUE(back == reply);
  EXPECT_GE(count, reply.size() / 1460);
  EXPECT_EQ(port_->counters().rx_dropped, 0u);
  EXPECT_EQ(port_->counters().tx_dropped, 0u);
  ::close(fd);
  ::close(listener);
}

TEST_F(TapPortTest, IsSilentOnceItsInterfaceIsDeleted) {
  const int epoll = ::epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, port_->wait_fds().at(0), &event), 0);
  rte_mbuf* burst[16];
  for (unsigned n; (n = port_->receive(burst, 16)) != 0;) rte_pktmbuf_free_bulk(burst, n);
  EXPECT_FALSE(port_->lost());
  ASSERT_TRUE(ip("link delete zttest"));
  EXPECT_EQ(::epoll_wait(epoll, &event, 1, 1000), 1) << "the worker wakes";
  EXPECT_EQ(port_->receive(burst, 16), 0);
  EXPECT_TRUE(port_->lost());
  EXPECT_TRUE(port_->wait_fds().empty());
  EXPECT_EQ(::epoll_wait(epoll, &event, 1, 0), 0) << "and is not woken by it again";
  send({ByteVector(60, 1)});
  EXPECT_EQ(port_->counters().tx_dropped, 1u);
  ::close(epoll);
}

/// An interface with a queue for each of several workers.
class TapQueuesTest : public dataplane::test::Dataplane {
 protected:
  static constexpr unsigned kQueues = 3;
  static constexpr unsigned kFlows = 60;
  static constexpr std::uint16_t kFirstPort = 7000;

  void SetUp() override {
    Dataplane::SetUp();
    ORRERY_NEEDS_NAMESPACE();
    auto tap = Tap::open(wire::NetworkId{1}, {"zttest", wire::Mac{0x020000000001}}, kQueues,
                         pools().wire, pools().frame);
    ASSERT_TRUE(tap) << tap.error().text;
    tap_ = *tap;
    queues_ = Tap::queues(tap_);
    if (queues_.size() == 1) GTEST_SKIP() << "this system does not steer queues";
    ASSERT_TRUE(ip("link set zttest mtu 1500 up"));
    ASSERT_TRUE(ip("address add 10.1.0.1/24 dev zttest"));
    ASSERT_TRUE(ip("address add fd00::1/64 dev zttest nodad"));
    ASSERT_TRUE(ip("neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev zttest"));
    ASSERT_TRUE(ip("neigh add fd00::2 lladdr 02:00:00:00:00:02 dev zttest"));
  }

  /// Where a UDP datagram from the host to this port comes out; kQueues: nowhere.
  unsigned queue_of(bool v6, std::uint16_t udp_port, std::size_t size = 100) {
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to4{};
    to4.sin_family = AF_INET;
    to4.sin_addr.s_addr = htonl(0x0a010002);
    to4.sin_port = htons(udp_port);
    sockaddr_in6 to6{};
    to6.sin6_family = AF_INET6;
    to6.sin6_addr.s6_addr[0] = 0xfd;
    to6.sin6_addr.s6_addr[15] = 2;
    to6.sin6_port = htons(udp_port);
    // One flow each: the same source port again.
    sockaddr_in6 from{};
    from.sin6_family = static_cast<sa_family_t>(v6 ? AF_INET6 : AF_INET);
    from.sin6_port = htons(9'000);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&from), v6 ? sizeof from : sizeof to4), 0);
    const ByteVector bytes(size, 1);
    EXPECT_EQ(::sendto(fd, bytes.data(), size, 0,
                       v6 ? reinterpret_cast<sockaddr*>(&to6) : reinterpret_cast<sockaddr*>(&to4),
                       v6 ? sizeof to6 : sizeof to4),
              static_cast<ssize_t>(size));
    ::close(fd);
    unsigned found = kQueues;
    for (int tries = 0; tries < 200 && found == kQueues; ++tries) {
      for (unsigned q = 0; q < kQueues; ++q) {
        rte_mbuf* burst[16];
        const unsigned n = queues_[q]->receive(burst, 16);
        for (unsigned i = 0; i < n; ++i) {
          const Bytes f = bytes_of(burst[i]);
          const std::size_t transport = v6 ? 54 : 34;
          const bool udp =
              load_be16(f.data() + 12) == (v6 ? 0x86dd : 0x0800) && f[v6 ? 20 : 23] == IPPROTO_UDP;
          if (udp && (size > 1'400 || load_be16(f.data() + transport + 2) == udp_port)) {
            EXPECT_TRUE(found == kQueues || found == q) << "two queues for one datagram";
            found = q;
          }
        }
        rte_pktmbuf_free_bulk(burst, n);
      }
      if (found == kQueues) ::usleep(1000);
    }
    return found;
  }

  std::shared_ptr<Tap> tap_;
  std::vector<std::shared_ptr<TapPort>> queues_;
};

TEST_F(TapQueuesTest, SpreadsFlowsAndKeepsEachInItsQueue) {
  for (const bool v6 : {false, true}) {
    std::vector<unsigned> places, used(kQueues);
    for (std::uint16_t i = 0; i < kFlows; ++i) {
      places.push_back(queue_of(v6, static_cast<std::uint16_t>(kFirstPort + i)));
      ASSERT_LT(places.back(), kQueues);
      ++used[places.back()];
    }
    for (const unsigned n : used) EXPECT_GE(n, kFlows / kQueues / 3);
    if (v6) continue;
    // An answer that comes in by another queue moves nothing.
    ByteVector answer(60);
    std::copy_n("\2\0\0\0\0\1\2\0\0\0\0\2\x8\0", 14, answer.begin());
    answer[14] = 0x45;
    store_be16(answer.data() + 16, 46);
    answer[22] = 64;
    answer[23] = IPPROTO_UDP;
    store_be32(answer.data() + 26, 0x0a010002);
    store_be32(answer.data() + 30, 0x0a010001);
    store_be16(answer.data() + 24,
               static_cast<std::uint16_t>(~sum_of(Bytes(answer).subspan(14, 20), 0)));
    store_be16(answer.data() + 36, 9'000);
    store_be16(answer.data() + 38, 26);
    for (std::uint16_t i = 0; i < kFlows; ++i) {
      const auto udp_port = static_cast<std::uint16_t>(kFirstPort + i);
      store_be16(answer.data() + 34, udp_port);
      rte_mbuf* m = dataplane::test::mbuf_of(answer, pools().wire);
      queues_[(places[i] + 1) % kQueues]->send(&m, 1);
      EXPECT_EQ(queue_of(v6, udp_port), places[i]);
    }
  }
}

TEST_F(TapQueuesTest, KeepsFragmentsTogether) {
  // Fragments of one datagram bear its addresses, and only the first its ports.
  for (std::uint16_t i = 0; i < 20; ++i)
    EXPECT_LT(queue_of(false, static_cast<std::uint16_t>(kFirstPort + i), 4'000), kQueues);
}

TEST_F(TapQueuesTest, ItsQueuesGoTogether) {
  const std::weak_ptr<Tap> whole = tap_;
  tap_.reset();
  const auto last = queues_.back();
  queues_.clear();
  EXPECT_FALSE(whole.expired());
  EXPECT_FALSE(last->lost());
  ASSERT_TRUE(ip("link delete zttest"));
  rte_mbuf* burst[16];
  for (unsigned n; (n = last->receive(burst, 16)) != 0;) rte_pktmbuf_free_bulk(burst, n);
  EXPECT_TRUE(last->lost());
  EXPECT_TRUE(whole.lock()->lost()) << "one that noticed is enough";
}

TEST_F(TapQueuesTest, TheInterfaceIsGoneWithItsLastQueue) {
  auto last = queues_.front();
  tap_.reset();
  queues_.clear();
  EXPECT_TRUE(ip("link show zttest"));
  last.reset();
  EXPECT_FALSE(ip("link show zttest"));
}

}  // namespace
}  // namespace orrery::tap
