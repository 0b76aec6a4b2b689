// The TCP relay as nodes and strangers meet it: real sockets on loopback, which the operator has
// allowed here.
#include "service/tcp_relay.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "tap/sockaddr.h"
#include "wire/tunnel.h"

namespace orrery::service {
namespace {

wire::Endpoint at(const char* text) {
  return *wire::parse_endpoint(text);
}

constexpr int kPatience = 5'000;  // ms, for what must come

bool readable(int fd, int ms = kPatience) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, ms) == 1;
}

/// A node's end of a connection.
class Node {
 public:
  explicit Node(const wire::Endpoint& relay) {
    fd_ = ::socket(relay.family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage to;
    const socklen_t size = tap::to_sockaddr(relay, to);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), size), 0);
  }

  ~Node() { ::close(fd_); }

  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void write(Bytes bytes) const { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  void greet() const {
    ByteVector bytes(9);
    wire::write_tunnel_hello(bytes, 1, 14, 1);
    write(bytes);
  }

  void send(const wire::Endpoint& to, Bytes datagram) const {
    ByteVector bytes(wire::kTunnelHeadSize + wire::kTunnelEndpointSize);
    bytes.resize(wire::write_tunnel_head(bytes, to, datagram.size()));
    bytes.insert(bytes.end(), datagram.begin(), datagram.end());
    write(bytes);
  }

  /// The next datagram and its source; nothing: the connection has ended, or none came.
  std::optional<std::pair<wire::Endpoint, ByteVector>> receive() {
    for (;;) {
      if (const auto message = stream_->next()) {
        const auto decoded = wire::decode_tunnel_message(*message);
        if (!decoded) return std::nullopt;
        return std::pair(decoded->endpoint,
                         ByteVector(decoded->datagram.begin(), decoded->datagram.end()));
      }
      if (!readable(fd_)) return std::nullopt;
      const MutableBytes room = stream_->room();
      const ssize_t n = ::recv(fd_, room.data(), room.size(), 0);
      if (n <= 0) return std::nullopt;
      stream_->filled(static_cast<std::size_t>(n));
    }
  }

  /// The relay closes the connection.
  bool ended() const {
    std::uint8_t byte = 0;
    return readable(fd_) && ::recv(fd_, &byte, 1, 0) <= 0;
  }

 private:
  int fd_;
  std::unique_ptr<wire::TunnelStream> stream_ = std::make_unique<wire::TunnelStream>();
};

/// Somebody with UDP.
class Peer {
 public:
  explicit Peer(const wire::Endpoint& where)
      : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address;
    const socklen_t size = tap::to_sockaddr(where, address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    where_ = tap::local_endpoint(fd_);
  }

  ~Peer() { ::close(fd_); }

  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] const wire::Endpoint& where() const { return where_; }

  std::optional<std::pair<wire::Endpoint, ByteVector>> receive(int ms = kPatience) const {
    if (!readable(fd_, ms)) return std::nullopt;
    ByteVector bytes(20'000);
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t n =
        ::recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(n));
    return std::pair(tap::to_endpoint(from), bytes);
  }

  void send(const wire::Endpoint& to, Bytes bytes) const {
    sockaddr_storage address;
    const socklen_t size = tap::to_sockaddr(to, address);
    (void)!::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address),
                    size);
  }

 private:
  int fd_;
  wire::Endpoint where_;
};

class TcpRelayTest : public testing::Test {
 protected:
  TcpRelayTest() {
    config_.listen = {at("127.0.0.1/0")};  // a port of the system's choice
    // Whom datagrams may go to is not this host, whose own address is 127.0.0.1.
    config_.limits.allowed = {at("127.7.0.0/16")};
  }

  void start() {
    auto relay = TcpRelay::start(config_, 9993);
    ASSERT_TRUE(relay) << relay.error().text;
    relay_ = std::move(*relay);
    where_ = relay_->listening().at(0);
  }

  [[nodiscard]] std::uint64_t count(const std::string& label) const {
    for (const auto& [name, value] : relay_->counters()) {
      if (label == name) return value;
    }
    ADD_FAILURE() << "no counter " << label;
    return 0;
  }

  /// The thread counts after it has acted.
  void expect_count(const std::string& label, std::uint64_t expected) const {
    for (int i = 0; i < kPatience && count(label) < expected; ++i) ::usleep(1'000);
    EXPECT_EQ(count(label), expected) << label;
  }

  TcpRelayConfig config_;
  std::unique_ptr<TcpRelay> relay_;
  wire::Endpoint where_;
};

TEST_F(TcpRelayTest, CarriesDatagramsBothWaysUnderAPortOfItsOwn) {
  start();
  Node node(where_);
  const Peer peer(at("127.7.0.2/0"));
  node.greet();
  node.send(peer.where(), ByteVector(100, 1));
  const auto got = peer.receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->second, ByteVector(100, 1));
  const wire::Endpoint lent = got->first;
  EXPECT_TRUE(lent.same_ip(at("127.0.0.1/0"))) << "where the node found the relay";

