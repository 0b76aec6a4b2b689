// JSON from text and back, for text that others wrote.
//
// nlohmann's own calls throw at invalid UTF-8 when they write, and copying or writing deeply nested
// values recurses until the stack ends. Names, domains and bodies come from the network, so
// everything that reads or writes JSON goes through these two.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::control {

/// Nothing unless `text` is JSON, valid UTF-8, and nested at most 64 deep (no field of ours is
/// deeper than 6).
[[nodiscard]] std::optional<nlohmann::json> parse_json(std::string_view text);

/// Compact, or with `indent` spaces per level. What is not UTF-8 becomes U+FFFD; never throws for
/// content.
[[nodiscard]] std::string json_text(const nlohmann::json& value, int indent = -1);

}  // namespace orrery::control
