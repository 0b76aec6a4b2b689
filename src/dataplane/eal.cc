#include "dataplane/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "dataplane/packet_meta.h"

namespace orrery::dataplane {
namespace {

/// Free huge pages of 2 MiB.
std::size_t free_huge_pages() {
  std::FILE* file = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
  if (file == nullptr) return 0;
  unsigned long pages = 0;
  const int read = std::fscanf(file, "%lu", &pages);
  std::fclose(file);
  return read == 1 ? pages : 0;
}

std::string lcore_map(const std::string& wanted) {
  const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (wanted == "auto") {
    // On one or two CPUs control and worker float; with more the worker is pinned to its own.
    if (cpus <= 1) return "0@0,1@0";
    if (cpus == 2) return "0@(0-1),1@(0-1)";
    return "0@0,1@1";
  }
  return "0@(0-" + std::to_string(cpus - 1) + "),1@(" + wanted + ")";
}

}  // namespace

Result<Pools> start_eal(const EalOptions& o) {
  const std::size_t wanted_pages = o.memory_mib / 2;
  const bool huge = free_huge_pages() >= wanted_pages;
  std::vector<std::string> arguments = {o.program, "--file-prefix", o.file_prefix, "--lcores",
                                        lcore_map(o.lcores)};
  if (huge) {
    if (!o.shared_config) arguments.emplace_back("--in-memory");
  } else {
    for (const char* a : {"--no-huge", "--no-shconf", "-m"}) arguments.emplace_back(a);
    arguments.push_back(std::to_string(o.memory_mib));
  }
  if (o.pci_devices.empty()) {
    arguments.emplace_back("--no-pci");
  } else {
    for (const std::string& device : o.pci_devices) {
      arguments.emplace_back("-a");
      arguments.push_back(device);
    }
  }
  if (!o.shared_config) arguments.emplace_back("--no-telemetry");
  arguments.emplace_back("--log-level");
  arguments.emplace_back("lib.eal:error");
  arguments.insert(arguments.end(), o.arguments.begin(), o.arguments.end());
  std::vector<char*> argv;
  argv.reserve(arguments.size());
  for (std::string& a : arguments) argv.push_back(a.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return failure(Errc::kUnsupported,
                   std::string("DPDK's EAL does not start: ") + rte_strerror(rte_errno));
  }
  Pools pools;
  pools.wire = rte_pktmbuf_pool_create("orrery_wire", o.wire_mbufs, 256, sizeof(PacketMeta),
                                       kWireRoom, SOCKET_ID_ANY);
  pools.frame = rte_pktmbuf_pool_create("orrery_frame", o.frame_mbufs, 64, sizeof(PacketMeta),
                                        RTE_PKTMBUF_HEADROOM + kFrameRoom, SOCKET_ID_ANY);
  if (pools.wire == nullptr || pools.frame == nullptr) {
    const Error error{Errc::kFull,
                      std::string("no memory for DPDK's packet pools: ") + rte_strerror(rte_errno)};
    stop_eal(pools);
    return std::unexpected(error);
  }
  return pools;
}

void stop_eal(Pools& pools) {
  rte_mempool_free(pools.wire);
  rte_mempool_free(pools.frame);
  pools = {};
  rte_eal_cleanup();
}

}  // namespace orrery::dataplane
