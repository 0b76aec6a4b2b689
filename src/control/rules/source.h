// The words of a rule source and the blocks that they form.
//
// Words stand between blanks. Some open a block, which the next ';' closes, attached to a word or
// alone; '#' where a word could begin makes the rest of the line a comment. Nothing is refused
// here: a ';' too many is no word, and blocks that are open at the end are closed there.
// Source: docs/protocol/09-rules-engine.md sections 11.1, 11.6.
#pragma once

#include <string_view>
#include <vector>

#include "control/rules/diagnostic.h"

namespace orrery::control {

/// Views are into the source.
struct Word {
  std::string_view text;  // never empty; without ';' at its end
  Position at;
  bool opens = false;     // a block: the words behind it up to `end`
  std::uint32_t end = 0;  // index of the word behind this one and its block
};

struct Source {
  std::vector<Word> words;
  std::vector<std::uint32_t> unclosed;  // words whose blocks the end of the source closed
};

[[nodiscard]] Source read_source(std::string_view text);

}  // namespace orrery::control
