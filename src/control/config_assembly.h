// Configuration chunks back into a dictionary: coverage by byte ranges, one total per update, three updates at a time.
// Source: docs/protocol/07-network-config.md section 6; tests/vectors/netconf_delivery.json.
#pragma once

#include <array>
#include <map>
#include <optional>

#include "base/time.h"
#include "wire/network_config.h"
#include "wire/verbs/network_config.h"

namespace orrery::control {

class ConfigAssembly {
 public:
  static constexpr std::size_t kSlots = 3;
  static constexpr std::size_t kMaxChunks = 474;
  static constexpr Millis kTimeout = 60'000;

  enum class Outcome : std::uint8_t { kParked, kComplete, kDuplicate, kRefused };

  /// A chunk whose signature has been verified (or that is the legacy form). After kComplete dictionary() is whole.
  Outcome add(Millis now, const wire::ConfigChunk& chunk);
  /// Whether this very piece is held already: worth knowing before its signature is checked.
  [[nodiscard]] bool holds(const wire::ConfigChunk& chunk) const;
  [[nodiscard]] Bytes dictionary() const { return complete_; }

 private:
  struct Slot {
    std::uint64_t update_id = 0;  // 0: free
    std::uint32_t total = 0;
    Millis last = 0;
    ByteVector data;
    std::map<std::uint32_t, std::uint32_t> ranges;  // begin -> end, disjoint
  };

  [[nodiscard]] const Slot* find(std::uint64_t update_id) const;

  std::array<Slot, kSlots> slots_;
  ByteVector complete_;
};

}  // namespace orrery::control
