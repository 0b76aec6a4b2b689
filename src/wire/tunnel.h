// What stands on a TCP connection between a node without UDP and the relay that lends it some: a
// stream of messages that looks like TLS records, each a datagram with the endpoint it goes to or
// came from.
//
//   [3] 17 03 03, [2] length, then the message:
//   first from the node:  [1] major, [1] minor, [2] revision
//   all others:           [1] 4 or 6, [4 or 16] IP, [2] port, the datagram; or [1] 0, ignored
//
// Nothing is encrypted or authenticated here: datagrams are as safe as on any other way. A stream
// cannot be picked up again behind an error, so the first one ends it.
// Source: docs/protocol/04-paths-and-roots.md section 13.
#pragma once

#include <array>
#include <optional>

#include "wire/endpoint.h"
#include "wire/header.h"

namespace orrery::wire {

inline constexpr std::size_t kTunnelHeadSize = 5;
inline constexpr std::size_t kTunnelHelloSize = 4;
/// Before a datagram: [1] family, [16] IP, [2] port at most.
inline constexpr std::size_t kTunnelEndpointSize = 19;
/// Of one message: the largest packet that any node takes.
inline constexpr std::size_t kMaxTunnelMessage = kTunnelEndpointSize + kMaxPacket;

/// The first message of a node; returns bytes written, 9.
std::size_t write_tunnel_hello(MutableBytes out, std::uint8_t major, std::uint8_t minor,
                               std::uint16_t revision);
/// What stands before a datagram of `size` bytes; returns bytes written, 12 or 24. 0: it is too
/// large, or `out` has no room, or the endpoint is nil.
std::size_t write_tunnel_head(MutableBytes out, const Endpoint& endpoint, std::size_t size);

struct TunnelMessage {
  enum class Kind : std::uint8_t {
    kHello,     // four bytes: the version of a node
    kDatagram,  // `endpoint` and `datagram`
    kNothing,   // to be ignored
  } kind = Kind::kNothing;
  Endpoint endpoint;
  Bytes datagram;  // a view into the message
};

/// Nothing: it is not of this protocol.
[[nodiscard]] std::optional<TunnelMessage> decode_tunnel_message(Bytes message);

/// Cuts what a stream brings, in whatever pieces, into messages. Holds the largest message and what
/// came behind it, and never more.
class TunnelStream {
 public:
  /// Where the next bytes of the stream go. Empty only when it has failed, or while whole messages
  /// wait that next() has not given out. Ends the life of what next() gave.
  [[nodiscard]] MutableBytes room();

  /// So many of them came. REQUIRES: n <= room().size() of before.
  void filled(std::size_t n) { end_ += n; }

  /// The next message, without what is around it; valid until room() is called. Nothing: it is not
  /// there yet, or the stream has failed.
  [[nodiscard]] std::optional<Bytes> next();

  /// It is not such a stream, or has a message that is too large.
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::array<std::uint8_t, 2 * (kTunnelHeadSize + kMaxTunnelMessage)> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what came and was not given out
  bool failed_ = false;
};

}  // namespace orrery::wire
