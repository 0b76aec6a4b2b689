// What we asked and of whom: every OK must answer one of these, and only it can confirm a path.
//
// HELLO and ECHO: one id per copy sent, bound to the peer, the local socket and the remote
// endpoint; the answer consumes it. WHOIS: bound to the root asked, any path, consumed. Requests of
// the networks (configuration, gather, multicast frame): many answers until their time is over. The
// table is of fixed size; when it is full the entry that ends first gives way. Source:
// docs/protocol/03-verbs.md, 0x03; docs/architecture.md, "Replies".
#pragma once

#include <optional>
#include <unordered_map>

#include "base/time.h"
#include "control/incoming.h"
#include "control/keyed_hash.h"

namespace orrery::control {

struct Expectation {
  wire::Verb verb = wire::Verb::kNop;
  wire::Address from;  // who may answer; zero: anybody (chunks of a configuration are signed)
  fib::PathKey path;   // where the answer must come in; nil: anywhere
  std::uint64_t context = 0;  // what the asker wants back
  Millis sent = 0;            // mono
  Millis until = 0;           // mono
  bool once = true;
};

class Replies {
 public:
  Replies(std::size_t limit, SipKey key) : limit_(limit), table_(16, KeyedHash{key}) {}

  /// `id` as it is on the wire, after armoring.
  void expect(std::uint64_t id, const Expectation& expectation);
  /// The request that this answer belongs to, and consumes it where answers come once. Nothing for
  /// an answer to nothing of ours, of another verb, from another node, over another path, or too
  /// late.
  std::optional<Expectation> match(std::uint64_t id, wire::Verb verb, const Incoming& answer,
                                   Millis now);
  void expire(Millis now);

  [[nodiscard]] std::size_t size() const { return table_.size(); }

 private:
  std::size_t limit_;
  std::unordered_map<std::uint64_t, Expectation, KeyedHash> table_;
};

/// How long answers to a request of this verb are waited for.
[[nodiscard]] Millis reply_window(wire::Verb verb);

}  // namespace orrery::control
