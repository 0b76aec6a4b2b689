// socket_port: batches with segmentation offloads, large datagrams, TTLs, errors that must not
// stall, and routes of joined networks that must not swallow the underlay. In a namespace of the
// test's own.
#include "tap/socket_port.h"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <optional>
#include <random>

#include "port_test.h"
#include "tap/device.h"

namespace orrery::tap {
namespace {

using dataplane::meta_of;
using dataplane::test::bytes_of;
using dataplane::test::pools;
using test::at;
using test::ip;

ByteVector pattern(std::size_t n, std::size_t seed) {
  ByteVector bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + seed * 7 + n);
  return bytes;
}

class SocketPortTest : public test::PortTest {
 protected:
  using PortTest::datagram;

  static rte_mbuf* datagram(Bytes bytes, const wire::Endpoint& remote, fib::LocalSocket socket,
                            std::uint8_t ttl, bool whole = false) {
    rte_mbuf* m = datagram(bytes, remote, socket);
    meta_of(m).ttl = ttl;
    meta_of(m).whole = whole;
    return m;
  }

  static SocketPort port(std::initializer_list<LocalAddress> addresses) {
    std::vector<std::shared_ptr<UdpSocket>> sockets;
    for (const LocalAddress& a : addresses) {
      auto socket = UdpSocket::open(a);
      EXPECT_TRUE(socket) << socket.error().text;
      if (socket) sockets.push_back(*socket);
    }
    return SocketPort(std::move(sockets), pools().wire, pools().frame);
  }

