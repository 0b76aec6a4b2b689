#include "control/network_counters.h"

namespace orrery::control {

std::vector<std::pair<std::string, std::uint64_t>> NetworkCounters::all() const {
  std::vector<std::pair<std::string, std::uint64_t>> rows;
#define ORRERY_NETWORK_COUNTER_ROW(name, label) rows.emplace_back(label, get(NetworkCount::name));
  ORRERY_FOR_EACH_NETWORK_COUNTER(ORRERY_NETWORK_COUNTER_ROW)
#undef ORRERY_NETWORK_COUNTER_ROW
  for (const Way way : {Way::kIn, Way::kOut}) {
    const std::string prefix = way == Way::kIn ? "frame_in_" : "frame_out_";
    for (std::size_t i = 1; i < kRefusals; ++i) {
      const auto refusal = static_cast<fib::Refusal>(i);
      rows.emplace_back(prefix + fib::refusal_label(refusal), get(way, refusal));
    }
  }
  return rows;
}

}  // namespace orrery::control
