#include "tap/socket_port.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tap/datagram_mbuf.h"
#include "tap/sockaddr.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace orrery::tap {
namespace {

constexpr int kSocketBuffer = 4 << 20;    // bytes; a burst of 64 KB segments from several peers
constexpr unsigned kReadsPerSocket = 64;  // a flood of empty datagrams or errors ends a turn, too

/// With `whole` nothing but the link bounds a datagram; without, there is no DF, and no EMSGSIZE
/// whatever the path's MTU is said to be.
void set_whole(int fd, bool v6, bool whole) {
  if (v6) {
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
               whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
    set_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, whole ? 1 : 0);
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
  }
}

/// Of the ioctl requests that ask by interface; false: no interface has such a name.
bool name_interface(ifreq& request, const std::string& interface) {
  if (interface.size() >= sizeof request.ifr_name) return false;
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  return true;
}

/// Whether packets leave and enter by this interface; lo and dummy interfaces only hold addresses.
bool carries_packets(int fd, const std::string& interface) {
  ifreq request{};
  if (!name_interface(request, interface)) return true;
  if (::ioctl(fd, SIOCGIFFLAGS, &request) != 0) return true;
  if ((request.ifr_flags & IFF_LOOPBACK) != 0) return false;
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&driver);
  if (::ioctl(fd, SIOCETHTOOL, &request) != 0) return true;
  return std::strncmp(driver.driver, "dummy", sizeof driver.driver) != 0;
}

}  // namespace

Result<std::shared_ptr<UdpSocket>> UdpSocket::open(const LocalAddress& local) {
  return open(local, Joins::kNobody);
}

Result<SharedSockets> UdpSocket::open_shared(const LocalAddress& local, unsigned sockets) {
  SharedSockets all;
  while (all.size() < sockets) {
    // The first is bound as one that does not share, so that it takes nobody else's address.
    auto socket = open(local, all.empty() ? Joins::kNobody : Joins::kThoseThatShare);
    if (!socket) return std::unexpected(socket.error());
    if (all.empty() && sockets > 1) set_option((*socket)->fd(), SOL_SOCKET, SO_REUSEPORT, 1);
    all.push_back(std::move(*socket));
  }
  return all;
}

Result<std::shared_ptr<UdpSocket>> UdpSocket::open(const LocalAddress& local, Joins joins) {
  const bool v6 = local.address.family == 6;
  const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return failure(Errc::kIo, std::string("cannot make a UDP socket: ") + std::strerror(errno));
  if (v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  // FORCE exceeds the system's limit where we may; the plain option is what is left otherwise.
  for (const auto& [force, plain] :
       {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}}) {
    const int size = kSocketBuffer;
    if (::setsockopt(fd, SOL_SOCKET, force, &size, sizeof size) != 0)
      set_option(fd, SOL_SOCKET, plain, size);
  }
  // Large replies leave as IP fragments.
  set_whole(fd, v6, false);
  set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
  if (joins == Joins::kThoseThatShare) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  const auto failed = [&](const std::string& what) {
    const Error error{Errc::kIo, "cannot bind UDP " + wire::to_string(local.address) + what + ": " +
                                     std::strerror(errno)};
    ::close(fd);
    return std::unexpected(error);
  };
  bool bound_to_interface = false;
  if (!local.interface.empty() && carries_packets(fd, local.interface)) {
    bound_to_interface = ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, local.interface.data(),
                                      static_cast<socklen_t>(local.interface.size())) == 0;
    // Not permitted (before Linux 5.7 without privileges): by address alone is what is left. An
    // interface that is gone is another matter.
    if (!bound_to_interface && errno != EPERM && errno != ENOPROTOOPT)
      return failed(" to " + local.interface);
  }
  sockaddr_storage address;
  const socklen_t size = to_sockaddr(local.address, address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) return failed("");
  return std::shared_ptr<UdpSocket>(new UdpSocket(fd, local, bound_to_interface));
}

UdpSocket::~UdpSocket() {
  ::close(fd_);
}

