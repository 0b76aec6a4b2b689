// What workers count, over DPDK's telemetry socket, for dpdk-telemetry.py and collectors that know
// it:
//
//   /orrery/workers    the counts of the ledger and of turns, by worker
//   /orrery/drops      dropped packets by reason, by worker
//   /orrery/stages     packets, vectors and cycles of every stage, by worker
//   /orrery/latency    vectors by the time from rx to tx, upper bounds in ns, by worker
//
// EAL opens the socket only where the operator asks for it (dpdk.telemetry, or dpdk.pdump). Its
// thread reads counters of one writer and nothing else. Source: security 2.32 as summarised in
// docs/architecture.md.
#pragma once

#include <vector>

#include "dataplane/observe.h"

struct rte_tel_data;

namespace orrery::dataplane {

/// What one worker offers. Borrowed: must outlive the Telemetry it is given to.
struct WorkerView {
  const WorkerCounters* counters = nullptr;
  const StageCounters* stages = nullptr;  // null: a worker without a fast path
  const LatencyHistogram* latency = nullptr;
};

/// While it lives, the commands answer; one at a time in a process.
class Telemetry {
 public:
  explicit Telemetry(std::vector<WorkerView> workers);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

 private:
  std::vector<WorkerView> workers_;
};

/// Upper bound of a bucket of the histogram in ns; of the last one the lower.
[[nodiscard]] double latency_bound_ns(std::size_t bucket);

}  // namespace orrery::dataplane
