// JSON of what workers count of their own work, for /orrery/workers, /orrery/traffic and
// /orrery/rules.
#pragma once

#include <nlohmann/json.hpp>

#include "dataplane/publisher.h"
#include "dataplane/telemetry.h"

namespace orrery::service {

/// {stage: {packets, vectors, cycles}}, stages that ran.
[[nodiscard]] nlohmann::json to_json(const dataplane::StageCounters& stages);
/// [{belowNs, vectors}], ascending, buckets that are not empty; the last possible one has no bound.
[[nodiscard]] nlohmann::json to_json(const dataplane::LatencyHistogram& latency);
/// {rxPackets, rxBytes, txPackets, txBytes, rxRefused, txRefused}
[[nodiscard]] nlohmann::json to_json(const dataplane::Traffic& traffic);
/// {rules: [{rule, text, frames}], noRule, byCapability}
[[nodiscard]] nlohmann::json to_json(const dataplane::Publisher::RuleHitCounts& hits);

}  // namespace orrery::service
