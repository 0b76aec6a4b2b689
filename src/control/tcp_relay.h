// What a relay for nodes without UDP does for whom, and what it refuses: it sends datagrams of
// strangers from our own address, so it must be of no use for anything but ZeroTier, and no door
// into networks that only we reach.
//
// Destinations are IPv4 addresses of the whole Internet, unless the operator names others; of this
// host's own addresses only the node's port. A destination that has not answered gets a trickle of
// each connection; who answers gets what the connection's rate allows. Everything that a stranger
// can make it remember is bounded.
//
// No sockets, no clock: service/tcp_relay.h drives it. Weak spots: a destination is judged by its
// address alone, so a network of global addresses that only this host reaches must be denied by
// name; and answers are believed by their source address.
// Source: docs/protocol/04-paths-and-roots.md section 13; docs/architecture.md, "TCP fallback".
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "control/keyed_hash.h"
#include "control/token_bucket.h"
#include "wire/endpoint.h"

namespace orrery::control {

// Why the relay dropped a datagram, or closed a connection. X(name, label)
#define ORRERY_FOR_EACH_TCP_RELAY_DROP(X)                                                      \
  X(kRefused, "destination_refused")      /* not of the Internet, denied, or this host */      \
  X(kNotIpv4, "destination_not_ipv4")     /* nodes name no others */                           \
  X(kNoPacket, "not_zerotier")            /* too short for a packet */                         \
  X(kTooMany, "destinations_full")        /* remembered destinations of a connection */        \
  X(kUnanswered, "destination_silent")    /* beyond the trickle */                             \
  X(kRateOut, "rate_from_node")           /* bytes a second of a connection */                 \
  X(kRateIn, "rate_to_node")              /* the same towards the node */                      \
  X(kBacklog, "backlog")                  /* the node takes them more slowly than they come */ \
  X(kNotSent, "not_sent")                 /* the system did not take it */                     \
  X(kConnectionsFull, "connections_full") /* refused: as many as there may be */               \
  X(kSourceFull, "connections_of_source") /* refused: as many of one address */                \
  X(kMalformed, "malformed")              /* closed: not of this protocol */                   \
  X(kNoHello, "no_hello")                 /* closed: did not begin as nodes do */              \
  X(kIdle, "idle")                        /* closed: silent for too long */                    \
  X(kSocket, "no_socket")                 /* closed: no UDP socket for it */

enum class TcpRelayDrop : std::uint8_t {
#define ORRERY_TCP_RELAY_DROP_NAME(name, label) name,
  ORRERY_FOR_EACH_TCP_RELAY_DROP(ORRERY_TCP_RELAY_DROP_NAME)
#undef ORRERY_TCP_RELAY_DROP_NAME
      kCount
};

[[nodiscard]] const char* label_of(TcpRelayDrop drop);

struct TcpRelayLimits {
  std::size_t connections = 256;
  std::size_t per_source = 8;             // of one IPv4 address or /64
  std::uint32_t rate = 1'000'000;         // bytes a second and connection, each way
  std::vector<wire::Endpoint> allowed{};  // networks beside the Internet; prefix length as port
  std::vector<wire::Endpoint> denied{};   // networks, before everything else
};

/// Where datagrams of nodes may go.
class TcpRelayRules {
 public:
  explicit TcpRelayRules(const TcpRelayLimits& limits) : limits_(limits) {}

  /// This host's addresses, and the node's port.
  void set_own(std::vector<wire::Endpoint> addresses, std::uint16_t node_port) {
    own_ = std::move(addresses);
    node_port_ = node_port;
  }

  /// Nothing: it may.
  [[nodiscard]] std::optional<TcpRelayDrop> refuse(const wire::Endpoint& destination) const;

 private:
  const TcpRelayLimits& limits_;
  std::vector<wire::Endpoint> own_;
  std::uint16_t node_port_ = 0;
};

/// What a connection was last used for, and what it may still send.
class TcpRelayClient {
 public:
  static constexpr std::size_t kDestinations = 1'024;  // remembered; some 100 KB
  static constexpr Millis kHelloWait = 10'000;         // for the first message
  static constexpr Millis kIdle = 300'000;             // nodes ask their roots more often
  static constexpr Millis kAnswered = 120'000;  // so long a destination that answered is believed

  TcpRelayClient(Millis now, const TcpRelayLimits& limits, SipKey key)
      : from_node_(limits.rate, limits.rate),
        to_node_(limits.rate, limits.rate),
        destinations_(16, KeyedHash{key}),
        last_(now) {}

  /// The first message came, as nodes send it.
  void hello(Millis now) {
    greeted_ = true;
    last_ = now;
  }

  [[nodiscard]] bool greeted() const { return greeted_; }

  /// Whether a datagram of the node may go there, as far as this connection is concerned.
  [[nodiscard]] std::optional<TcpRelayDrop> send(Millis now, const wire::Endpoint& destination,
                                                 std::size_t size);
  /// The same of one that came for it.
  [[nodiscard]] std::optional<TcpRelayDrop> receive(Millis now, const wire::Endpoint& source,
                                                    std::size_t size);
  /// Why it must be closed, if it must.
  [[nodiscard]] std::optional<TcpRelayDrop> overdue(Millis now) const;

  [[nodiscard]] std::size_t destinations() const { return destinations_.size(); }

 private:
  struct Destination {
    Millis last_out = 0;
    Millis answered = 0;         // 0: never
    FixedBucket<32, 2> trickle;  // probes, and what a node sends before it knows who is there
  };

  [[nodiscard]] bool make_room(Millis now);

  TokenBucket from_node_, to_node_;  // bytes
  std::unordered_map<wire::Endpoint, Destination, KeyedHash> destinations_;
  TokenBucket news_{256, 16};  // new destinations
  Millis last_;                // of the node
  bool greeted_ = false;
};

}  // namespace orrery::control