  /// Everything that has arrived, in order.
  static std::vector<ByteVector> receive(SocketPort& to, std::size_t atLeast,
                                         wire::Endpoint* remote = nullptr) {
    std::vector<ByteVector> all;
    for (int empty = 0; empty < 200;) {
      rte_mbuf* burst[32];
      const unsigned n = to.receive(burst, 32);
      for (unsigned i = 0; i < n; ++i) {
        const Bytes bytes = bytes_of(burst[i]);
        all.emplace_back(bytes.begin(), bytes.end());
        if (remote != nullptr) *remote = meta_of(burst[i]).remote;
        EXPECT_EQ(meta_of(burst[i]).wire_size, bytes.size());
      }
      rte_pktmbuf_free_bulk(burst, n);
      if (n == 0) {
        if (all.size() >= atLeast) break;
        ++empty;
        ::usleep(1000);
      }
    }
    return all;
  }
};

struct Family {
  const char* sender;
  const char* receiver;
};

const Family kFamilies[] = {{"127.0.0.1/10001", "127.0.0.2/10002"}, {"::1/10001", "::1/10002"}};

TEST_F(SocketPortTest, CarriesBatchesOfEverySizeInOrder) {
  for (const Family& f : kFamilies) {
    SocketPort from = port({{1, at(f.sender), "lo", 1}});
    SocketPort to = port({{2, at(f.receiver), "lo", 1}});
    std::vector<ByteVector> expected;
    for (const std::size_t batch : {1u, 2u, 64u, 200u}) {
      for (const std::size_t size : {1u, 28u, 1400u, 1432u}) {
        std::vector<rte_mbuf*> burst;
        for (std::size_t i = 0; i < batch; ++i) {
          // Runs of one size end with a shorter one, and a longer one begins the next.
          expected.push_back(pattern(i % 17 == 16 ? size / 2 + 1 : size, i));
          burst.push_back(datagram(expected.back(), at(f.receiver), 1));
        }
        send(from, burst);
        wire::Endpoint remote;
        const auto got = receive(to, expected.size(), &remote);
        EXPECT_EQ(remote, at(f.sender));
        ASSERT_EQ(got.size(), expected.size()) << f.receiver << " " << batch << "x" << size;
        EXPECT_TRUE(got == expected) << f.receiver << " " << batch << "x" << size;
        expected.clear();
      }
    }
    EXPECT_EQ(from.counters().tx_dropped, 0u);
    EXPECT_EQ(to.counters().rx_dropped, 0u);
    EXPECT_EQ(to.counters().rx_packets, from.counters().tx_packets);
    EXPECT_EQ(to.counters().rx_bytes, from.counters().tx_bytes);
  }
}

TEST_F(SocketPortTest, WhatTheKernelMergedStaysInOneBurst) {
  SocketPort from = port({{1, at("127.0.0.1/10001"), "lo", 1}});
  SocketPort to = port({{2, at("127.0.0.2/10002"), "lo", 1}});
  for (std::size_t n = 0; n < 3; ++n) {
    std::vector<rte_mbuf*> run;
    for (std::size_t i = 0; i < 40; ++i)
      run.push_back(datagram(pattern(1400, n * 40 + i), at("127.0.0.2/10002"), 1));
    send(from, run);
  }
  send(from, {datagram(pattern(9, 0), at("127.0.0.2/10002"), 1)});
  std::vector<unsigned> bursts;
  std::size_t next = 0;
  for (unsigned empty = 0; empty < 200 && next < 121;) {
    rte_mbuf* burst[64];
    const unsigned n = to.receive(burst, 64);
    for (unsigned i = 0; i < n && next < 120; ++i, ++next)
      EXPECT_TRUE(std::ranges::equal(bytes_of(burst[i]), pattern(1400, next)));
    rte_pktmbuf_free_bulk(burst, n);
    if (n == 0) {
      ++empty;
      ::usleep(1000);
      continue;
    }
    bursts.push_back(n);
    if (bursts.size() == 4) break;
  }
  // The last is alone: the port cannot know how little it is.
  EXPECT_EQ(bursts, (std::vector<unsigned>{40, 40, 40, 1}));
}

// What one call brought says how the next is laid out, and must not say what it holds.
TEST_F(SocketPortTest, SizesMayChangeFromCallToCall) {
  const unsigned before = rte_mempool_avail_count(pools().wire);
  {
    SocketPort from = port({{1, at("127.0.0.1/10001"), "lo", 1}});
    SocketPort to = port({{2, at("127.0.0.2/10002"), "lo", 1}});
    std::mt19937 random(1);
    const auto any = [&random](std::size_t n) { return random() % n; };
    constexpr std::size_t kSizes[] = {1, 60, 60, 700, 1400, 1400, 1432, 2500, 9000};
    for (int round = 0; round < 200; ++round) {
      std::vector<ByteVector> expected;
      for (std::size_t runs = 1 + any(6); runs != 0; --runs) {
        const std::size_t size = kSizes[any(std::size(kSizes))];
        const std::size_t n = 1 + any(any(3) == 0 ? 3 : 50);
        std::vector<rte_mbuf*> run;
        for (std::size_t i = 0; i < n; ++i) {
          const bool shorter = i + 1 == n && any(2) == 0;
          expected.push_back(pattern(shorter ? 1 + any(size) : size, any(1'000)));
          run.push_back(datagram(expected.back(), at("127.0.0.2/10002"), 1));
        }
        send(from, run);
      }
      std::size_t got = 0;
      for (unsigned empty = 0; empty < 200 && got < expected.size();) {
        rte_mbuf* burst[64];
        const unsigned n = to.receive(burst, static_cast<std::uint16_t>(1 + any(64)));
        for (unsigned i = 0; i < n; ++i, ++got) {
          ASSERT_LT(got, expected.size());
          EXPECT_TRUE(std::ranges::equal(bytes_of(burst[i]), expected[got])) << round;
          EXPECT_EQ(meta_of(burst[i]).wire_size, expected[got].size());
          EXPECT_EQ(meta_of(burst[i]).remote, at("127.0.0.1/10001"));
          EXPECT_EQ(meta_of(burst[i]).socket, 2u);
        }
        rte_pktmbuf_free_bulk(burst, n);
        if (n == 0) {
          ++empty;
          ::usleep(1000);
        }
      }
      ASSERT_EQ(got, expected.size()) << round;
    }
    EXPECT_EQ(to.counters().rx_packets, from.counters().tx_packets);
    EXPECT_EQ(to.counters().rx_bytes, from.counters().tx_bytes);
  }
  EXPECT_EQ(rte_mempool_avail_count(pools().wire), before);
}

TEST_F(SocketPortTest, KeepsDestinationsAndSocketsApart) {
  SocketPort from =
      port({{1, at("127.0.0.1/10001"), "lo", 1}, {5, at("127.0.0.5/10001"), "lo", 1}});
  SocketPort a = port({{2, at("127.0.0.2/10002"), "lo", 1}});
  SocketPort b = port({{3, at("127.0.0.3/10002"), "lo", 1}});
  std::vector<rte_mbuf*> burst;
  for (std::size_t i = 0; i < 12; ++i) {
    burst.push_back(datagram(pattern(100, i),
                             at(i % 3 == 0 ? "127.0.0.2/10002" : "127.0.0.3/10002"),
                             i % 2 == 0 ? 1 : 5));
  }
  burst.push_back(datagram(pattern(100, 0), at("127.0.0.2/10002"), 99));  // no such socket
  send(from, burst);
  EXPECT_EQ(receive(a, 4).size(), 4u);
  EXPECT_EQ(receive(b, 8).size(), 8u);
  EXPECT_EQ(from.counters().tx_dropped, 1u);
  EXPECT_TRUE(from.owns(5));
  EXPECT_FALSE(from.owns(2));
}

TEST_F(SocketPortTest, LargeDatagramsTravelInFragments) {
  for (const unsigned mtu : {1280u, 1500u}) {
    ASSERT_TRUE(ip("link set lo mtu " + std::to_string(mtu)));
    for (const Family& f : kFamilies) {
      SocketPort from = port({{1, at(f.sender), "lo", 1}});
      SocketPort to = port({{2, at(f.receiver), "lo", 1}});
      std::vector<ByteVector> expected;
      std::vector<rte_mbuf*> burst;
      for (const std::size_t size : {10024u, 1432u, 1432u, 1432u, 5000u, 1473u, 1453u}) {
        expected.push_back(pattern(size, mtu));
        burst.push_back(datagram(expected.back(), at(f.receiver), 1));
      }
      send(from, burst);
      EXPECT_TRUE(receive(to, expected.size()) == expected) << f.receiver << ", MTU " << mtu;
      EXPECT_EQ(from.counters().tx_dropped, 0u) << "refused here: " << f.receiver;
    }
  }
}

TEST_F(SocketPortTest, DropsWhatFitsNoBuffer) {
  SocketPort from = port({{1, at("127.0.0.1/10001"), "lo", 1}});
  SocketPort to = port({{2, at("127.0.0.2/10002"), "lo", 1}});
  const ByteVector huge(30000, 1);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(10002);
  address.sin_addr.s_addr = htonl(0x7f000002);
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const auto plain = [&](std::size_t n) {
    return ::sendto(fd, huge.data(), n, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
  };
  ASSERT_EQ(plain(30000), 30000);
  // Empty datagrams neither end a turn nor hold it.
  for (int i = 0; i < 200; ++i) ASSERT_EQ(plain(0), 0);
  ASSERT_EQ(plain(7), 7);
  ::close(fd);
  const auto got = receive(to, 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].size(), 7u);
  EXPECT_EQ(to.counters().rx_dropped, 1u);
}

TEST_F(SocketPortTest, SetsTheTtlOfOneDatagramAlone) {
  for (const Family& f : kFamilies) {
    const bool v6 = at(f.sender).family == 6;
    SocketPort from = port({{1, at(f.sender), "lo", 1}});
    const auto to = UdpSocket::open({2, at(f.receiver), "lo", 1});
    ASSERT_TRUE(to);
    const int on = 1;
    ASSERT_EQ(::setsockopt((*to)->fd(), v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL,
                           &on, sizeof on),
              0);
    send(from, {datagram(pattern(50, 0), at(f.receiver), 1),
                datagram(pattern(50, 1), at(f.receiver), 1, 2),
                datagram(pattern(50, 2), at(f.receiver), 1)});
    for (const int expected : {64, 2, 64}) {
      char bytes[64], control[64];
      iovec part{bytes, sizeof bytes};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      ASSERT_EQ(::recvmsg((*to)->fd(), &message, 0), 50);
      int ttl = 0;
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_type == (v6 ? IPV6_HOPLIMIT : IP_TTL)) std::memcpy(&ttl, CMSG_DATA(c), 4);
      }
      EXPECT_EQ(ttl, expected) << f.receiver;
    }
  }
}

TEST_F(SocketPortTest, UnreachableDestinationsStallNothing) {
  for (const Family& f : kFamilies) {
    const bool v6 = at(f.sender).family == 6;
    SocketPort from = port({{1, at(f.sender), "lo", 1}});
    SocketPort to = port({{2, at(f.receiver), "lo", 1}});
    const wire::Endpoint closed = at(f.receiver).with_port(9);
    const wire::Endpoint nowhere = at(v6 ? "2001:db8::1/9" : "203.0.113.1/9");
    const int epoll = ::epoll_create1(0);
    for (const int fd : from.wait_fds()) {
      epoll_event event{};
      event.events = EPOLLIN;
      ASSERT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    }
    for (std::size_t round = 0; round < 5; ++round) {
      const ByteVector good = pattern(200, round);
      send(from, {datagram(pattern(200, 1), closed, 1), datagram(pattern(200, 1), nowhere, 1),
                  datagram(good, at(f.receiver), 1), datagram(pattern(10, 1), closed, 1),
                  datagram(good, at(f.receiver), 1)});
      const auto got = receive(to, 2);
      ASSERT_EQ(got.size(), 2u) << f.receiver << " round " << round;
      EXPECT_TRUE(got[0] == good && got[1] == good);
      rte_mbuf* none[4];
      EXPECT_EQ(from.receive(none, 4), 0);
      epoll_event event{};
      EXPECT_EQ(::epoll_wait(epoll, &event, 1, 0), 0) << "ready with nothing there";
    }
    ::close(epoll);
  }
}

TEST_F(SocketPortTest, WhatMustStayWholeIsNeverCut) {
  ASSERT_TRUE(ip("link set lo mtu 1500"));
  for (const Family& f : kFamilies) {
    const std::size_t fits = at(f.sender).family == 6 ? 1452 : 1472;
    SocketPort from = port({{1, at(f.sender), "lo", 1}});
    SocketPort to = port({{2, at(f.receiver), "lo", 1}});
    const auto whole = [&](std::size_t size) {
      return datagram(pattern(size, 1), at(f.receiver), 1, 0, true);
    };
    send(from,
         {whole(fits), whole(fits + 1), whole(fits), datagram(pattern(5000, 1), at(f.receiver), 1),
          whole(fits + 1), datagram(pattern(5000, 1), at(f.receiver), 1)});
    std::vector<std::size_t> sizes;
    for (const ByteVector& got : receive(to, 4)) sizes.push_back(got.size());
    EXPECT_EQ(sizes, (std::vector<std::size_t>{fits, fits, 5000, 5000})) << f.receiver;
    EXPECT_EQ(from.counters().tx_dropped, 2u);
  }
}

TEST_F(SocketPortTest, SocketsThatShareAnAddressShareItsSenders) {
  for (const char* address : {"127.0.0.2/10002", "::1/10002"}) {
    SCOPED_TRACE(address);
    constexpr unsigned kWorkers = 3, kSenders = 60, kEach = 20;
    const auto shared = UdpSocket::open_shared({2, at(address), "lo", 1}, kWorkers);
    ASSERT_TRUE(shared) << shared.error().text;
    std::vector<std::unique_ptr<SocketPort>> ports;
    for (const auto& socket : *shared)
      ports.push_back(
          std::make_unique<SocketPort>(std::vector{socket}, pools().wire, pools().frame));
    std::vector<std::shared_ptr<UdpSocket>> senders;
    for (unsigned i = 0; i < kSenders; ++i) {
      const bool v6 = at(address).family == 6;
      const auto from =
          at(v6 ? "::1" : "127.0.0.1").with_port(static_cast<std::uint16_t>(20'000 + i));
      auto opened = UdpSocket::open({static_cast<fib::LocalSocket>(i + 1), from, "lo", 1});
      ASSERT_TRUE(opened) << opened.error().text;
      senders.push_back(*opened);
    }
    SocketPort all(senders, pools().wire, pools().frame);
    for (unsigned number = 0; number < kEach; ++number) {
      for (unsigned i = 0; i < kSenders; ++i)
        send(all,
             {datagram(ByteVector(100, static_cast<std::uint8_t>(number)), at(address), i + 1)});
    }
    std::vector<std::pair<unsigned, unsigned>> seen(kSenders);  // port + 1, datagrams in order
    for (unsigned p = 0; p < kWorkers; ++p) {
      rte_mbuf* burst[32];
      for (unsigned n; (n = ports[p]->receive(burst, 32)) != 0;) {
        for (unsigned k = 0; k < n; ++k) {
          auto& [port, number] = seen.at(meta_of(burst[k]).remote.port - 20'000u);
          EXPECT_TRUE(port == 0 || port == p + 1) << "an endpoint stays where it is";
          port = p + 1;
          EXPECT_EQ(bytes_of(burst[k])[0], number++) << "and in order";
          EXPECT_EQ(meta_of(burst[k]).socket, 2u);
        }
        rte_pktmbuf_free_bulk(burst, n);
      }
      EXPECT_NE(ports[p]->counters().rx_packets.value(), 0u) << p;
      // Answers leave under the shared address.
      send(*ports[p], {datagram(pattern(50, 1), senders[p]->local().address, 2)});
    }
    for (const auto& [port, number] : seen) EXPECT_EQ(number, kEach);
    wire::Endpoint remote;
    EXPECT_EQ(receive(all, kWorkers, &remote).size(), kWorkers);
    EXPECT_EQ(remote, at(address));
  }
}

TEST_F(SocketPortTest, AnAddressThatIsTakenIsNotShared) {
  const LocalAddress local{1, at("127.0.0.2/10002"), "lo", 1};
  const auto taken = [&](const auto& opened) {
    return !opened && opened.error().text.find("Address already in use") != std::string::npos;
  };
  {
    const auto ours = UdpSocket::open_shared(local, 2);
    ASSERT_TRUE(ours);
    EXPECT_TRUE(taken(UdpSocket::open_shared(local, 2)));
    EXPECT_TRUE(taken(UdpSocket::open(local)));
  }
  {
    const auto ours = UdpSocket::open(local);
    ASSERT_TRUE(ours);
    EXPECT_TRUE(taken(UdpSocket::open_shared(local, 2)));
  }
  // Somebody who shares with whoever asks.
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0x7f000002);
  address.sin_port = htons(10'002);
  ASSERT_EQ(::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(taken(UdpSocket::open_shared(local, 2)));
  ::close(fd);
  EXPECT_TRUE(UdpSocket::open_shared(local, 2));
}

TEST_F(SocketPortTest, TellsTheMtuOfItsLink) {
  const auto on_lo = UdpSocket::open({1, at("127.0.0.1/10001"), "lo", 1});
  const auto anywhere = UdpSocket::open({2, at("127.0.0.2/10001"), {}, 0});
  ASSERT_TRUE(on_lo && anywhere);
  for (const int mtu : {1280, 9000}) {
    ASSERT_TRUE(ip("link set lo mtu " + std::to_string(mtu)));
    EXPECT_EQ((*on_lo)->link_mtu(), mtu);
  }
  EXPECT_EQ((*anywhere)->link_mtu(), 0);
}

/// The IPv4 packet of a UDP datagram of ours to this port, seen on an interface within 300 ms:
/// its field of flags and offset; nothing when there is none.
std::optional<std::uint16_t> flags_of(int packet_socket, std::uint16_t udp_port) {
  for (int tries = 0; tries < 100; ++tries) {
    std::uint8_t frame[2048];
    const ssize_t n = ::recv(packet_socket, frame, sizeof frame, MSG_DONTWAIT);
    if (n < 0) {
      ::usleep(3000);
      continue;
    }
    if (n >= 42 && load_be16(frame + 12) == 0x0800 && frame[23] == IPPROTO_UDP &&
        load_be16(frame + 36) == udp_port) {
      return load_be16(frame + 20);
    }
  }
  return std::nullopt;
}

bool seen(int packet_socket, std::uint16_t udp_port) {
  return flags_of(packet_socket, udp_port).has_value();
}

TEST_F(SocketPortTest, RoutesOfANetworkDoNotSwallowTheUnderlay) {
  ASSERT_TRUE(ip("link add eth0 type veth peer name wire0"));
  ASSERT_TRUE(ip("address add 192.0.2.2/24 dev eth0"));
  ASSERT_TRUE(ip("link set eth0 up") && ip("link set wire0 up"));
  ASSERT_TRUE(ip("route add default via 192.0.2.1"));
  for (const char* host : {"192.0.2.1", "192.0.2.9"})
    ASSERT_TRUE(ip(std::string("neigh add ") + host + " lladdr 02:00:00:00:00:01 dev eth0"));
  const auto device = Device::open({"zttest", wire::Mac{0x020102030405}});
  ASSERT_TRUE(device);
  ASSERT_TRUE(ip("address add 10.9.8.7/24 dev zttest") && ip("link set zttest up"));
  ASSERT_TRUE(ip("neigh add 10.9.8.1 lladdr 02:00:00:00:00:02 dev zttest"));
  for (const char* route : {"0.0.0.0/1", "128.0.0.0/1", "192.0.2.9/32", "192.0.2.0/25"})
    ASSERT_TRUE(ip(std::string("route add ") + route + " via 10.9.8.1 dev zttest")) << route;

  const int wire0 = ::socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex("wire0"));
  ASSERT_EQ(::bind(wire0, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);

  const LocalAddress local{1, at("192.0.2.2/9993"), "eth0", ::if_nametoindex("eth0")};
  SocketPort from = port({local});
  std::uint16_t udp_port = 20000;
  for (const char* peer : {"203.0.113.5", "8.8.8.8", "192.0.2.9"}) {
    ++udp_port;
    send(from, {datagram(pattern(100, 1), at(peer).with_port(udp_port), 1)});
    EXPECT_TRUE(seen(wire0, udp_port)) << peer;
  }
  send(from, {datagram(pattern(100, 1), at("8.8.8.8").with_port(++udp_port), 1, 0, true),
              datagram(pattern(100, 1), at("8.8.8.8").with_port(20'100), 1)});
  EXPECT_EQ(flags_of(wire0, udp_port), 0x4000) << "don't fragment";
  EXPECT_EQ(flags_of(wire0, 20'100), 0);
  // Bound by address alone, these are what the routes say: the test would see it.
  SocketPort unbound = port({{2, at("192.0.2.2/9994"), {}, 0}});
  send(unbound, {datagram(pattern(100, 1), at("203.0.113.5").with_port(++udp_port), 2)});
  EXPECT_FALSE(seen(wire0, udp_port));
  ::close(wire0);
}

TEST_F(SocketPortTest, FollowsAnAddressToAnotherInterface) {
  for (const char* name : {"eth0", "eth1"}) {
    ASSERT_TRUE(ip(std::string("link add ") + name + " type veth peer name w" + name));
    ASSERT_TRUE(ip(std::string("link set ") + name + " up"));
  }
  ASSERT_TRUE(ip("address add 192.0.2.2/24 dev eth0"));
  const LocalAddress before{1, at("192.0.2.2/9993"), "eth0", ::if_nametoindex("eth0")};
  const LocalAddress after{2, at("192.0.2.2/9993"), "eth1", ::if_nametoindex("eth1")};
  const auto first = UdpSocket::open(before);
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_TRUE((*first)->bound_to_interface());
  EXPECT_TRUE((*first)->serves(before));
  EXPECT_FALSE((*first)->serves(after));
  ASSERT_TRUE(ip("address del 192.0.2.2/24 dev eth0") && ip("address add 192.0.2.2/24 dev eth1"));
  // The worker still holds the first.
  const auto second = UdpSocket::open(after);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE((*second)->bound_to_interface());

  // An address on lo is reached by any interface; where an interface is gone, it is an error.
  ASSERT_TRUE(ip("address add 198.51.100.1/32 dev lo"));
  const auto on_lo = UdpSocket::open({3, at("198.51.100.1/9993"), "lo", 1});
  ASSERT_TRUE(on_lo) << on_lo.error().text;
  EXPECT_FALSE((*on_lo)->bound_to_interface());
  const auto gone = UdpSocket::open({4, at("198.51.100.1/9994"), "nosuch", 99});
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().text.find("nosuch"), std::string::npos) << gone.error().text;
}

}  // namespace
}  // namespace orrery::tap
