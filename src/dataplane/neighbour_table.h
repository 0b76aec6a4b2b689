// Which station has which IP address in a bridged network, as the stations themselves said: what a
// bridge may answer ARP and neighbour discovery from.
//
// VLANs inside the network are links of their own: an address is one of a VLAN.
//
// Fixed size: buckets of seven addresses under SipHash with a secret. An address keeps its place
// for a minute after its station last claimed it, and nothing that lives is pushed out; what finds
// no place is not known, that is, asked for everywhere as without the table. Two stations that
// claim one address make it contested: it is nobody's for a minute, however often they repeat it,
// so that a liar gains no more than that his address is not answered for.
//
// Any number of threads may call everything at once and none waits: each bucket has a version, odd
// while one thread writes. Who finds it odd, or changed while he read, knows nothing of that
// address this time. Weak spots: claims for more addresses than there is room for keep newcomers
// out, at the price of flooding; a liar is believed while the owner says nothing, where flooding
// would have let both answer. Source: docs/architecture.md, "Bridges"; the version as in a
// sequence lock.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "base/siphash.h"
#include "base/time.h"
#include "fib/neighbour.h"

namespace orrery::dataplane {

class NeighbourTable {
 public:
  static constexpr Millis kAge = 60'000;
  static constexpr std::size_t kBuckets = 2'048;  // of 256 bytes, 14,336 addresses
  static constexpr std::size_t kWays = 7;

  enum class Claimed : std::uint8_t {
    kKnown,  // or nothing was learned from a weak claim
    kNew,
    kContested,  // now: somebody else has claimed it before
    kFull,
  };

  explicit NeighbourTable(SipKey key);

  /// `vlan`: 0 for untagged frames. REQUIRES: message.claim is not kNone.
  Claimed claim(const fib::NeighbourMessage& message, std::uint16_t vlan, Millis now) noexcept;
  /// Nothing when nobody knows, or nobody for certain.
  [[nodiscard]] std::optional<fib::Neighbour> find(fib::NeighbourAddress address,
                                                   std::uint16_t vlan, Millis now) const noexcept;

 private:
  static constexpr Millis kRefresh = 1'000;  // claims are written this often, to spare the caches

  struct Entry {
    std::atomic<std::uint64_t> high, low;  // the address; zero: free
    std::atomic<std::uint64_t> owner;      // [12] VLAN, [48] MAC, [1] router; MAC zero: contested
    std::atomic<Millis> since;             // last claimed, or contested
  };

  struct alignas(256) Bucket {
    std::atomic<std::uint32_t> version;
    std::array<Entry, kWays> entries;
  };

  static_assert(sizeof(Bucket) == 256);

  [[nodiscard]] Bucket& bucket_of(fib::NeighbourAddress address, std::uint16_t vlan) const noexcept;

  const SipKey key_;
  std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace orrery::dataplane
