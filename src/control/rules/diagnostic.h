// What the rule compiler has to say about a place of a source.
#pragma once

#include <cstdint>
#include <string>

namespace orrery::control {

/// Both from 1; a column counts characters, not bytes.
struct Position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  friend bool operator==(const Position&, const Position&) = default;
};

/// One sentence: what was found and what was expected in its place.
struct Diagnostic {
  Position at;
  std::string text;
};

}  // namespace orrery::control