std::uint16_t UdpSocket::link_mtu() const {
  ifreq request{};
  if (local_.interface.empty() || !name_interface(request, local_.interface) ||
      ::ioctl(fd_, SIOCGIFMTU, &request) != 0) {
    return 0;
  }
  return static_cast<std::uint16_t>(std::clamp(request.ifr_mtu, 0, 65'535));
}

void UdpSocket::send_whole(bool whole) const {
  set_whole(fd_, local_.address.family == 6, whole);
}

struct SocketPort::Buffer {
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  ~Buffer() { rte_pktmbuf_free_bulk(laid.data(), laid_out); }

  std::array<std::uint8_t, 65536> bytes;
  std::size_t begin = 0;  // next byte to hand out
  std::size_t end = 0;
  std::size_t segment = 0;  // size of one datagram
  fib::PathKey via;
  // A stack of empty mbufs for the next call, and how many of them the last has filled, from the
  // top, with the first bytes of what it brought.
  std::array<rte_mbuf*, kMaxSegments> laid;
  std::uint16_t laid_out = 0;
  std::uint16_t direct = 0;
};

SocketPort::SocketPort(std::vector<std::shared_ptr<UdpSocket>> sockets, rte_mempool* small,
                       rte_mempool* large)
    : sockets_(std::move(sockets)),
      small_(small),
      large_(large),
      buffer_(std::make_unique<Buffer>()) {}

SocketPort::~SocketPort() = default;

const UdpSocket* SocketPort::find(fib::LocalSocket id) const noexcept {
  for (const auto& s : sockets_) {
    if (s->local().id == id) return s.get();
  }
  return nullptr;
}

bool SocketPort::owns(fib::LocalSocket socket) const noexcept {
  return find(socket) != nullptr;
}

std::vector<int> SocketPort::wait_fds() const {
  std::vector<int> fds;
  for (const auto& s : sockets_) fds.push_back(s->fd());
  return fds;
}

/// How many mbufs lie ready for datagrams of the size of the last ones.
std::uint16_t SocketPort::lay_out(std::uint16_t n) noexcept {
  Buffer& b = *buffer_;
  if (last_filled_ < 2 || b.segment > room_of(small_)) return 0;
  const auto wanted = static_cast<std::uint16_t>(
      std::min<std::size_t>({n, last_filled_, b.laid.size(), b.bytes.size() / b.segment}));
  if (b.laid_out < wanted) {
    if (rte_pktmbuf_alloc_bulk(small_, b.laid.data() + b.laid_out, wanted - b.laid_out) != 0)
      return 0;
    b.laid_out = wanted;
  }
  return wanted;
}

/// One call, of which at most n datagrams are to be handed out at once. False: nothing there.
bool SocketPort::fill(const UdpSocket& socket, std::uint16_t n) noexcept {
  Buffer& b = *buffer_;
  sockaddr_storage from;
  iovec parts[kMaxSegments + 1];
  const std::uint16_t laid_out = lay_out(n);
  const std::size_t expected = b.segment;
  for (unsigned i = 0; i < laid_out; ++i)
    parts[i] = {rte_pktmbuf_mtod(b.laid[b.laid_out - 1u - i], void*), expected};
  const std::size_t ahead = laid_out * expected;
  parts[laid_out] = {b.bytes.data() + ahead, b.bytes.size() - ahead};
  alignas(cmsghdr) char control[64];
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = parts;
  message.msg_iovlen = laid_out + 1u;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(socket.fd(), &message, MSG_DONTWAIT);
  // An error other than "nothing there" is that of an earlier send, and has been taken by this
  // call.
  if (got <= 0) return got == 0 || (errno != EAGAIN && errno != EBADF);
  b.begin = 0;
  b.end = static_cast<std::size_t>(got);
  b.segment = b.end;
  b.via = {socket.local().id, to_endpoint(from)};
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (segment > 0) b.segment = std::min(static_cast<std::size_t>(segment), b.end);
    }
  }
  if (laid_out != 0) {
    const auto filled =
        static_cast<std::uint16_t>(std::min(ahead, b.end + expected - 1) / expected);
    if (b.segment == expected || b.end <= std::min(b.segment, expected)) {
      b.direct = filled;
    } else {
      // Of another size than expected: all of it into the buffer.
      for (unsigned i = 0; i < filled; ++i) {
        std::memcpy(b.bytes.data() + i * expected, parts[i].iov_base,
                    std::min(expected, b.end - i * expected));
      }
    }
  }
  last_filled_ = static_cast<std::uint16_t>((b.end + b.segment - 1) / b.segment);
  return true;
}

std::uint16_t SocketPort::cut(rte_mbuf** out, std::uint16_t n) noexcept {
  Buffer& b = *buffer_;
  std::uint16_t count = 0;
  for (; b.direct != 0; --b.direct) {
    rte_mbuf* m = b.laid[--b.laid_out];
    const auto size = static_cast<std::uint16_t>(std::min(b.segment, b.end - b.begin));
    rte_pktmbuf_append(m, size);
    describe_datagram(m, size, b.via, counters_);
    b.begin += size;
    out[count++] = m;
  }
  while (count < n && b.begin < b.end) {
    const Bytes datagram(b.bytes.data() + b.begin, std::min(b.segment, b.end - b.begin));
    b.begin += datagram.size();
    rte_mbuf* m = datagram_mbuf(datagram, b.via, small_, large_, counters_);
    if (m == nullptr) continue;
    out[count++] = m;
  }
  return count;
}

