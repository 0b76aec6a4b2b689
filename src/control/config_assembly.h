// Puts the signed chunks of a configuration together again.
//
// At most three updates are assembled at a time; a fourth takes the place of the one that was
// silent longest. An update is complete when every byte has come, not when enough bytes have:
// overlaps and repetitions do not count twice. Its total length is fixed by its first chunk. Chunks
// must be verified before they get here. Memory: three times the largest configuration. Source:
// docs/protocol/07-network-config.md section 6.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/time.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"

namespace orrery::control {

class ConfigAssembly {
 public:
  static constexpr std::size_t kSlots = 3;
  static constexpr Millis kLifetime = 60'000;
  static constexpr std::size_t kSeen = 1024;  // two largest configurations of chunks

  /// Whether the numbers of a chunk make sense at all; cheap, before its signature is checked.
  [[nodiscard]] static bool plausible(const wire::ConfigChunk& chunk);
  /// Whether this very chunk (by its signature) was taken before; ends floods of copies.
  [[nodiscard]] bool seen(const wire::ConfigChunk& chunk) const;

  struct Complete {
    ByteVector dictionary;
    bool fresh = false;  // every chunk came as the controller's answer to our own request
  };

  /// Adds a verified chunk. REQUIRES: plausible(chunk), has_signature.
  std::optional<Complete> add(Millis now, const wire::ConfigChunk& chunk, bool fresh);

 private:
  struct Slot {
    std::uint64_t update_id = 0;  // 0: free
    Millis touched = 0;
    bool fresh = true;
    std::size_t have = 0;  // bytes covered
    ByteVector data;
    std::vector<bool> covered;  // one bit a byte
  };

  Slot* slot_for(Millis now, const wire::ConfigChunk& chunk);

  std::array<Slot, kSlots> slots_;
  std::deque<std::uint64_t> seen_;  // first half of signatures folded, oldest first
};

}  // namespace orrery::control
