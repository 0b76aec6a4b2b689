// Paths: pairs of local socket and remote endpoint, shared by all peers behind them, and what makes
// one better than another.
//
// A path record exists only while a peer uses it or an authenticated packet came over it lately;
// datagrams of strangers never make one. The table is of fixed size: when it is full, records that
// no peer uses give way; when all are in use, new ones are refused.
// Source: docs/protocol/04-paths-and-roots.md sections 1, 7, 9.
#pragma once

#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "control/keyed_hash.h"
#include "control/path_quality.h"
#include "fib/path_key.h"

namespace orrery::control {

inline constexpr Millis kPathAlive =
    19'000;  // a path is alive if any datagram came within this time
inline constexpr Millis kOthersKeep =
    11'000;  // what is not known to be of the peer counts so long behind his last packet
inline constexpr Millis kPathExpire = 243'000;  // a peer's path without authenticated direct packet
inline constexpr Millis kTrustTimeout = 600'000;  // life of "trust established"

/// Numbers of local sockets from here on are TCP connections to a relay (service/tcp_fallback.h):
/// ways out for hosts without UDP, to IPv4 addresses of the Internet alone, and worse than any that
/// does without.
inline constexpr fib::LocalSocket kTunnelSocket = 0x8000'0000;

[[nodiscard]] constexpr bool is_tunnel(fib::LocalSocket socket) {
  return socket >= kTunnelSocket;
}

[[nodiscard]] inline bool tunnel_reaches(const wire::Endpoint& remote) {
  return remote.family == 4 && wire::scope_of(remote) == wire::IpScope::kGlobal;
}

struct Path {
  fib::PathKey key;
  Millis last_in = 0;           // mono; any datagram, even unauthenticated; 0 never
  Millis last_out = 0;          // mono
  Millis last_trust = 0;        // mono; last packet accepted for common membership
  Millis last_echo_answer = 0;  // mono
  PathQuality measured;
  unsigned references = 0;  // entries of peers that point here
  std::size_t place = 0;    // in the list of all records

  [[nodiscard]] bool trusted(Millis now) const {
    return last_trust != 0 && now - last_trust < kTrustTimeout;
  }

  /// To whom was last heard over it at `heard` (mono, 0 never). Lower is better.
  [[nodiscard]] std::int64_t quality(Millis now, Millis heard) const;
};

/// Rules 1 and 2 of "which addresses may be used as paths": class of the address, no 6in4 broker
/// range.
[[nodiscard]] bool usable_as_path(const wire::Endpoint& endpoint);

class Paths {
 public:
  Paths(std::size_t limit, SipKey key) : limit_(limit), table_(16, KeyedHash{key}) {}

  /// Null when unknown. Records that a peer uses stay where they are; others until the next
  /// obtain() of another path or sweep().
  [[nodiscard]] Path* find(const fib::PathKey& key);
  /// Finds or makes; null when the table is full of records in use. The cost does not depend on the
  /// size of the table.
  Path* obtain(const fib::PathKey& key);
  /// Removes records that no peer uses and that were silent for `idle`, among `most` of them from
  /// `place` on; returns where to go on, or 0 at the end.
  std::size_t sweep(Millis now, Millis idle, std::size_t place = 0, std::size_t most = SIZE_MAX);

  [[nodiscard]] std::size_t size() const { return table_.size(); }

 private:
  /// Removes a record that nobody uses, among the next few in the list; false if all are in use.
  bool make_room();
  void erase(const Path& path);

  std::size_t limit_;
  std::unordered_map<fib::PathKey, Path, KeyedHash> table_;
  std::vector<Path*> all_;  // every record of the table once, at its `place`
  std::size_t hand_ = 0;    // where make_room() looks next
};

}  // namespace orrery::control
