// Which remote active bridge a foreign MAC was last seen behind.
//
// Bounded per bridge and per network; entries age, so a station that moved or left does not hold
// its place. A MAC that jumps between bridges is held still for a second, or a loop would make
// every frame a change. Workers report misses and moves only, so a busy entry also ages and is
// learned again by the next frame: ageing is also the longest time a stale route may live. Source:
// docs/protocol/06-networks-and-mac.md section 10.2; security 2.24 as summarised in
// docs/architecture.md.
#pragma once

#include <map>
#include <vector>

#include "base/time.h"
#include "wire/mac.h"

namespace orrery::control {

class BridgeTable {
 public:
  static constexpr std::size_t kPerBridge = 4096;
  static constexpr std::size_t kTotal = 65536;
  static constexpr Millis kAge = 300'000;
  static constexpr Millis kHold = 1'000;  // between moves of one MAC

  /// True if the table changed: new entry, or the MAC moved.
  bool learn(Millis now, wire::Mac mac, wire::Address behind) {
    const auto it = entries_.find(mac);
    if (it != entries_.end()) {
      Entry& entry = it->second;
      if (entry.behind == behind) {
        entry.seen = now;
        return false;
      }
      if (now - entry.moved < kHold || full(behind)) return false;
      release(entry.behind);
      entry = {behind, now, now};
      ++count_[behind];
      return true;
    }
    if (entries_.size() >= kTotal || full(behind)) return false;
    entries_[mac] = {behind, now, now};
    ++count_[behind];
    return true;
  }

  /// Zero when unknown or too old.
  [[nodiscard]] wire::Address find(Millis now, wire::Mac mac) const {
    const auto it = entries_.find(mac);
    return it == entries_.end() || now - it->second.seen > kAge ? wire::Address{}
                                                                : it->second.behind;
  }

  /// Removes what has aged, or sits behind a node `keep` refuses; returns the MACs.
  template <typename Keep>
  std::vector<wire::Mac> expire(Millis now, Keep keep) {
    std::vector<wire::Mac> gone;
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (now - it->second.seen <= kAge && keep(it->second.behind)) {
        ++it;
        continue;
      }
      gone.push_back(it->first);
      release(it->second.behind);
      it = entries_.erase(it);
    }
    return gone;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    wire::Address behind;
    Millis seen = 0;   // mono
    Millis moved = 0;  // mono
  };

  [[nodiscard]] bool full(wire::Address behind) const {
    const auto it = count_.find(behind);
    return it != count_.end() && it->second >= kPerBridge;
  }

  void release(wire::Address behind) {
    const auto it = count_.find(behind);
    if (it != count_.end() && --it->second == 0) count_.erase(it);
  }

  std::map<wire::Mac, Entry> entries_;
  std::map<wire::Address, std::size_t> count_;  // entries behind each bridge
};

}  // namespace orrery::control
