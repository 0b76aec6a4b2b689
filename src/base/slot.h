// Slot<Tag>: a typed 32-bit index into a table of records. 0 means none.
#pragma once

#include <compare>
#include <cstdint>

namespace orrery {

template <typename Tag>
struct Slot {
  std::uint32_t index = 0;

  explicit constexpr operator bool() const { return index != 0; }

  friend constexpr auto operator<=>(Slot, Slot) = default;
};

}  // namespace orrery
