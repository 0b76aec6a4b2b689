// Which CPUs the control lcore and the worker lcores run on.
//
// On one or two usable CPUs there is one worker, and both float over them. With more, every core
// but the first gets a worker of its own (of those near its device's memory where the device tells
// its NUMA node, and no more than kMostByItself), and control floats over the CPUs of the other
// cores. A list gives one worker to each of its CPUs. Usable is what the process may run on
// (taskset, cpusets), not what the machine has. place() is pure, so that any machine can be tested
// on any other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace orrery::dataplane {

struct Cpu {
  unsigned id = 0;    // the system's number
  unsigned core = 0;  // CPUs of one physical core share it
  int node = -1;      // NUMA node; -1: unknown
};

struct Placement {
  std::vector<unsigned> control;               // CPU numbers; several: floats over them
  std::vector<std::vector<unsigned>> workers;  // of each worker, the same
};

/// One lane of packet ids each; the sixteenth is control's.
inline constexpr std::size_t kMostWorkers = 15;
/// Where the part of one port's work that is done in order leaves nothing to gain from more.
inline constexpr std::size_t kMostByItself = 4;

/// CPUs that this process may run on, ascending by number.
[[nodiscard]] std::vector<Cpu> usable_cpus();

/// "2-5", "2,4-7": CPU numbers in the order they are listed. Nothing for any other text.
[[nodiscard]] std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text);

/// `wanted`: "auto", or a list of one CPU for each worker. `node`: the NUMA node that workers
/// should be near, -1: any. Errc::kInvalid when `wanted` is no list, has more than kMostWorkers, or
/// names a CPU that is not usable. REQUIRES: `usable` is not empty.
[[nodiscard]] Result<Placement> place(const std::vector<Cpu>& usable, const std::string& wanted,
                                      int node);

/// NUMA node of a device's hardware (PCI address, or a vdev string with iface=); -1: unknown.
[[nodiscard]] int numa_node_of(const std::string& device);

/// EAL's --lcores: control is lcore 0, workers are lcores 1 and on.
[[nodiscard]] std::string lcore_map(const Placement& placement);

/// "0", "0-2,5"
[[nodiscard]] std::string to_string(const std::vector<unsigned>& cpus);

}  // namespace orrery::dataplane
