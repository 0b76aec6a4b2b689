#include "dataplane/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pdump.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "dataplane/packet_meta.h"

namespace orrery::dataplane {
namespace {

/// rte_hash tables with their RCU queues (22 MiB), rings, queues of devices; the rest is slack for
/// tables to come and the heap's fragmentation.
constexpr std::size_t kTablesMib = 65;
constexpr std::size_t kPage = 4096;  // bytes

/// Free huge pages of 2 MiB.
std::size_t free_huge_pages() {
  std::FILE* file = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
  if (file == nullptr) return 0;
  unsigned long pages = 0;
  const int read = std::fscanf(file, "%lu", &pages);
  std::fclose(file);
  return read == 1 ? pages : 0;
}

/// Bytes of `n` mbufs with a data room of `room`. Without huge pages no object may cross pages it
/// need not cross, so that every object begins a page of its own.
std::size_t pool_bytes(unsigned n, unsigned room) {
  const auto element = static_cast<std::uint32_t>(sizeof(rte_mbuf) + sizeof(PacketMeta) + room);
  const std::size_t object = rte_mempool_calc_obj_size(element, 0, nullptr);
  return n * ((object + kPage - 1) / kPage * kPage) + n * 2 * sizeof(void*);
}

}  // namespace

std::size_t memory_needed(const EalOptions& o) {
  const std::size_t pools = pool_bytes(o.wire_mbufs, kWireRoom) +
                            pool_bytes(o.frame_mbufs, RTE_PKTMBUF_HEADROOM + kFrameRoom);
  return pools / (1u << 20) + 1 + kTablesMib;
}

Result<Pools> start_eal(const EalOptions& o) {
  const std::size_t memory = o.memory_mib != 0 ? o.memory_mib : memory_needed(o);
  const std::size_t wanted_pages = memory / 2;
  const Result<Placement> placement = o.placement ? *o.placement : place(usable_cpus(), "auto", -1);
  if (!placement) return std::unexpected(placement.error());
  const bool huge = free_huge_pages() >= wanted_pages;
  std::vector<std::string> arguments = {o.program, "--file-prefix", o.file_prefix, "--lcores",
                                        lcore_map(*placement)};
  if (huge) {
    if (!o.shared_config) arguments.emplace_back("--in-memory");
  } else if (o.shared_config) {
    return failure(Errc::kUnsupported,
                   "dpdk.pdump needs " + std::to_string(wanted_pages) +
                       " free huge pages of 2 MiB, which dpdk-pdump can share (sysctl "
                       "vm.nr_hugepages)");
  } else {
    for (const char* a : {"--no-huge", "--no-shconf", "-m"}) arguments.emplace_back(a);
    arguments.push_back(std::to_string(memory));
  }
  if (o.pci_devices.empty()) {
    arguments.emplace_back("--no-pci");
  } else {
    for (const std::string& device : o.pci_devices) {
      arguments.emplace_back("-a");
      arguments.push_back(device);
    }
  }
  if (!o.shared_config && !o.telemetry) arguments.emplace_back("--no-telemetry");
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
  if (o.shared_config && rte_pdump_init() != 0) {
    return failure(Errc::kUnsupported,
                   std::string("DPDK's capture does not start: ") + rte_strerror(rte_errno));
  }
  Pools pools;
  // The cache of `wire` holds what several workers have on its way at once (some six units of 64):
  // beyond it buffers come from the other end of the pool, cold.
  pools.wire = rte_pktmbuf_pool_create("orrery_wire", o.wire_mbufs, 512, sizeof(PacketMeta),
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
  rte_pdump_uninit();
  rte_eal_cleanup();
}

}  // namespace orrery::dataplane
