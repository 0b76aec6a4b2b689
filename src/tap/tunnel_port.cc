#include "tap/tunnel_port.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tap/datagram_mbuf.h"
#include "tap/sockaddr.h"

namespace orrery::tap {
namespace {

constexpr unsigned kReads = 16;  // of a turn: a relay in a hurry does not keep the worker
// A connection through which nothing comes any more is found dead within half a minute.
constexpr int kKeepAliveIdle = 15, kKeepAliveEvery = 5, kKeepAliveTries = 3;  // seconds, count
constexpr int kUnacknowledged = 30'000;                                       // ms

}  // namespace

Result<std::shared_ptr<TunnelPort>> TunnelPort::open(fib::LocalSocket id,
                                                     const wire::Endpoint& relay,
                                                     rte_mempool* small, rte_mempool* large) {
  const int fd = ::socket(relay.family == 6 ? AF_INET6 : AF_INET,
                          SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int epoll = fd < 0 ? -1 : ::epoll_create1(EPOLL_CLOEXEC);
  const auto failed = [&](int code) {
    if (epoll >= 0) ::close(epoll);
    if (fd >= 0) ::close(fd);
    return failure(Errc::kIo, "TCP relay " + wire::to_string(relay) + ": " + std::strerror(code));
  };
  if (epoll < 0) return failed(errno);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveEvery);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveTries);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledged);
  sockaddr_storage to;
  const socklen_t size = to_sockaddr(relay, to);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), size) != 0 && errno != EINPROGRESS)
    return failed(errno);
  return std::shared_ptr<TunnelPort>(new TunnelPort(id, fd, epoll, small, large));
}

TunnelPort::TunnelPort(fib::LocalSocket id, int fd, int epoll, rte_mempool* small,
                       rte_mempool* large)
    : id_(id),
      fd_(fd),
      epoll_(epoll),
      local_(local_endpoint(fd)),
      small_(small),
      large_(large),
      pending_(new std::uint8_t[kMostPending]) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
}

TunnelPort::~TunnelPort() {
  ::close(epoll_);
  ::close(fd_);
}

void TunnelPort::close(int error) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_, nullptr);
  ::shutdown(fd_, SHUT_RDWR);
  error_.store(error, std::memory_order_release);
  state_.store(State::kClosed, std::memory_order_release);
}

void TunnelPort::wait_for(bool room) noexcept {
  if (room == waits_for_room_) return;
  waits_for_room_ = room;
  epoll_event event{};
  event.events = EPOLLIN | (room ? EPOLLOUT : 0u);
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
}

void TunnelPort::advance() noexcept {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  int error = 0;
  socklen_t error_size = sizeof error;
  if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0 || error != 0)
    return close(error);
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return;  // not yet
  end_ = wire::write_tunnel_hello(pending_room(), static_cast<std::uint8_t>(wire::kSoftwareMajor),
                                  static_cast<std::uint8_t>(wire::kSoftwareMinor),
                                  wire::kSoftwareRevision);
  state_.store(State::kOpen, std::memory_order_release);
  flush();
}

MutableBytes TunnelPort::pending_room() noexcept {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > kMostPending / 2) {
    std::memmove(pending_.get(), pending_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {pending_.get() + end_, kMostPending - end_};
}

void TunnelPort::flush() noexcept {
  while (begin_ < end_) {
    const ssize_t n =
        ::send(fd_, pending_.get() + begin_, end_ - begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return close(errno);
    if (n < 0) break;
    begin_ += static_cast<std::size_t>(n);
  }
  wait_for(begin_ < end_);
}

void TunnelPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  for (std::uint16_t i = 0; i < n; ++i) {
    const Bytes datagram{rte_pktmbuf_mtod(in[i], const std::uint8_t*), rte_pktmbuf_data_len(in[i])};
    const MutableBytes room = state() == State::kOpen ? pending_room() : MutableBytes();
    const std::size_t head =
        wire::write_tunnel_head(room, dataplane::meta_of(in[i]).remote, datagram.size());
    if (head == 0 || room.size() - head < datagram.size()) {
      ++counters_.tx_dropped;
      continue;
    }
    std::copy(datagram.begin(), datagram.end(), room.begin() + static_cast<std::ptrdiff_t>(head));
    end_ += head + datagram.size();
    ++counters_.tx_packets;
    counters_.tx_bytes += datagram.size();
  }
  rte_pktmbuf_free_bulk(in, n);
  if (state() == State::kOpen) flush();
}

bool TunnelPort::fill() noexcept {
  const MutableBytes room = stream_.room();
  if (room.empty()) return false;
  const ssize_t n = ::recv(fd_, room.data(), room.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    close(n == 0 ? 0 : errno);
    return false;
  }
  stream_.filled(static_cast<std::size_t>(n));
  return true;
}

rte_mbuf* TunnelPort::datagram_of(Bytes message) noexcept {
  const auto decoded = wire::decode_tunnel_message(message);
  if (!decoded) {
    close(0);
    return nullptr;
  }
  if (decoded->kind != wire::TunnelMessage::Kind::kDatagram) return nullptr;
  return datagram_mbuf(decoded->datagram, {id_, decoded->endpoint}, small_, large_, counters_);
}

std::uint16_t TunnelPort::receive(rte_mbuf** out, std::uint16_t n) noexcept {
  if (state() == State::kConnecting) advance();
  if (state() != State::kOpen) return 0;
  if (begin_ < end_) flush();
  std::uint16_t count = 0;
  for (unsigned reads = 0; count < n && state() == State::kOpen;) {
    if (const auto message = stream_.next()) {
      if (rte_mbuf* m = datagram_of(*message)) out[count++] = m;
      continue;
    }
    if (stream_.failed()) {
      close(0);
    } else if (reads++ >= kReads || !fill()) {
      break;
    }
  }
  return count;
}

}  // namespace orrery::tap
