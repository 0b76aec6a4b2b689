// Rate gates before anything expensive is done for a stranger: per source prefix, then for the
// whole node.
//
// Stock lets one unknown identity per /24 pass in two seconds; that gate pays for proof of work,
// which here is off the packet path, so ours only pays for a key agreement (about 50 us) and may be
// wider. A full table refuses nobody: prefixes share a counter when they fall together, under a key
// nobody knows. Source: docs/protocol/03-verbs.md 0x01; security 2.12 as summarised in
// docs/architecture.md.
#pragma once

#include <vector>

#include "control/keyed_hash.h"
#include "control/token_bucket.h"

namespace orrery::control {

class StrangerGate {
 public:
  static constexpr unsigned kBurst = 16;     // key agreements per prefix at once
  static constexpr unsigned kPerSecond = 8;  // and then on
  static constexpr unsigned kAllBurst = 2'000;
  static constexpr unsigned kAllPerSecond = 5'000;  // a quarter of a core

  /// REQUIRES: prefixes > 0.
  StrangerGate(std::size_t prefixes, SipKey key)
      : hash_{key}, prefixes_(prefixes), all_(kAllBurst, kAllPerSecond) {}

  [[nodiscard]] bool allow(Millis now, const wire::Endpoint& from) {
    wire::Endpoint prefix = from;
    prefix.port = 0;
    // /24 of IPv4, /48 of IPv6
    for (std::size_t i = from.family == 4 ? 3 : 6; i < prefix.ip.size(); ++i) prefix.ip[i] = 0;
    return prefixes_[hash_(prefix) % prefixes_.size()].take(now) && all_.take(now);
  }

 private:
  struct PrefixBucket : TokenBucket {
    PrefixBucket() : TokenBucket(kBurst, kPerSecond) {}
  };

  KeyedHash hash_;
  std::vector<PrefixBucket> prefixes_;
  TokenBucket all_;
};

/// ECHO over paths that are not known yet: one answer per path and interval, without a record for
/// the path. Two paths share nothing: a set remembers exact tags, its oldest gives way, so whoever
/// fills the table only makes it forget.
class EchoGate {
 public:
  EchoGate(std::size_t entries, SipKey key)
      : hash_{key}, entries_((entries + kWays - 1) / kWays * kWays) {}

  [[nodiscard]] bool allow(Millis now, Millis interval, const fib::PathKey& path) {
    const std::uint64_t tag = hash_(path) | 1;
    Entry* const set = &entries_[tag / 2 % (entries_.size() / kWays) * kWays];
    Entry* oldest = set;
    for (Entry* entry = set; entry != set + kWays; ++entry) {
      if (entry->tag == tag) {
        if (now - entry->at < interval) return false;
        entry->at = now;
        return true;
      }
      if (entry->at < oldest->at) oldest = entry;
    }
    *oldest = {tag, now};
    return true;
  }

 private:
  static constexpr std::size_t kWays = 4;

  struct Entry {
    std::uint64_t tag = 0;  // 0: free
    Millis at = 0;          // mono
  };

  KeyedHash hash_;
  std::vector<Entry> entries_;
};

}  // namespace orrery::control
