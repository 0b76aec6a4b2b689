// What we asked and of whom: every OK must answer one of these, and only it can confirm a path.
//
// HELLO and ECHO: one id per copy sent, bound to the peer, the local socket and the remote
// endpoint; the answer consumes it. WHOIS: bound to the root asked, any path, consumed. Requests of
// the networks (configuration, gather, multicast frame): many answers until their time is over. The
// table is of fixed size; when it is full the oldest entry of the kind that holds most gives way,
// at constant cost: strangers can make us probe them, but their probes push out each other. Source:
// docs/protocol/03-verbs.md, 0x03; docs/architecture.md, "Replies".
#pragma once

#include <array>
#include <list>
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

  /// `id` as it is on the wire, after armoring. REQUIRES: calls in order of `sent`; `until` is
  /// `sent` and the window of the verb.
  void expect(std::uint64_t id, const Expectation& expectation);
  /// The request that this answer belongs to, and consumes it where answers come once. Nothing for
  /// an answer to nothing of ours, of another verb, from another node, over another path, or too
  /// late.
  std::optional<Expectation> match(std::uint64_t id, wire::Verb verb, const Incoming& answer,
                                   Millis now);
  void expire(Millis now);

  [[nodiscard]] std::size_t size() const { return table_.size(); }

 private:
  // One window each, so the oldest of a kind is the one that ends first.
  enum Kind : std::uint8_t { kProbe, kOther, kConfiguration, kGather, kKinds };

  struct Entry {
    Expectation asked;
    std::list<std::uint64_t>::iterator place;  // in by_age_ of its kind
  };

  using Table = std::unordered_map<std::uint64_t, Entry, KeyedHash>;

  [[nodiscard]] static Kind kind_of(wire::Verb verb);
  void erase(Table::iterator it);

  std::size_t limit_;
  Table table_;
  std::array<std::list<std::uint64_t>, kKinds> by_age_;  // ids of the table, oldest first
};

/// How long answers to a request of this verb are waited for.
[[nodiscard]] Millis reply_window(wire::Verb verb);

}  // namespace orrery::control
