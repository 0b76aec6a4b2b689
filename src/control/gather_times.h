// When groups of a network were last asked for. A fixed table under a keyed hash, since the host
// or a bridged LAN chooses the groups (a scan for addresses names thousands): sets of four, the
// longest unasked gives way, and is merely asked for again sooner. It takes 24 KB from the first
// question on: most networks of most nodes never ask.
#pragma once

#include <array>
#include <vector>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/mac.h"

namespace orrery::control {

class GatherTimes {
 public:
  static constexpr std::size_t kSets = 256;
  static constexpr std::size_t kWays = 4;

  explicit GatherTimes(SipKey key) : key_(key) {}

  /// Whether the group has not been asked for within `interval`.
  [[nodiscard]] bool due(Millis now, wire::MulticastGroup group, Millis interval) const {
    if (sets_.empty()) return true;
    for (const Slot& slot : sets_[set_of(group)]) {
      if (slot.asked != 0 && slot.group == group) return now - slot.asked >= interval;
    }
    return true;
  }

  void asked(Millis now, wire::MulticastGroup group) {
    if (sets_.empty()) sets_.resize(kSets);
    Set& set = sets_[set_of(group)];
    Slot* place = &set[0];
    for (Slot& slot : set) {
      if (slot.asked != 0 && slot.group == group) {
        place = &slot;
        break;
      }
      if (slot.asked < place->asked) place = &slot;
    }
    *place = {group, now};
  }

 private:
  struct Slot {
    wire::MulticastGroup group;
    Millis asked = 0;  // mono; 0: free
  };

  using Set = std::array<Slot, kWays>;

  [[nodiscard]] std::size_t set_of(wire::MulticastGroup group) const {
    std::uint8_t bytes[12];
    store_be64(bytes, group.mac.value);
    store_be32(bytes + 8, group.adi);
    return siphash(key_, bytes) % kSets;
  }

  SipKey key_;
  std::vector<Set> sets_;  // kSets, or none yet
};

}  // namespace orrery::control
