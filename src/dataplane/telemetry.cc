#include "dataplane/telemetry.h"

#include <rte_cycles.h>
#include <rte_telemetry.h>

#include <cstdio>
#include <mutex>
#include <string>

namespace orrery::dataplane {
namespace {

// The socket's thread asks, the control thread comes and goes.
std::mutex g_mutex;
const std::vector<WorkerView>* g_workers = nullptr;

using Fill = void (*)(const WorkerView&, rte_tel_data*);

/// [worker] -> what `fill` puts into an object of its own.
int answer(rte_tel_data* data, Fill fill) {
  rte_tel_data_start_dict(data);
  const std::lock_guard lock(g_mutex);
  if (g_workers == nullptr) return 0;
  for (std::size_t i = 0; i < g_workers->size(); ++i) {
    rte_tel_data* one = rte_tel_data_alloc();
    if (one == nullptr) return -1;
    rte_tel_data_start_dict(one);
    fill((*g_workers)[i], one);
    rte_tel_data_add_dict_container(data, ("worker" + std::to_string(i)).c_str(), one, 0);
  }
  return 0;
}

void fill_counts(const WorkerView& w, rte_tel_data* out) {
#define ORRERY_TELEMETRY_COUNT(field, label) \
  rte_tel_data_add_dict_u64(out, label, w.counters->field.value());
  ORRERY_FOR_EACH_WORKER_COUNT(ORRERY_TELEMETRY_COUNT)
#undef ORRERY_TELEMETRY_COUNT
}

void fill_drops(const WorkerView& w, rte_tel_data* out) {
  for (std::size_t i = 1; i < w.counters->drops.size(); ++i)
    rte_tel_data_add_dict_u64(out, drop_label(static_cast<Drop>(i)), w.counters->drops[i].value());
}

/// Flat: DPDK nests no deeper.
void fill_stages(const WorkerView& w, rte_tel_data* out) {
  if (w.stages == nullptr) return;
  for (std::size_t i = 0; i < w.stages->size(); ++i) {
    const StageCount& c = (*w.stages)[i];
    const std::string label = stage_label(static_cast<StageId>(i));
    rte_tel_data_add_dict_u64(out, (label + "_packets").c_str(), c.packets.value());
    rte_tel_data_add_dict_u64(out, (label + "_vectors").c_str(), c.vectors.value());
    rte_tel_data_add_dict_u64(out, (label + "_cycles").c_str(), c.cycles.value());
  }
}

void fill_latency(const WorkerView& w, rte_tel_data* out) {
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const std::uint64_t vectors = w.latency->bucket(i);
    if (vectors == 0) continue;
    char name[32];
    std::snprintf(name, sizeof name, "%s%.0f",
                  i + 1 < LatencyHistogram::kBuckets ? "below_ns_" : "from_ns_",
                  latency_bound_ns(i));
    rte_tel_data_add_dict_u64(out, name, vectors);
  }
}

}  // namespace

double latency_bound_ns(std::size_t bucket) {
  const std::size_t power = std::min(bucket, LatencyHistogram::kBuckets - 2);
  return static_cast<double>(std::uint64_t{1} << power) * 1e9 /
         static_cast<double>(rte_get_tsc_hz());
}

Telemetry::Telemetry(std::vector<WorkerView> workers) : workers_(std::move(workers)) {
  {
    const std::lock_guard lock(g_mutex);
    g_workers = &workers_;
  }
  // DPDK keeps commands until the process ends, so a second registration of the same is refused.
  static const bool kRegistered = [] {
    const auto add = [](const char* command, auto callback, const char* help) {
      (void)rte_telemetry_register_cmd(command, callback, help);
    };
    add(
        "/orrery/workers",
        [](const char*, const char*, rte_tel_data* d) { return answer(d, fill_counts); },
        "Counts of the ledger and of turns, by worker. No parameters.");
    add(
        "/orrery/drops",
        [](const char*, const char*, rte_tel_data* d) { return answer(d, fill_drops); },
        "Dropped packets by reason, by worker. No parameters.");
    add(
        "/orrery/stages",
        [](const char*, const char*, rte_tel_data* d) { return answer(d, fill_stages); },
        "Packets, vectors and cycles of every stage, by worker. No parameters.");
    add(
        "/orrery/latency",
        [](const char*, const char*, rte_tel_data* d) { return answer(d, fill_latency); },
        "Vectors by the time from rx to tx, by worker. No parameters.");
    return true;
  }();
  (void)kRegistered;
}

Telemetry::~Telemetry() {
  const std::lock_guard lock(g_mutex);
  g_workers = nullptr;
}

}  // namespace orrery::dataplane
