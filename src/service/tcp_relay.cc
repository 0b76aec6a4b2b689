#include "service/tcp_relay.h"

#include <ifaddrs.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>

#include "service/background.h"
#include "tap/sockaddr.h"
#include "wire/tunnel.h"

namespace orrery::service {

using control::TcpRelayClient;
using control::TcpRelayDrop;
using tap::set_option;

namespace {

constexpr Millis kLookAround = 1'000;     // for connections that are overdue
constexpr Millis kOwnAddresses = 30'000;  // between looks at the host's addresses
constexpr unsigned kReads = 8;            // of one descriptor in a turn: then others have theirs
constexpr unsigned kAccepts = 64;         // the same of connections
constexpr int kUdpBuffer = 256 * 1024;    // bytes that wait in the kernel
constexpr int kUnacknowledged = 60'000;   // ms until a connection without answers is dead

Millis now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<Millis>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000 + 1;
}

SipKey random_key() {
  SipKey key{};
  randombytes_buf(&key, sizeof key);
  return key;
}

/// An IPv4 address that came in the form of IPv6 is itself again.
wire::Endpoint plain(const wire::Endpoint& e) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                           0, 0, 0, 0, 0xff, 0xff};
  if (e.family != 6 || std::memcmp(e.ip.data(), kMapped.data(), kMapped.size()) != 0) return e;
  return wire::Endpoint::v4(load_be32(e.ip.data() + kMapped.size()), e.port);
}

/// What one source is: an IPv4 address, or a /64.
wire::Endpoint source_of(const wire::Endpoint& e) {
  wire::Endpoint source = plain(e).with_port(0);
  if (source.family == 6) std::fill(source.ip.begin() + 8, source.ip.end(), std::uint8_t{0});
  return source;
}

Result<int> listen_at(const wire::Endpoint& where) {
  const bool v6 = where.family == 6;
  const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto failed = [&] {
    const Error error{
        Errc::kIo, "cannot listen at TCP " + wire::to_string(where) + ": " + std::strerror(errno)};
    if (fd >= 0) ::close(fd);
    return std::unexpected(error);
  };
  if (fd < 0) return failed();
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage address;
  const socklen_t size = tap::to_sockaddr(where, address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 128) != 0)
    return failed();
  return fd;
}

/// At this address of ours, if it is one of IPv4, and a port of the system's choice.
int open_udp(const wire::Endpoint& local) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kUdpBuffer);
  set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  sockaddr_storage address;
  const socklen_t size =
      tap::to_sockaddr(local.family == 4 ? local.with_port(0) : wire::Endpoint::v4(0, 0), address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return fd;
  ::close(fd);
  return -1;
}

std::vector<wire::Endpoint> own_addresses() {
  std::vector<wire::Endpoint> all;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return all;
  for (const ifaddrs* a = list; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr || a->ifa_addr->sa_family != AF_INET) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, a->ifa_addr, sizeof(sockaddr_in));
    all.push_back(tap::to_endpoint(storage));
  }
  ::freeifaddrs(list);
  return all;
}

}  // namespace

/// All that the thread owns.
class TcpRelay::Server {
 public:
  Server(TcpRelay& relay, const TcpRelayConfig& config, std::uint16_t node_port)
      : relay_(relay),
        limits_(config.limits),
        rules_(limits_),
        node_port_(node_port),
        key_(random_key()),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  ~Server() {
    while (!nodes_.empty()) remove(nodes_.begin()->first);
    for (const int fd : listeners_) ::close(fd);
    if (epoll_ >= 0) ::close(epoll_);
  }

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void add_listener(int fd) {
    listeners_.push_back(fd);
    watch(fd, Kind::kListener, static_cast<std::uint64_t>(fd));
  }

  void watch_wake(int fd) { watch(fd, Kind::kWake, 0); }

  void run(const std::atomic<bool>& stop) {
    Millis next_look = 0, next_own = 0;
    while (!stop.load(std::memory_order_acquire)) {
      const Millis now = now_ms();
      if (now >= next_own) {
        next_own = now + kOwnAddresses;
        rules_.set_own(own_addresses(), node_port_);
      }
      if (now >= next_look) {
        next_look = now + kLookAround;
        look_around(now);
      }
      epoll_event events[64];
      const int timeout = nodes_.empty() ? static_cast<int>(kOwnAddresses)
                                         : static_cast<int>(std::max<Millis>(next_look - now, 1));
      const int n = ::epoll_wait(epoll_, events, 64, timeout);
      for (int i = 0; i < n; ++i) handle(events[i], now_ms());
    }
  }

 private:
  enum class Kind : std::uint8_t { kWake, kListener, kTcp, kUdp };

  /// One connection. Its number is in the data of its descriptors' events, and not given again: an
  /// event of one that went in the same turn finds nobody.
  struct Node {
    Node(Millis now, const control::TcpRelayLimits& limits, SipKey key)
        : client(now, limits, key), pending(kMostPending) {}

    std::uint64_t number = 0;
    int tcp = -1, udp = -1;
    wire::Endpoint source;
    TcpRelayClient client;
    wire::TunnelStream stream;
    ByteVector pending;
    std::size_t begin = 0, end = 0;  // of what waits in it
    bool wants_room = false;
  };

