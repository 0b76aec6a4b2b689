// Recorded JSON against ours where values differ from run to run: the same fields, of the same
// kinds.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace orrery::test {

/// Whether `ours` has everything that `recorded` has, with values of the same kind. Of arrays the
/// first elements are compared.
inline testing::AssertionResult covers(const nlohmann::json& recorded, const nlohmann::json& ours,
                                       const std::string& at) {
  const bool same = recorded.is_number() ? ours.is_number() : recorded.type() == ours.type();
  if (!same)
    return testing::AssertionFailure() << at << ": " << recorded << " is recorded, not " << ours;
  if (recorded.is_object()) {
    for (const auto& [key, value] : recorded.items()) {
      if (!ours.contains(key))
        return testing::AssertionFailure() << at << '.' << key << " is missing";
      if (auto r = covers(value, ours[key], at + "." + key); !r) return r;
    }
  } else if (recorded.is_array() && !recorded.empty() && !ours.empty()) {
    return covers(recorded[0], ours[0], at + "[0]");
  }
  return testing::AssertionSuccess();
}

/// `text` with every "{name}" replaced by that string of `bindings`.
inline std::string bound(std::string text, const nlohmann::json& bindings) {
  for (const auto& [name, value] : bindings.items()) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark))
      text.replace(at, mark.size(), value.get<std::string>());
  }
  return text;
}

}  // namespace orrery::test
