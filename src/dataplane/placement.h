// Which CPUs the control lcore and the worker lcore run on.
//
// On one or two usable CPUs both float over them. With more, the worker gets a CPU on a core of its
// own, near its device's memory where the device tells its NUMA node, and control floats over the
// CPUs of the other cores. Usable is what the process may run on (taskset, cpusets), not what the
// machine has. place() is pure, so that any machine can be tested on any other.
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
  std::vector<unsigned> control;  // CPU numbers; several: floats over them
  std::vector<unsigned> worker;
};

/// CPUs that this process may run on, ascending by number.
[[nodiscard]] std::vector<Cpu> usable_cpus();

/// "2-5", "2,4-7": CPU numbers in the order they are listed. Nothing for any other text.
[[nodiscard]] std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text);

/// `wanted`: "auto", or a list whose first CPU is the worker's. `node`: the NUMA node that the
/// worker should be near, -1: any. Errc::kInvalid when `wanted` is no list or names a CPU that is
/// not usable. REQUIRES: `usable` is not empty.
[[nodiscard]] Result<Placement> place(const std::vector<Cpu>& usable, const std::string& wanted,
                                      int node);

/// NUMA node of a device's hardware (PCI address, or a vdev string with iface=); -1: unknown.
[[nodiscard]] int numa_node_of(const std::string& device);

/// EAL's --lcores: control is lcore 0, the worker lcore 1.
[[nodiscard]] std::string lcore_map(const Placement& placement);

/// "0", "0-2,5"
[[nodiscard]] std::string to_string(const std::vector<unsigned>& cpus);

}  // namespace orrery::dataplane
