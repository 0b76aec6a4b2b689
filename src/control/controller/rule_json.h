// Rules between the controller API's JSON and the wire form.
// Source: docs/protocol/09-rules-engine.md section 10; tests/vectors/rule_codec.json.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "wire/rule.h"

namespace orrery::control {

/// Nothing for what is no object or of a type that the API does not take (unknown ones,
/// ACTION_PRIORITY, INTEGER_RANGE); such entries vanish from lists. Throws
/// nlohmann::json::type_error for a `mask` that is neither number nor text: the request fails as a
/// whole.
[[nodiscard]] std::optional<wire::Rule> rule_from_json(const nlohmann::json& entry);
/// Types without a JSON name are "UNKNOWN".
[[nodiscard]] nlohmann::json rule_to_json(const wire::Rule& rule);
[[nodiscard]] std::vector<wire::Rule> rules_from_json(const nlohmann::json& list,
                                                      std::size_t limit);
[[nodiscard]] nlohmann::json rules_to_json(const std::vector<wire::Rule>& rules);

}  // namespace orrery::control
