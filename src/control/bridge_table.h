// Which remote active bridge a foreign MAC was last seen behind.
//
// Bounded per bridge and per network; entries age, so a station that moved or left does not hold
// its place. Nothing that is heard is pushed out: a flood finds a bridge's share full and stays
// outside, but that stations of that bridge heard once and not again for ten seconds give way, the
// oldest first. A MAC that jumps between bridges is held still for a second, or a loop would make
// every frame a change. Workers report a miss or a move at once, and a station that they know two
// seconds later and then once a minute: that is what keeps it. Source:
// docs/protocol/06-networks-and-mac.md section 10.2; docs/architecture.md, "Bridges".
#pragma once

#include <list>
#include <map>
#include <vector>

#include "base/time.h"
#include "wire/mac.h"

namespace orrery::control {

class BridgeTable {
 public:
  struct Limits {
    std::size_t per_bridge = 4'096;
    std::size_t total = 65'536;
  };

  static constexpr Millis kAge = 300'000;
  static constexpr Millis kHold = 1'000;    // between moves of one MAC
  static constexpr Millis kProven = 1'000;  // heard again so much later: no passer-by
  static constexpr Millis kProbation = 10'000;

  enum class Learned : std::uint8_t { kKnown, kNew, kMoved, kHeld, kFull };

  struct Change {
    Learned learned = Learned::kKnown;
    wire::Mac gone;  // whose entry is no more; zero: nobody's

    /// New entry, or the MAC moved.
    [[nodiscard]] bool changed() const {
      return learned == Learned::kNew || learned == Learned::kMoved;
    }
  };

  BridgeTable() = default;

  explicit BridgeTable(const Limits& limits) : limits_(limits) {}

  Change learn(Millis now, wire::Mac mac, wire::Address behind) {
    const auto it = entries_.find(mac);
    if (it != entries_.end()) return heard(now, it, behind);
    Change change{Learned::kNew, {}};
    if (full(behind)) {
      change.gone = oldest_unproven(now, behind);
      if (!change.gone) return {Learned::kFull, {}};
      erase(entries_.find(change.gone));
    }
    const auto made = entries_.emplace(mac, Entry{behind, now, now, true, {}}).first;
    enter(made);
    return change;
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
      const auto here = it++;
      if (now - here->second.seen <= kAge && keep(here->second.behind)) continue;
      gone.push_back(here->first);
      erase(here);
    }
    return gone;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    wire::Address behind;
    Millis seen = 0;   // mono
    Millis moved = 0;  // mono
    bool unproven = true;
    std::list<wire::Mac>::iterator place;  // in Bridge::unproven, while it is that
  };

  struct Bridge {
    std::size_t count = 0;
    std::list<wire::Mac> unproven;  // oldest first
  };

  using Entries = std::map<wire::Mac, Entry>;

  Change heard(Millis now, Entries::iterator it, wire::Address behind) {
    Entry& entry = it->second;
    if (entry.behind == behind) {
      entry.seen = now;
      if (entry.unproven && now - entry.moved >= kProven) {
        bridges_[behind].unproven.erase(entry.place);
        entry.unproven = false;
      }
      return {};
    }
    if (now - entry.moved < kHold) return {Learned::kHeld, {}};
    const auto there = bridges_.find(behind);
    if (there != bridges_.end() && there->second.count >= limits_.per_bridge) {
      // No room there, and wrong where it is: frames for it go to all bridges.
      const wire::Mac mac = it->first;
      erase(it);
      return {Learned::kFull, mac};
    }
    leave(it);
    entry = {behind, now, now, true, {}};
    enter(it);
    return {Learned::kMoved, {}};
  }

  [[nodiscard]] bool full(wire::Address behind) const {
    const auto it = bridges_.find(behind);
    return entries_.size() >= limits_.total ||
           (it != bridges_.end() && it->second.count >= limits_.per_bridge);
  }

  /// Zero when all of this bridge's are heard again, or heard for the first time just now.
  [[nodiscard]] wire::Mac oldest_unproven(Millis now, wire::Address behind) const {
    const auto it = bridges_.find(behind);
    if (it == bridges_.end() || it->second.unproven.empty()) return {};
    const wire::Mac mac = it->second.unproven.front();
    return now - entries_.at(mac).seen > kProbation ? mac : wire::Mac{};
  }

  void enter(Entries::iterator it) {
    Bridge& bridge = bridges_[it->second.behind];
    ++bridge.count;
    it->second.place = bridge.unproven.insert(bridge.unproven.end(), it->first);
  }

  void leave(Entries::iterator it) {
    const auto bridge = bridges_.find(it->second.behind);
    if (it->second.unproven) bridge->second.unproven.erase(it->second.place);
    if (--bridge->second.count == 0) bridges_.erase(bridge);
  }

  void erase(Entries::iterator it) {
    leave(it);
    entries_.erase(it);
  }

  Limits limits_;
  Entries entries_;
  std::map<wire::Address, Bridge> bridges_;  // those with entries
};

}  // namespace orrery::control
