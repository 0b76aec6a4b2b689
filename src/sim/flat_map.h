// Values by a 64-bit key that is a hash already, side by side in one array: a look costs one miss
// of the cache where a map of the standard library costs three. For tables that every event asks.
//
// Open addressing, linear probing, at most half full, grows by doubling. Pointers and references
// hold until a key is added or taken out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "wire/endpoint.h"

namespace orrery::sim {

/// A key for an endpoint, in a context that tells tables or their owners apart. Never 0; nobody who
/// would aim at collisions is in a simulation.
[[nodiscard]] inline std::uint64_t key_of(std::uint64_t context, const wire::Endpoint& endpoint) {
  const auto mix = [](std::uint64_t z) {  // SplitMix64's
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  };
  const std::uint64_t rest = std::uint64_t{endpoint.family} << 16 | endpoint.port;
  std::uint64_t key = mix(context + 0x9e3779b97f4a7c15);
  key = mix(key ^ load_be64(endpoint.ip.data())) ^ load_be64(endpoint.ip.data() + 8);
  return std::max<std::uint64_t>(mix(key + rest), 1);
}

/// REQUIRES: keys are spread evenly, and none is 0.
template <typename Value>
class FlatMap {
 public:
  /// Null when the key is not there.
  [[nodiscard]] Value* find(std::uint64_t key) {
    if (slots_.empty()) return nullptr;
    Slot& slot = slots_[place_of(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  [[nodiscard]] const Value* find(std::uint64_t key) const {
    return const_cast<FlatMap*>(this)->find(key);
  }

  /// A new key has the default value.
  Value& operator[](std::uint64_t key) {
    if (Value* const known = find(key)) return *known;
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[place_of(key)];
    slot.key = key;
    ++size_;
    return slot.value;
  }

  void erase(std::uint64_t key) {
    if (slots_.empty()) return;
    const std::size_t mask = slots_.size() - 1;
    std::size_t hole = place_of(key);
    if (slots_[hole].key != key) return;
    // Those behind it move up unless they would stand before the place that they are looked for at.
    for (std::size_t at = (hole + 1) & mask; slots_[at].key != 0; at = (at + 1) & mask) {
      if (((at - slots_[at].key) & mask) < ((at - hole) & mask)) continue;
      slots_[hole] = std::move(slots_[at]);
      hole = at;
    }
    slots_[hole] = {};
    --size_;
  }

  /// Takes out those of whom `gone(key, value)` says so.
  template <typename Gone>
  void erase_if(Gone gone) {
    std::vector<std::uint64_t> keys;
    for (Slot& slot : slots_) {
      if (slot.key != 0 && gone(slot.key, slot.value)) keys.push_back(slot.key);
    }
    for (const std::uint64_t key : keys) erase(key);
  }

  template <typename Each>
  void for_each(Each each) {
    for (Slot& slot : slots_) {
      if (slot.key != 0) each(slot.key, slot.value);
    }
  }

  void clear() {
    slots_.clear();
    size_ = 0;
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kFirst = 4;  // slots

  struct Slot {
    std::uint64_t key = 0;  // 0: free
    Value value{};
  };

  /// Of the key's slot, or of the free one where it would be.
  [[nodiscard]] std::size_t place_of(std::uint64_t key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = key & mask;
    while (slots_[at].key != key && slots_[at].key != 0) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> before(std::max(kFirst, 2 * slots_.size()));
    before.swap(slots_);
    for (Slot& slot : before) {
      if (slot.key != 0) slots_[place_of(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two of them, or none
  std::size_t size_ = 0;
};

}  // namespace orrery::sim
