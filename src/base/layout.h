// Sizes that hot structures are laid out by.
#pragma once

#include <cstddef>

namespace orrery {

inline constexpr std::size_t kCacheLine = 64;

}  // namespace orrery
