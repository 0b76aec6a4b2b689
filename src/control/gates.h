// Rate gates before anything expensive is done for a stranger: per source prefix, then for the
// whole node.
//
// Stock lets one unknown identity per /24 pass in two seconds; that gate pays for proof of work,
// which here is off the packet path, so ours only pays for a key agreement (about 50 us) and may be
// wider: 5,000 a second are a quarter of a core, 20,000 what a core can do. A full table refuses
// nobody: prefixes share a counter when they fall together, under a key nobody knows. Source:
// docs/protocol/03-verbs.md 0x01; security 2.12 as summarised in docs/architecture.md.
#pragma once

#include <vector>

#include "control/keyed_hash.h"
#include "control/token_bucket.h"

namespace orrery::control {

class StrangerGate {
 public:
  static constexpr unsigned kBurst = 16;     // key agreements per prefix at once
  static constexpr unsigned kPerSecond = 8;  // and then on

  /// REQUIRES: prefixes > 0. `per_second`: of the whole node, and four tenths of it at once.
  StrangerGate(std::size_t prefixes, unsigned per_second, SipKey key)
      : hash_{key}, prefixes_(prefixes), all_(per_second / 5 * 2, per_second) {}

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

/// Something over paths that are not known yet (answers to ECHO, probes): once per path, peer and
/// interval, without a record for any of them. Two of them share nothing: a set remembers exact
/// tags, its oldest gives way, so whoever fills the table only makes it forget.
class PathGate {
 public:
  PathGate(std::size_t entries, SipKey key)
      : hash_{key}, entries_((entries + kWays - 1) / kWays * kWays) {}

  /// `peer` zero: whoever it is.
  [[nodiscard]] bool allow(Millis now, Millis interval, const fib::PathKey& path,
                           wire::Address peer) {
    const std::uint64_t tag = hash_(hash_(path) ^ peer.value) | 1;
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
