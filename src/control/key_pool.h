// Whose AES schedules control holds: those of the peers that it sealed to or opened from last.
//
// Every peer keeps its secret for as long as it is known; schedules are thirty times its size and
// are made again in some microseconds. Names peers by address, so a peer may go without a word: its
// entry grows old.
#pragma once

#include <list>
#include <optional>
#include <unordered_map>

#include "control/keyed_hash.h"

namespace orrery::control {

class KeyPool {
 public:
  KeyPool(std::size_t limit, SipKey key) : limit_(limit), places_(16, KeyedHash{key}) {}

  /// The schedules of `address` are used now. Whose must go for that: those used longest ago.
  std::optional<wire::Address> use(wire::Address address) {
    if (const auto known = places_.find(address); known != places_.end()) {
      order_.splice(order_.end(), order_, known->second);
      return std::nullopt;
    }
    std::optional<wire::Address> gone;
    if (!order_.empty() && order_.size() >= limit_) {
      gone = order_.front();
      places_.erase(*gone);
      order_.pop_front();
    }
    places_.emplace(address, order_.insert(order_.end(), address));
    return gone;
  }

  [[nodiscard]] std::size_t size() const { return order_.size(); }

 private:
  std::size_t limit_;
  std::list<wire::Address> order_;  // used longest ago first
  std::unordered_map<wire::Address, std::list<wire::Address>::iterator, KeyedHash> places_;
};

}  // namespace orrery::control
