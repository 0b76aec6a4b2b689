// JSON of /orrery/trust and /orrery/roots.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "control/node.h"

namespace orrery::service {

/// Alarms since the start, the latest first.
[[nodiscard]] nlohmann::json trust_json(const control::Node& node);
/// Ages are in ms, -1 for never.
[[nodiscard]] nlohmann::json to_json(const control::RootStatus& root, Millis now_mono);

}  // namespace orrery::service