  using Nodes = std::unordered_map<std::uint64_t, std::unique_ptr<Node>>;

  void count(TcpRelayDrop drop) {
    relay_.counts_.drops[static_cast<std::size_t>(drop)].fetch_add(1, std::memory_order_relaxed);
  }

  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) {
    counter.fetch_add(n, std::memory_order_relaxed);
  }

  void watch(int fd, Kind kind, std::uint64_t number) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = number << 2 | static_cast<std::uint64_t>(kind);
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void handle(const epoll_event& event, Millis now) {
    const auto kind = static_cast<Kind>(event.data.u64 & 3);
    const std::uint64_t number = event.data.u64 >> 2;
    switch (kind) {
      case Kind::kWake:
        break;
      case Kind::kListener:
        accept(static_cast<int>(number), now);
        break;
      case Kind::kTcp:
      case Kind::kUdp: {
        const auto it = nodes_.find(number);
        if (it == nodes_.end()) break;  // went in this very turn
        Node& node = *it->second;
        bool stays = true;
        if (kind == Kind::kUdp) {
          stays = from_world(node, now);
        } else {
          if ((event.events & EPOLLOUT) != 0) stays = flush(node);
          if (stays && (event.events & ~std::uint32_t{EPOLLOUT}) != 0) stays = from_node(node, now);
        }
        if (!stays) remove(number);
        break;
      }
    }
  }

  void accept(int listener, Millis now) {
    for (unsigned i = 0; i < kAccepts; ++i) {
      sockaddr_storage storage{};
      socklen_t size = sizeof storage;
      const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const wire::Endpoint source = source_of(tap::to_endpoint(storage));
      if (const auto refused = refuse(source)) {
        count(*refused);
        ::close(fd);
        continue;
      }
      auto node = std::make_unique<Node>(now, limits_, key_);
      node->source = source;
      node->tcp = fd;
      node->udp = open_udp(plain(tap::local_endpoint(fd)));
      if (node->udp < 0) {
        count(TcpRelayDrop::kSocket);
        ::close(fd);
        continue;
      }
      set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledged);
      const std::uint64_t number = node->number = ++last_number_;
      watch(fd, Kind::kTcp, number);
      watch(node->udp, Kind::kUdp, number);
      ++of_source_[source];
      nodes_.emplace(number, std::move(node));
      relay_.connections_.store(nodes_.size(), std::memory_order_relaxed);
      add(relay_.counts_.accepted);
    }
  }

  [[nodiscard]] std::optional<TcpRelayDrop> refuse(const wire::Endpoint& source) const {
    if (nodes_.size() >= limits_.connections) return TcpRelayDrop::kConnectionsFull;
    const auto it = of_source_.find(source);
    if (it != of_source_.end() && it->second >= limits_.per_source)
      return TcpRelayDrop::kSourceFull;
    return std::nullopt;
  }

  void remove(std::uint64_t number) {
    const auto it = nodes_.find(number);
    if (it == nodes_.end()) return;
    ::close(it->second->tcp);
    ::close(it->second->udp);
    if (--of_source_[it->second->source] == 0) of_source_.erase(it->second->source);
    nodes_.erase(it);
    relay_.connections_.store(nodes_.size(), std::memory_order_relaxed);
  }

  void look_around(Millis now) {
    std::vector<std::uint64_t> overdue;
    for (const auto& [number, node] : nodes_) {
      if (const auto why = node->client.overdue(now)) {
        count(*why);
        overdue.push_back(number);
      }
    }
    for (const std::uint64_t number : overdue) remove(number);
  }

  /// False: the connection ends.
  bool from_node(Node& node, Millis now) {
    for (unsigned reads = 0; reads < kReads; ++reads) {
      const MutableBytes room = node.stream.room();
      const ssize_t n = ::recv(node.tcp, room.data(), room.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return true;
      if (n <= 0) return false;
      node.stream.filled(static_cast<std::size_t>(n));
      while (const auto message = node.stream.next()) {
        if (!take(node, *message, now)) return false;
      }
      if (node.stream.failed()) {
        count(TcpRelayDrop::kMalformed);
        return false;
      }
    }
    return true;
  }

  /// One message of a node. False: the connection ends.
  bool take(Node& node, Bytes message, Millis now) {
    const auto decoded = wire::decode_tunnel_message(message);
    if (!decoded) {
      count(TcpRelayDrop::kMalformed);
      return false;
    }
    using MessageKind = wire::TunnelMessage::Kind;
    if (decoded->kind == MessageKind::kHello) {
      node.client.hello(now);
      return true;
    }
    if (!node.client.greeted()) {
      count(TcpRelayDrop::kNoHello);
      return false;
    }
    if (decoded->kind != MessageKind::kDatagram) return true;
    auto refused = rules_.refuse(decoded->endpoint);
    if (!refused) refused = node.client.send(now, decoded->endpoint, decoded->datagram.size());
    if (refused) {
      count(*refused);
      return true;
    }
    sockaddr_storage to;
    const socklen_t size = tap::to_sockaddr(decoded->endpoint, to);
    const auto send = [&] {
      return ::sendto(node.udp, decoded->datagram.data(), decoded->datagram.size(),
                      MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&to), size);
    };
    // An earlier ICMP error is reported by the next send, which did not happen: once more.
    ssize_t sent = send();
    if (sent < 0 && errno == ECONNREFUSED) sent = send();
    if (sent < 0) {
      count(TcpRelayDrop::kNotSent);
      return true;
    }
    add(relay_.counts_.from_nodes);
    add(relay_.counts_.from_nodes_bytes, decoded->datagram.size());
    return true;
  }

  /// False: the connection ends.
  bool from_world(Node& node, Millis now) {
    constexpr std::size_t kBefore = wire::kTunnelHeadSize + wire::kTunnelEndpointSize;
    for (unsigned reads = 0; reads < 4 * kReads; ++reads) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      // MSG_TRUNC: the length as it came, so that what does not fit is told from what does.
      const ssize_t n = ::recvfrom(node.udp, datagram_.data(), datagram_.size(), MSG_TRUNC,
                                   reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) continue;  // the error of an earlier send
      const auto length = static_cast<std::size_t>(n);
      if (!node.client.greeted() || length > datagram_.size()) {
        count(TcpRelayDrop::kNoPacket);
        continue;
      }
      const wire::Endpoint source = tap::to_endpoint(from);
      if (const auto refused = node.client.receive(now, source, length)) {
        count(*refused);
        continue;
      }
      if (node.begin > node.pending.size() / 2) {
        std::memmove(node.pending.data(), node.pending.data() + node.begin, node.end - node.begin);
        node.end -= node.begin;
        node.begin = 0;
      }
      if (node.pending.size() - node.end < kBefore + length) {
        count(TcpRelayDrop::kBacklog);
        continue;
      }
      const MutableBytes room = MutableBytes(node.pending).subspan(node.end);
      const std::size_t head = wire::write_tunnel_head(room, source, length);
      std::memcpy(room.data() + head, datagram_.data(), length);
      node.end += head + length;
      add(relay_.counts_.to_nodes);
      add(relay_.counts_.to_nodes_bytes, length);
    }
    return node.begin == node.end || node.wants_room || flush(node);
  }

  /// False: the connection ends.
  bool flush(Node& node) {
    while (node.begin < node.end) {
      const ssize_t n = ::send(node.tcp, node.pending.data() + node.begin, node.end - node.begin,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) return false;
      node.begin += static_cast<std::size_t>(n);
    }
    if (node.begin == node.end) node.begin = node.end = 0;
    const bool wants_room = node.begin < node.end;
    if (wants_room != node.wants_room) {
      node.wants_room = wants_room;
      epoll_event event{};
      event.events = EPOLLIN | (wants_room ? EPOLLOUT : 0u);
      event.data.u64 = node.number << 2 | static_cast<std::uint64_t>(Kind::kTcp);
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, node.tcp, &event);
    }
    return true;
  }

  TcpRelay& relay_;
  const control::TcpRelayLimits limits_;
  control::TcpRelayRules rules_;
  const std::uint16_t node_port_;
  const SipKey key_;
  int epoll_;
  std::vector<int> listeners_;
  Nodes nodes_;
  std::map<wire::Endpoint, std::size_t> of_source_;
  std::uint64_t last_number_ = 0;
  std::array<std::uint8_t, wire::kMaxPacket> datagram_;
};

