// JSON of paths, of why packets to a peer go where they go, and of pings: with words for people and
// fields for programs. docs/paths.md explains them.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "control/node.h"

namespace orrery::service {

/// One path as /peer and `orrery paths` show it; times in wall-clock ms, 0 never.
[[nodiscard]] nlohmann::json to_json(const control::PathStatus& path, Millis now_mono,
                                     Millis now_wall);
/// What GET /orrery/why/PEER answers.
[[nodiscard]] nlohmann::json to_json(const control::RouteStatus& route, Millis now_mono,
                                     Millis now_wall);
/// What GET /orrery/ping/PEER answers, one element for each ping: latency -1 while there is no
/// answer.
[[nodiscard]] nlohmann::json to_json(const std::vector<control::PingStatus>& pings);

}  // namespace orrery::service
