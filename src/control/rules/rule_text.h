// Binary rules in the words of the rule language.
#pragma once

#include <string>

#include "wire/rule.h"

namespace orrery::control {

/// A match with its "not" and "or", or an action without matches; what the language has no words
/// for (INTEGER_RANGE, PRIORITY, unknown codes) in angle brackets. Ends without ';'.
[[nodiscard]] std::string rule_text(const wire::Rule& rule);

}  // namespace orrery::control
