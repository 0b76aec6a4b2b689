#include "service/worker_team.h"

#include <rte_launch.h>
#include <rte_lcore.h>

#include <chrono>
#include <thread>

namespace orrery::service {
namespace {

std::vector<unsigned> worker_lcores() {
  std::vector<unsigned> lcores;
  unsigned lcore;
  RTE_LCORE_FOREACH_WORKER(lcore) lcores.push_back(lcore);
  return lcores;
}

}  // namespace

Result<std::unique_ptr<WorkerTeam>> WorkerTeam::open(dataplane::Tables& tables,
                                                     const dataplane::Pools& pools,
                                                     const dataplane::FastPathOptions& options,
                                                     bool idle_poll,
                                                     const std::optional<SipKey>& capture) {
  const auto count = static_cast<unsigned>(worker_lcores().size());
  std::vector<std::unique_ptr<dataplane::ControlLink>> links;
  for (unsigned i = 0; i < count; ++i) {
    links.push_back(std::make_unique<dataplane::ControlLink>());
    if (auto r = links[i]->open(i); !r) return std::unexpected(r.error());
  }
  return std::unique_ptr<WorkerTeam>(
      new WorkerTeam(tables, pools, options, idle_poll, capture, count, std::move(links)));
}

WorkerTeam::WorkerTeam(dataplane::Tables& tables, const dataplane::Pools& pools,
                       const dataplane::FastPathOptions& options, bool idle_poll,
                       const std::optional<SipKey>& capture, unsigned count,
                       std::vector<std::unique_ptr<dataplane::ControlLink>> links)
    : links_(std::move(links)), team_(count) {
  if (capture) capture_ = std::make_unique<dataplane::Capture>(count, *capture);
  for (unsigned i = 0; i < count; ++i) {
    dataplane::FastPathOptions own = options;
    own.worker = own.nonce_lane = i;
    own.recorder = capture_ ? &capture_->recorder(i) : nullptr;
    own.workers = count;
    own.punts.share_among(count);
    own.relay.share_among(count);
    fast_paths_.push_back(std::make_unique<dataplane::FastPath>(tables, pools, own));
    const dataplane::Place place{count > 1 ? &team_ : nullptr, i};
    workers_.push_back(std::make_unique<dataplane::Worker>(pools, *links_[i], fast_paths_[i].get(),
                                                           idle_poll, place));
  }
}

void WorkerTeam::hand_over(std::vector<std::unique_ptr<const dataplane::PortSet>> sets) {
  for (unsigned i = 0; i < size(); ++i) workers_[i]->hand_over(std::move(sets[i]));
}

void WorkerTeam::reap() {
  for (const auto& worker : workers_) worker->reap();
}

void WorkerTeam::launch() {
  const std::vector<unsigned> lcores = worker_lcores();
  for (unsigned i = 0; i < size(); ++i) {
    rte_eal_remote_launch(
        [](void* w) {
          static_cast<dataplane::Worker*>(w)->run();
          return 0;
        },
        workers_[i].get(), lcores[i]);
  }
}

void WorkerTeam::stop() {
  for (const auto& worker : workers_) worker->stop();
  for (const unsigned lcore : worker_lcores()) {
    // To wait is to spin: under a real-time policy that may take the very CPU the worker needs.
    while (rte_eal_get_lcore_state(lcore) == RUNNING)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    rte_eal_wait_lcore(lcore);
  }
}

}  // namespace orrery::service
