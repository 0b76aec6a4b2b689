// The reference's lenient conversions of JSON values.
// Source: docs/protocol/11-controller.md section 4.
#pragma once

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace orrery::control {

/// A number; a decimal string or boolean is converted; anything else yields the default.
inline std::int64_t lenient_int(const nlohmann::json& v, std::int64_t missing) {
  if (v.is_number_unsigned()) return static_cast<std::int64_t>(v.get<std::uint64_t>());
  if (v.is_number_integer()) return v.get<std::int64_t>();
  if (v.is_number_float()) {
    const double d = v.get<double>();
    return d > -9e18 && d < 9e18 ? static_cast<std::int64_t>(d) : missing;
  }
  if (v.is_boolean()) return v.get<bool>() ? 1 : 0;
  if (v.is_string()) return std::strtoll(v.get<std::string>().c_str(), nullptr, 10);
  return missing;
}

/// The same as the reference keeps it: unsigned, negative numbers wrapped around.
inline std::uint64_t lenient_u64(const nlohmann::json& v, std::uint64_t missing) {
  if (v.is_number_unsigned()) return v.get<std::uint64_t>();
  if (v.is_string()) return std::strtoull(v.get_ref<const std::string&>().c_str(), nullptr, 10);
  if (!v.is_number() && !v.is_boolean()) return missing;
  return static_cast<std::uint64_t>(lenient_int(v, static_cast<std::int64_t>(missing)));
}

/// True for true, a number above 0, a string that starts with t, T or 1.
inline bool lenient_bool(const nlohmann::json& v, bool missing) {
  if (v.is_boolean()) return v.get<bool>();
  if (v.is_number()) return lenient_int(v, 0) > 0;
  if (v.is_string()) {
    const auto s = v.get<std::string>();
    return !s.empty() && (s[0] == 't' || s[0] == 'T' || s[0] == '1');
  }
  return missing;
}

inline std::string lenient_text(const nlohmann::json& v, const std::string& missing) {
  if (v.is_string()) return v.get<std::string>();
  if (v.is_number_unsigned()) return std::to_string(v.get<std::uint64_t>());
  if (v.is_number_integer()) return std::to_string(v.get<std::int64_t>());
  if (v.is_boolean()) return v.get<bool>() ? "1" : "0";
  return missing;
}

}  // namespace orrery::control
