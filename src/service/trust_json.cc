#include "service/trust_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace orrery::service {

using nlohmann::json;

json trust_json(const control::Node& node) {
  std::vector<control::Alarm> latest = node.alarms().all();
  std::sort(latest.begin(), latest.end(),
            [](const control::Alarm& a, const control::Alarm& b) { return a.last > b.last; });
  json alarms = json::array();
  for (const control::Alarm& alarm : latest) {
    alarms.push_back({{"kind", control::label_of(alarm.kind)},
                      {"about", wire::to_string(alarm.about)},
                      {"by", alarm.by ? json(wire::to_string(alarm.by)) : json(nullptr)},
                      {"first", alarm.first},
                      {"last", alarm.last},
                      {"count", alarm.count}});
  }
  return {{"strict", node.strict()},
          {"pins", node.pins().size()},
          {"alarmsRaised", node.alarms().raised()},
          {"alarms", alarms}};
}

json to_json(const control::RootStatus& root, Millis now_mono) {
  const auto age = [&](Millis mono) { return mono == 0 ? Millis{-1} : now_mono - mono; };
  json endpoints = json::array(), worlds = json::array();
  for (const wire::Endpoint& endpoint : root.endpoints)
    endpoints.push_back(wire::to_string(endpoint));
  for (const std::uint64_t id : root.worlds) worlds.push_back(wire::to_string(wire::NetworkId{id}));
  return {{"address", wire::to_string(root.identity.address)},
          {"identity", wire::to_string(root.identity)},
          {"endpoints", endpoints},
          {"worlds", worlds},
          {"preferred", root.preferred},
          {"excluded", root.excluded},
          {"alive", root.alive},
          {"latency", root.latency_ms},
          {"answeredHello", age(root.answered_hello)},
          {"answeredWhois", age(root.answered_whois)}};
}

}  // namespace orrery::service
