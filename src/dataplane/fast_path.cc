#include "dataplane/fast_path.h"

#include <rte_rcu_qsbr.h>
#include <time.h>

namespace orrery::dataplane {

FastPath::FastPath(Tables& tables, const Pools& pools, const FastPathOptions& options)
    : tables_(tables),
      pools_(pools),
      options_(options),
      nonces_(options.nonce_lane, options.nonce_floor),
      permute_(options.permutation),
      reassembly_(pools.frame, options.reassembly_key) {
  rte_rcu_qsbr_thread_register(tables_.rcu, options_.worker);
  refresh_clock();
}

FastPath::~FastPath() {
  rte_rcu_qsbr_thread_unregister(tables_.rcu, options_.worker);
}

void FastPath::refresh_clock() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  now_ms_ = static_cast<Millis>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000 + 1;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
  wall_ns_ =
      static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
}

void FastPath::online() noexcept {
  rte_rcu_qsbr_thread_online(tables_.rcu, options_.worker);
}

void FastPath::quiescent() noexcept {
  rte_rcu_qsbr_quiescent(tables_.rcu, options_.worker);
  refresh_clock();
}

void FastPath::offline() noexcept {
  rte_rcu_qsbr_thread_offline(tables_.rcu, options_.worker);
}

std::uint64_t FastPath::next_id(wire::Suite suite) noexcept {
  const std::uint64_t id = nonces_.next(wall_ns_);
  return suite == wire::Suite::kSalsaPoly ? permute_(id) : id;
}

}  // namespace orrery::dataplane
