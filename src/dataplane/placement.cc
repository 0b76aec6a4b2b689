#include "dataplane/placement.h"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "dataplane/ethdev.h"

namespace orrery::dataplane {
namespace {

constexpr unsigned kHighestCpu = CPU_SETSIZE - 1;

std::optional<unsigned> take_number(std::string_view& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value > kHighestCpu) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::vector<unsigned> ids_of(const std::vector<Cpu>& cpus) {
  std::vector<unsigned> ids;
  for (const Cpu& cpu : cpus) ids.push_back(cpu.id);
  return ids;
}

/// Workers' CPUs with more than two usable ones: one a core. The first core is left to control and
/// to the kernel's interrupts, which land there unless told otherwise.
std::vector<Cpu> choose(const std::vector<Cpu>& usable, int node) {
  const auto pick = [&](auto wanted) {
    std::vector<Cpu> chosen;
    for (const Cpu& cpu : usable) {
      const bool taken = std::ranges::find(chosen, cpu.core, &Cpu::core) != chosen.end();
      if (cpu.core == usable.front().core || taken || chosen.size() == kMostByItself) continue;
      if (wanted(cpu)) chosen.push_back(cpu);
    }
    return chosen;
  };
  if (auto near = pick([&](const Cpu& c) { return node >= 0 && c.node == node; }); !near.empty())
    return near;
  if (auto any = pick([](const Cpu&) { return true; }); !any.empty()) return any;
  return {usable.back()};  // one core with many threads
}

}  // namespace

std::vector<Cpu> usable_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<Cpu> cpus;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return {{0, 0, -1}};
  for (unsigned id = 0; id <= kHighestCpu; ++id) {
    if (CPU_ISSET(id, &allowed)) cpus.push_back({id, id, -1});
  }
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return cpus;
  if (hwloc_topology_load(topology) == 0) {
    for (Cpu& cpu : cpus) {
      const hwloc_obj* pu = hwloc_get_pu_obj_by_os_index(topology, cpu.id);
      if (pu == nullptr) continue;
      for (const hwloc_obj* up = pu; up != nullptr; up = up->parent) {
        if (up->type == HWLOC_OBJ_CORE) cpu.core = up->logical_index;
        if (up->memory_first_child != nullptr && cpu.node < 0)
          cpu.node = static_cast<int>(up->memory_first_child->os_index);
      }
    }
  }
  hwloc_topology_destroy(topology);
  return cpus;
}

std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
  std::vector<unsigned> cpus;
  for (;;) {
    const auto low = take_number(text);
    if (!low) return std::nullopt;
    auto high = low;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      high = take_number(text);
      if (!high || *high < *low) return std::nullopt;
    }
    for (unsigned cpu = *low; cpu <= *high; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) == cpus.end()) cpus.push_back(cpu);
    }
    if (text.empty()) return cpus;
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
  }
}

Result<Placement> place(const std::vector<Cpu>& usable, const std::string& wanted, int node) {
  const std::vector<unsigned> all = ids_of(usable);
  if (wanted == "auto" && usable.size() <= 2) return Placement{all, {all}};
  std::vector<Cpu> workers;
  if (wanted == "auto") {
    workers = choose(usable, node);
  } else {
    const auto list = parse_cpu_list(wanted);
    if (!list)
      return failure(Errc::kInvalid, "expected \"auto\" or a list of CPUs such as \"2-5\"");
    for (const unsigned cpu : *list) {
      const auto it = std::ranges::find(usable, cpu, &Cpu::id);
      if (it == usable.end()) {
        return failure(Errc::kInvalid, "CPU " + std::to_string(cpu) +
                                           " is not usable by this process; expected some of " +
                                           to_string(all));
      }
      workers.push_back(*it);
    }
    if (workers.size() > kMostWorkers) {
      return failure(Errc::kInvalid, std::to_string(workers.size()) + " CPUs; expected at most " +
                                         std::to_string(kMostWorkers));
    }
  }
  Placement p;
  for (const Cpu& worker : workers) p.workers.push_back({worker.id});
  // Other cores before other threads of the workers' cores before all CPUs.
  for (const Cpu& cpu : usable) {
    if (std::ranges::find(workers, cpu.core, &Cpu::core) == workers.end())
      p.control.push_back(cpu.id);
  }
  for (const Cpu& cpu : usable) {
    if (p.control.empty() && std::ranges::find(workers, cpu.id, &Cpu::id) == workers.end())
      p.control.push_back(cpu.id);
  }
  if (p.control.empty()) p.control = all;
  return p;
}

int numa_node_of(const std::string& device) {
  std::string path;
  if (is_pci_address(device)) {
    const std::string name = device.substr(0, device.find(','));
    path = "/sys/bus/pci/devices/" + (name.size() == 7 ? "0000:" + name : name) + "/numa_node";
  } else if (const std::string interface = interface_of(device); !interface.empty()) {
    path = "/sys/class/net/" + interface + "/device/numa_node";
  } else {
    return -1;
  }
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return -1;
  int node = -1;
  if (std::fscanf(file, "%d", &node) != 1) node = -1;
  std::fclose(file);
  return node;
}

std::string to_string(const std::vector<unsigned>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[i]);
    if (end - i > 1) text += '-' + std::to_string(cpus[end - 1]);
    i = end;
  }
  return text;
}

std::string lcore_map(const Placement& placement) {
  std::string map = "0@(" + to_string(placement.control) + ")";
  for (std::size_t i = 0; i < placement.workers.size(); ++i)
    map += "," + std::to_string(i + 1) + "@(" + to_string(placement.workers[i]) + ")";
  return map;
}

}  // namespace orrery::dataplane
