// On which side of a bridged network a station is: behind which local port, or in the overlay.
//
// Fixed size, two buckets of eight places per MAC under SipHash with a secret; half of the places
// stay free, so that a MAC that may be learned nearly always finds one. Nothing that lives is
// pushed out: a station has its place for 300 s after it was last heard, a fixed one for ever. What
// a flood can take is bounded per side and in total; once a side is full, stations heard for less
// than a second give way after ten, so that what a flood left behind does not keep others out.
//
// Any number of threads may call everything at once: a place is two atomic words, the first of
// which says whose it is. Two threads that learn one MAC at the same moment may take two places;
// the second one ages. Weak spots: a newcomer on a side that is being flooded has to be lucky;
// moves go beyond the bound of a side (they are no new stations). Source: docs/architecture.md,
// "Bridges"; Cuckoo-style buckets as in rte_hash, without moving keys.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/mac.h"

namespace orrery::dataplane {

class LanTable {
 public:
  static constexpr unsigned kOverlay = 64;  // the side after the last possible port
  static constexpr unsigned kSides = 65;
  static constexpr unsigned kUnknown = 255;
  static constexpr Millis kAge = 300'000;
  static constexpr Millis kProven = 1'000;  // heard again after so long: no passer-by
  static constexpr Millis kProbation = 10'000;
  static constexpr Millis kHold = 1'000;  // least time between moves of one station

  struct Limits {
    std::size_t per_port = 4'096;  // fixed stations not counted
    std::size_t total = 65'536;
  };

  enum class Learned : std::uint8_t {
    kKnown,
    kNew,
    kMoved,
    kHeld,   // elsewhere, and moved there less than kHold ago: it stays there
    kFixed,  // elsewhere for ever: somebody uses its address
    kFull,
  };

  LanTable(SipKey key, const Limits& limits);

  /// Puts a station there for ever. Before others use the table; false when there is no room.
  [[nodiscard]] bool fix(wire::Mac mac, unsigned side) noexcept;
  /// A frame from `mac` came in on `side`. `known_only`: learns nobody new.
  Learned learn(wire::Mac mac, unsigned side, Millis now, bool known_only = false) noexcept;
  /// Control has heard that the station is there; one that is known stays where it is.
  void introduce(wire::Mac mac, unsigned side, Millis now) noexcept;
  /// kUnknown when nobody knows.
  [[nodiscard]] unsigned find(wire::Mac mac, Millis now) const noexcept;
  /// Forgets the station if it is on that side.
  void forget(wire::Mac mac, unsigned side) noexcept;
  /// Forgets all stations of a side but fixed ones.
  void forget_all(unsigned side) noexcept;
  /// Frees places of the aged: of a sixteenth of the table, or all of it while a side is full. Now
  /// and then, by one thread.
  void expire(Millis now) noexcept;

  /// Stations on a side, without fixed ones; those that have aged and were not cleared yet count.
  [[nodiscard]] std::size_t stations(unsigned side) const noexcept {
    return count_[side].load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kWays = 8;

  // key:  [48] MAC, [8] side, [8] flags; 0: free
  // time: [32] last heard, [32] learned or moved, in ticks
  struct alignas(64) Bucket {
    std::atomic<std::uint64_t> key[kWays];
    std::atomic<std::uint64_t> time[kWays];
  };

  struct Place {
    Bucket* bucket = nullptr;
    std::size_t way = 0;

    explicit operator bool() const { return bucket != nullptr; }

    [[nodiscard]] std::atomic<std::uint64_t>& key() const { return bucket->key[way]; }

    [[nodiscard]] std::atomic<std::uint64_t>& time() const { return bucket->time[way]; }
  };

  [[nodiscard]] std::array<Bucket*, 2> buckets(wire::Mac mac) const noexcept;
  [[nodiscard]] static Place locate(const std::array<Bucket*, 2>& where, wire::Mac mac) noexcept;
  Learned heard(Place place, std::uint64_t key, unsigned side, std::uint32_t now) noexcept;
  Learned insert(const std::array<Bucket*, 2>& where, wire::Mac mac, unsigned side,
                 std::uint32_t now) noexcept;
  [[nodiscard]] bool full(unsigned side) const noexcept;
  /// Whether whoever has the place may lose it to others now; `crowded`: to spare it costs others.
  [[nodiscard]] static bool gives_way(std::uint64_t key, std::uint64_t time, std::uint32_t now,
                                      bool crowded) noexcept;
  void count(unsigned side, std::size_t change) noexcept;

  const SipKey key_;
  const Limits limits_;
  const std::size_t mask_;  // of bucket numbers
  std::unique_ptr<Bucket[]> buckets_;
  std::array<std::atomic<std::size_t>, kSides> count_{};
  std::atomic<std::size_t> total_{0};
  std::size_t next_expired_ = 0;  // bucket; of the thread that calls expire()
};

}  // namespace orrery::dataplane
