// Ids of authenticated packets that were handled: a second copy is dropped. The interface by which
// control asks the set that workers enter what they open into, so that a replay is caught whichever
// plane it comes through.
#pragma once

#include <cstdint>

#include "wire/address.h"

namespace orrery::fib {

class SeenIds {
 public:
  virtual ~SeenIds() = default;
  /// Whether the packet was there already; it is from now on. Any thread. REQUIRES: its MAC holds.
  [[nodiscard]] virtual bool insert(std::uint64_t id, wire::Address source) noexcept = 0;
};

}  // namespace orrery::fib