  peer.send(lent, ByteVector(9'000, 2));
  const auto answer = node.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->first, peer.where());
  EXPECT_EQ(answer->second, ByteVector(9'000, 2));

  // a stranger may write to it, as to every node
  const Peer stranger(at("127.7.0.3/0"));
  stranger.send(lent, ByteVector(50, 3));
  const auto knock = node.receive();
  ASSERT_TRUE(knock);
  EXPECT_EQ(knock->first, stranger.where());

  // another node has another port
  Node other(where_);
  other.greet();
  other.send(peer.where(), ByteVector(60, 4));
  const auto second = peer.receive();
  ASSERT_TRUE(second);
  EXPECT_NE(second->first, lent);
  expect_count("accepted", 2);
  expect_count("from_nodes", 2);
  expect_count("to_nodes", 2);
  EXPECT_EQ(count("to_nodes_bytes"), 9'050u);
  EXPECT_EQ(relay_->connections(), 2u);
}

TEST_F(TcpRelayTest, IsNoDoorIntoNetworksThatOnlyItReaches) {
  start();
  Node node(where_);
  const Peer host(at("127.0.0.1/0"));
  const Peer peer(at("127.7.0.2/0"));
  node.greet();
  const char* refused[] = {"127.0.0.1/53",       "10.0.0.1/9993",    "192.168.1.1/9993",
                           "169.254.169.254/80", "224.0.0.251/5353", "0.0.0.0/9993",
                           "255.255.255.255/1"};
  for (const char* where : refused) node.send(at(where), ByteVector(100));
  node.send(host.where(), ByteVector(100));
  node.send(at("::1/9993"), ByteVector(100));
  node.send(peer.where(), ByteVector(3));
  node.send(peer.where(), ByteVector(30));
  ASSERT_TRUE(peer.receive()) << "the connection goes on";
  expect_count("destination_refused", std::size(refused) + 1);
  expect_count("destination_not_ipv4", 1);
  expect_count("not_zerotier", 1);
  EXPECT_FALSE(host.receive(0));
}

TEST_F(TcpRelayTest, ConnectionsThatAreNoNodesEnd) {
  start();
  {
    const Node node(where_);
    node.write(bytes_of("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(node.ended());
  }
  expect_count("malformed", 1);
  {
    const Node node(where_);
    node.send(at("127.7.0.2/1"), ByteVector(100));
    EXPECT_TRUE(node.ended());
  }
  expect_count("no_hello", 1);
  {
    const Node node(where_);
    node.greet();
    node.write(*from_hex("1703030001ff"));
    EXPECT_TRUE(node.ended());
  }
  expect_count("malformed", 2);
  for (int i = 0; i < kPatience && relay_->connections() != 0; ++i) ::usleep(1'000);
  EXPECT_EQ(relay_->connections(), 0u);
}

TEST_F(TcpRelayTest, ThereAreOnlySoManyConnections) {
  config_.limits.connections = 3;
  config_.limits.per_source = 2;
  start();
  const Node a(where_), b(where_);
  a.greet();
  b.greet();
  const Node c(where_);
  EXPECT_TRUE(c.ended());
  expect_count("connections_of_source", 1);
  for (int i = 0; i < kPatience && relay_->connections() != 2; ++i) ::usleep(1'000);
  EXPECT_EQ(relay_->connections(), 2u);
}

TEST_F(TcpRelayTest, ANodeThatDoesNotReadLosesDatagramsAndNobodyElseDoes) {
  config_.limits.rate = 1'000'000'000;
  start();
  Node deaf(where_), other(where_);
  const Peer peer(at("127.7.0.2/0"));
  deaf.greet();
  deaf.send(peer.where(), ByteVector(100, 1));
  const auto first = peer.receive();
  ASSERT_TRUE(first);
  for (int i = 0; i < 200'000 && count("backlog") == 0; ++i) {
    peer.send(first->first, ByteVector(1'400, 5));
    if (i % 64 == 63) ::usleep(500);
  }
  EXPECT_GT(count("backlog"), 0u);
  other.greet();
  other.send(peer.where(), ByteVector(100, 2));
  const auto second = peer.receive();
  ASSERT_TRUE(second);
  peer.send(second->first, ByteVector(200, 6));
  const auto answer = other.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->second, ByteVector(200, 6));
  // What waited for the deaf one comes out whole.
  for (int i = 0; i < 50; ++i) {
    const auto got = deaf.receive();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->second, ByteVector(1'400, 5));
  }
}

TEST_F(TcpRelayTest, ListensWhereItIsToldOrSaysWhyNot) {
  config_.listen = {at("127.0.0.1/0"), at("::1/0")};
  start();
  ASSERT_EQ(relay_->listening().size(), 2u);
  const Peer peer(at("127.7.0.2/0"));
  Node node(relay_->listening()[1]);
  node.greet();
  node.send(peer.where(), ByteVector(100, 1));
  EXPECT_TRUE(peer.receive()) << "over IPv6 to the relay, IPv4 from there";
  config_.listen = {where_};
  const auto second = TcpRelay::start(config_, 9993);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text.find(wire::to_string(where_)), std::string::npos)
      << second.error().text;
}

}  // namespace
}  // namespace orrery::service
