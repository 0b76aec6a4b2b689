#include "service/observation_json.h"

#include <cmath>

#include "control/rules/rule_text.h"

namespace orrery::service {

using nlohmann::json;

json to_json(const dataplane::StageCounters& stages) {
  json all = json::object();
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const dataplane::StageCount& c = stages[i];
    if (c.vectors.value() == 0) continue;
    all[dataplane::stage_label(static_cast<dataplane::StageId>(i))] = {
        {"packets", c.packets.value()},
        {"vectors", c.vectors.value()},
        {"cycles", c.cycles.value()},
    };
  }
  return all;
}

json to_json(const dataplane::LatencyHistogram& latency) {
  json all = json::array();
  for (std::size_t i = 0; i < dataplane::LatencyHistogram::kBuckets; ++i) {
    if (latency.bucket(i) == 0) continue;
    const bool bounded = i + 1 < dataplane::LatencyHistogram::kBuckets;
    all.push_back(
        {{"belowNs", bounded ? json(std::llround(dataplane::latency_bound_ns(i))) : json()},
         {"vectors", latency.bucket(i)}});
  }
  return all;
}

json to_json(const dataplane::Traffic& traffic) {
  return {{"rxPackets", traffic.rx_packets}, {"rxBytes", traffic.rx_bytes},
          {"txPackets", traffic.tx_packets}, {"txBytes", traffic.tx_bytes},
          {"rxRefused", traffic.rx_refused}, {"txRefused", traffic.tx_refused}};
}

json to_json(const dataplane::Publisher::RuleHitCounts& hits) {
  json rules = json::array();
  for (std::size_t i = 0; i < hits.rules.size(); ++i) {
    rules.push_back(
        {{"rule", i}, {"text", control::rule_text(hits.rules[i])}, {"frames", hits.frames[i]}});
  }
  return {{"rules", rules}, {"noRule", hits.nobody}, {"byCapability", hits.by_capability}};
}

}  // namespace orrery::service