std::uint16_t SocketPort::receive(rte_mbuf** out, std::uint16_t n) noexcept {
  std::uint16_t count = cut(out, n);  // what the last call left
  // What the kernel merged stays in one burst where it can, so that it is one superframe again for
  // the host: none is begun where there is no room for another like the last.
  const auto has_room = [&] { return count == 0 || n - count >= last_filled_; };
  // Each socket in turn, so that a busy one does not starve the rest.
  for (std::size_t tried = 0; tried < sockets_.size() && has_room(); ++tried) {
    const UdpSocket& socket = *sockets_[next_socket_ % sockets_.size()];
    ++next_socket_;
    for (unsigned reads = 0; reads < kReadsPerSocket && has_room(); ++reads) {
      const auto room = static_cast<std::uint16_t>(n - count);
      if (!fill(socket, room)) break;
      if (buffer_->begin == buffer_->end) continue;
      count = static_cast<std::uint16_t>(count + cut(out + count, room));
    }
  }
  return count;
}

void SocketPort::send_run(const UdpSocket& socket, rte_mbuf** run, unsigned n) noexcept {
  const auto& meta = dataplane::meta_of(run[0]);
  sockaddr_storage to;
  iovec parts[kMaxSegments];
  for (unsigned i = 0; i < n; ++i)
    parts[i] = {rte_pktmbuf_mtod(run[i], void*), rte_pktmbuf_data_len(run[i])};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = to_sockaddr(meta.remote, to);
  message.msg_iov = parts;
  message.msg_iovlen = n;
  const auto attach = [&](int level, int type, const auto& value) {
    auto* c = reinterpret_cast<cmsghdr*>(control + message.msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(c), &value, sizeof value);
    message.msg_control = control;
    message.msg_controllen += CMSG_SPACE(sizeof value);
  };
  if (n > 1) attach(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(parts[0].iov_len));
  if (meta.ttl != 0) {
    const bool v6 = meta.remote.family == 6;
    attach(v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_HOPLIMIT : IP_TTL, static_cast<int>(meta.ttl));
  }
  if (meta.whole) socket.send_whole(true);
  ssize_t sent = ::sendmsg(socket.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  // An earlier ICMP error is reported by the next send, which did not happen: once more.
  if (sent < 0 && errno == ECONNREFUSED)
    sent = ::sendmsg(socket.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  const int code = errno;
  if (meta.whole) socket.send_whole(false);
  if (sent >= 0) {
    counters_.tx_packets += n;
    counters_.tx_bytes += static_cast<std::uint64_t>(sent);
  } else if (n > 1 && (code == EIO || code == EINVAL || code == EMSGSIZE)) {
    if (code == EIO) segment_ = false;  // the device cannot checksum segments
    for (unsigned i = 0; i < n; ++i) send_run(socket, run + i, 1);
  } else {
    counters_.tx_dropped += n;
  }
}

void SocketPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  unsigned begin = 0;
  while (begin < n) {
    const auto& first = dataplane::meta_of(in[begin]);
    const unsigned size = rte_pktmbuf_data_len(in[begin]);
    unsigned end = begin + 1;
    std::size_t total = size;
    // A run: same destination and socket, all of one size but the last, which may be shorter.
    while (segment_ && end < n && end - begin < kMaxSegments && first.ttl == 0 && !first.whole) {
      const auto& meta = dataplane::meta_of(in[end]);
      const unsigned next = rte_pktmbuf_data_len(in[end]);
      if (meta.socket != first.socket || meta.remote != first.remote || next > size ||
          meta.ttl != 0 || meta.whole || total + next > kMaxSegmented) {
        break;
      }
      total += next;
      ++end;
      if (next < size) break;
    }
    if (const UdpSocket* socket = find(first.socket)) {
      send_run(*socket, in + begin, end - begin);
    } else {
      counters_.tx_dropped += end - begin;
    }
    begin = end;
  }
  rte_pktmbuf_free_bulk(in, n);
}

dataplane::PortQueues socket_ports(const std::vector<SharedSockets>& addresses, std::size_t workers,
                                   rte_mempool* small, rte_mempool* large) {
  dataplane::PortQueues ports;
  for (std::size_t worker = 0; worker < workers && !addresses.empty(); ++worker) {
    std::vector<std::shared_ptr<UdpSocket>> own;
    for (const SharedSockets& sockets : addresses) own.push_back(sockets[worker]);
    ports.push_back(std::make_shared<SocketPort>(std::move(own), small, large));
  }
  return ports;
}

}  // namespace orrery::tap