Result<std::unique_ptr<TcpRelay>> TcpRelay::start(const TcpRelayConfig& config,
                                                  std::uint16_t node_port) {
  std::unique_ptr<TcpRelay> relay(new TcpRelay);
  relay->server_ = std::make_unique<Server>(*relay, config, node_port);
  for (const wire::Endpoint& where : config.listen) {
    const auto fd = listen_at(where);
    if (!fd) return std::unexpected(fd.error());
    relay->server_->add_listener(*fd);
    relay->listening_.push_back(tap::local_endpoint(*fd));
  }
  relay->wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  relay->server_->watch_wake(relay->wake_fd_);
  relay->thread_ = std::thread([r = relay.get()] {
    reset_affinity();
    r->server_->run(r->stop_);
  });
  return relay;
}

TcpRelay::~TcpRelay() {
  stop_.store(true, std::memory_order_release);
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
    thread_.join();
  }
  server_.reset();
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

std::vector<std::pair<const char*, std::uint64_t>> TcpRelay::counters() const {
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  std::vector<std::pair<const char*, std::uint64_t>> all = {
      {"accepted", value(counts_.accepted)},
      {"from_nodes", value(counts_.from_nodes)},
      {"from_nodes_bytes", value(counts_.from_nodes_bytes)},
      {"to_nodes", value(counts_.to_nodes)},
      {"to_nodes_bytes", value(counts_.to_nodes_bytes)}};
  for (std::size_t i = 0; i < counts_.drops.size(); ++i)
    all.emplace_back(label_of(static_cast<TcpRelayDrop>(i)), value(counts_.drops[i]));
  return all;
}

}  // namespace orrery::service
