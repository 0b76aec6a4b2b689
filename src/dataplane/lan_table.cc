#include "dataplane/lan_table.h"

#include <algorithm>
#include <bit>

namespace orrery::dataplane {
namespace {

constexpr std::uint64_t kFixedFlag = 1;
constexpr std::uint64_t kProvenFlag = 2;

// A tick is 1/16 s: short against kHold, and 32 bits of them are eight years.
constexpr std::uint32_t ticks(Millis duration) {
  return static_cast<std::uint32_t>(duration >> 6);
}

/// Never 0, since a MAC learned at boot time 0 is heard, too.
std::uint32_t tick_of(Millis now) {
  return ticks(now) + 1;
}

constexpr std::uint64_t key_of(wire::Mac mac, unsigned side, std::uint64_t flags) {
  return (mac.value << 16) | (std::uint64_t{side} << 8) | flags;
}

constexpr unsigned side_of(std::uint64_t key) {
  return static_cast<unsigned>(key >> 8) & 0xff;
}

constexpr std::uint64_t time_of(std::uint32_t heard, std::uint32_t moved) {
  return (std::uint64_t{heard} << 32) | moved;
}

constexpr std::uint32_t heard_at(std::uint64_t time) {
  return static_cast<std::uint32_t>(time >> 32);
}

constexpr std::uint32_t moved_at(std::uint64_t time) {
  return static_cast<std::uint32_t>(time);
}

/// Time that has passed; 0 for what another thread has just written with a younger clock.
constexpr std::uint32_t since(std::uint32_t then, std::uint32_t now) {
  return static_cast<std::int32_t>(now - then) < 0 ? 0 : now - then;
}

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

LanTable::LanTable(SipKey key, const Limits& limits)
    : key_(key),
      limits_(limits),
      mask_(std::bit_ceil(std::max<std::size_t>(2 * limits.total / kWays, 2)) - 1),
      buckets_(std::make_unique<Bucket[]>(mask_ + 1)) {}

std::array<LanTable::Bucket*, 2> LanTable::buckets(wire::Mac mac) const noexcept {
  std::array<std::uint8_t, 8> bytes;
  store_be64(bytes.data(), mac.value);
  const std::uint64_t h = siphash(key_, bytes);
  const std::size_t first = h & mask_;
  const std::size_t second = (h >> 32) & mask_;
  return {&buckets_[first], &buckets_[second != first ? second : first ^ 1]};
}

LanTable::Place LanTable::locate(const std::array<Bucket*, 2>& where, wire::Mac mac) noexcept {
  for (Bucket* bucket : where) {
    for (std::size_t way = 0; way < kWays; ++way) {
      if (bucket->key[way].load(kRelaxed) >> 16 == mac.value) return {bucket, way};
    }
  }
  return {};
}

void LanTable::count(unsigned side, std::size_t change) noexcept {
  count_[side].fetch_add(change, kRelaxed);
  total_.fetch_add(change, kRelaxed);
}

bool LanTable::full(unsigned side) const noexcept {
  return (side != kOverlay && count_[side].load(kRelaxed) >= limits_.per_port) ||
         total_.load(kRelaxed) >= limits_.total;
}

bool LanTable::gives_way(std::uint64_t key, std::uint64_t time, std::uint32_t now,
                         bool crowded) noexcept {
  if ((key & kFixedFlag) != 0) return false;
  const std::uint32_t silent = since(heard_at(time), now);
  if (silent > ticks(kAge)) return true;
  return crowded && (key & kProvenFlag) == 0 && silent > ticks(kProbation);
}

bool LanTable::fix(wire::Mac mac, unsigned side) noexcept {
  const auto where = buckets(mac);
  for (Bucket* bucket : where) {
    for (auto& key : bucket->key) {
      if (key.load(kRelaxed) != 0) continue;
      key.store(key_of(mac, side, kFixedFlag), kRelaxed);
      return true;
    }
  }
  return false;
}

LanTable::Learned LanTable::learn(wire::Mac mac, unsigned side, Millis now,
                                  bool known_only) noexcept {
  const auto where = buckets(mac);
  const std::uint32_t at = tick_of(now);
  if (const Place place = locate(where, mac)) {
    const std::uint64_t key = place.key().load(kRelaxed);
    if (key >> 16 == mac.value) return heard(place, key, side, at);
  }
  return known_only ? Learned::kKnown : insert(where, mac, side, at);
}

LanTable::Learned LanTable::heard(Place place, std::uint64_t key, unsigned side,
                                  std::uint32_t now) noexcept {
  const std::uint64_t time = place.time().load(kRelaxed);
  if (side_of(key) == side) {
    // The common case writes twice a second, so that the line stays clean in all caches.
    if (since(heard_at(time), now) >= ticks(512))
      place.time().store(time_of(now, moved_at(time)), kRelaxed);
    if ((key & (kProvenFlag | kFixedFlag)) == 0 && since(moved_at(time), now) >= ticks(kProven))
      place.key().compare_exchange_strong(key, key | kProvenFlag, kRelaxed);
    return Learned::kKnown;
  }
  if ((key & kFixedFlag) != 0) return Learned::kFixed;
  if (since(moved_at(time), now) < ticks(kHold)) return Learned::kHeld;
  const std::uint64_t moved = (key & ~std::uint64_t{0xff00}) | (std::uint64_t{side} << 8);
  const unsigned from = side_of(key);
  if (!place.key().compare_exchange_strong(key, moved, kRelaxed)) return Learned::kKnown;
  place.time().store(time_of(now, now), kRelaxed);
  count_[from].fetch_sub(1, kRelaxed);
  count_[side].fetch_add(1, kRelaxed);
  return Learned::kMoved;
}

LanTable::Learned LanTable::insert(const std::array<Bucket*, 2>& where, wire::Mac mac,
                                   unsigned side, std::uint32_t now) noexcept {
  const bool is_full = full(side);
  // A full side trades a place of its own. Others take a free one, of the emptier bucket, else one
  // of the aged.
  Place best;
  std::uint64_t best_key = 0;
  unsigned most_free = 0;
  for (Bucket* bucket : where) {
    unsigned free = 0;
    std::size_t free_way = 0;
    for (std::size_t way = 0; way < kWays; ++way) {
      const std::uint64_t key = bucket->key[way].load(kRelaxed);
      if (key == 0) {
        ++free;
        free_way = way;
      } else if (!best && (!is_full || side_of(key) == side) &&
                 gives_way(key, bucket->time[way].load(kRelaxed), now, is_full)) {
        best = {bucket, way};
        best_key = key;
      }
    }
    if (is_full || free <= most_free) continue;
    most_free = free;
    best = {bucket, free_way};
    best_key = 0;
  }
  if (!best) return Learned::kFull;
  // Time first: the key says whose it is, and an old time would make the newcomer look aged.
  best.time().store(time_of(now, now), kRelaxed);
  std::uint64_t expected = best_key;
  if (!best.key().compare_exchange_strong(expected, key_of(mac, side, 0), kRelaxed))
    return Learned::kFull;  // another thread was faster; the next frame tries again
  if (best_key != 0) count(side_of(best_key), static_cast<std::size_t>(-1));
  count(side, 1);
  return Learned::kNew;
}

unsigned LanTable::find(wire::Mac mac, Millis now) const noexcept {
  const Place place = locate(buckets(mac), mac);
  if (!place) return kUnknown;
  const std::uint64_t key = place.key().load(kRelaxed);
  if (key >> 16 != mac.value || gives_way(key, place.time().load(kRelaxed), tick_of(now), false))
    return kUnknown;
  return side_of(key);
}

void LanTable::forget(wire::Mac mac, unsigned side) noexcept {
  const Place place = locate(buckets(mac), mac);
  if (!place) return;
  std::uint64_t key = place.key().load(kRelaxed);
  if (key >> 16 != mac.value || side_of(key) != side || (key & kFixedFlag) != 0) return;
  if (place.key().compare_exchange_strong(key, 0, kRelaxed))
    count(side, static_cast<std::size_t>(-1));
}

void LanTable::introduce(wire::Mac mac, unsigned side, Millis now) noexcept {
  const auto where = buckets(mac);
  if (!locate(where, mac)) (void)insert(where, mac, side, tick_of(now));
}

void LanTable::forget_all(unsigned side) noexcept {
  for (std::size_t i = 0; i <= mask_; ++i) {
    for (auto& word : buckets_[i].key) {
      std::uint64_t key = word.load(kRelaxed);
      if (key == 0 || side_of(key) != side || (key & kFixedFlag) != 0) continue;
      if (word.compare_exchange_strong(key, 0, kRelaxed)) count(side, static_cast<std::size_t>(-1));
    }
  }
}

void LanTable::expire(Millis now) noexcept {
  std::array<bool, kSides> crowded;
  bool any = false;
  for (unsigned side = 0; side < kSides; ++side) {
    crowded[side] = stations(side) != 0 && full(side);
    any |= crowded[side];
  }
  const std::uint32_t at = tick_of(now);
  const std::size_t all = mask_ + 1;
  const std::size_t share = any ? all : (all + 15) / 16;
  for (std::size_t i = 0; i < share; ++i) {
    Bucket& bucket = buckets_[next_expired_++ & mask_];
    for (std::size_t way = 0; way < kWays; ++way) {
      std::uint64_t key = bucket.key[way].load(kRelaxed);
      if (key == 0) continue;
      const unsigned side = side_of(key);
      if (!gives_way(key, bucket.time[way].load(kRelaxed), at, crowded[side])) continue;
      if (bucket.key[way].compare_exchange_strong(key, 0, kRelaxed))
        count(side, static_cast<std::size_t>(-1));
    }
  }
}

}  // namespace orrery::dataplane
