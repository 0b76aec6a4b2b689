// Ids of authenticated packets that control has handled: a second copy is dropped.
//
// Entered after the MAC was checked, so strangers cannot fill it; what workers opened is entered
// too. ECHO, OK and ERROR do without it: copies of ECHO over several paths must each be answered
// (their rate is limited), the others consume what was asked. HELLO is entered by path.
#pragma once

#include <vector>

#include "control/keyed_hash.h"

namespace orrery::control {

class SeenSet {
 public:
  SeenSet(std::size_t entries, SipKey key) : tags_(entries / kWays * kWays + kWays), hash_{key} {}

  /// Whether (id, source) was there already; it is from now on. `via`: 0, or the path's hash where
  /// copies over several paths are different packets.
  bool insert(std::uint64_t id, wire::Address source, std::uint64_t via = 0) {
    std::uint8_t bytes[24];
    store_be64(bytes, id);
    store_be64(bytes + 8, source.value);
    store_be64(bytes + 16, via);
    const std::uint64_t tag = siphash(hash_.key, bytes) | 1;
    std::uint64_t* way = &tags_[tag / 2 % (tags_.size() / kWays) * kWays];
    for (std::size_t i = 0; i < kWays; ++i) {
      if (way[i] == tag) return true;
    }
    for (std::size_t i = kWays - 1; i > 0; --i) way[i] = way[i - 1];
    way[0] = tag;
    return false;
  }

 private:
  static constexpr std::size_t kWays = 8;  // newest first; the oldest of its eight gives way
  std::vector<std::uint64_t> tags_;        // 0: free
  KeyedHash hash_;
};

}  // namespace orrery::control
