// The workers of the daemon: one a worker lcore, each with its link to control, lane of packet ids,
// RCU thread id, counters and queues of ports. Ports of one queue are the first worker's.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/capture.h"
#include "dataplane/telemetry.h"
#include "dataplane/worker.h"

namespace orrery::service {

class WorkerTeam {
 public:
  /// A worker for each worker lcore of EAL. `options`: of the first; the others' differ in lane and
  /// index. `tables`, `pools`: outlive the team. `capture`: packets may be captured; this
  /// key chooses them.
  static Result<std::unique_ptr<WorkerTeam>> open(dataplane::Tables& tables,
                                                  const dataplane::Pools& pools,
                                                  const dataplane::FastPathOptions& options,
                                                  bool idle_poll,
                                                  const std::optional<SipKey>& capture);

  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(workers_.size()); }

  [[nodiscard]] dataplane::ControlLink& link(unsigned worker) { return *links_[worker]; }

  [[nodiscard]] const dataplane::WorkerCounters& counters(unsigned worker) const {
    return workers_[worker]->counters();
  }

  /// What it counts; valid as long as the team.
  [[nodiscard]] dataplane::WorkerView view(unsigned worker) const {
    return {&workers_[worker]->counters(), &fast_paths_[worker]->stages(),
            &workers_[worker]->latency()};
  }

  /// The link to the worker that has a queue of every port.
  [[nodiscard]] dataplane::ControlLink& port_link() { return *links_[0]; }

  /// Null: captures are not allowed. Valid as long as the team.
  [[nodiscard]] dataplane::Capture* capture() { return capture_.get(); }

  /// A set for each worker, of its queues. REQUIRES: size() of them.
  void hand_over(std::vector<std::unique_ptr<const dataplane::PortSet>> sets);
  /// Frees sets of ports that workers have left behind.
  void reap();

  void launch();
  /// Returns once every worker has stopped; packets that are out are released before.
  void stop();

 private:
  WorkerTeam(dataplane::Tables& tables, const dataplane::Pools& pools,
             const dataplane::FastPathOptions& options, bool idle_poll,
             const std::optional<SipKey>& capture, unsigned count,
             std::vector<std::unique_ptr<dataplane::ControlLink>> links);

  std::vector<std::unique_ptr<dataplane::ControlLink>> links_;
  dataplane::Team team_;
  std::unique_ptr<dataplane::Capture> capture_;
  std::vector<std::unique_ptr<dataplane::FastPath>> fast_paths_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
};

}  // namespace orrery::service
