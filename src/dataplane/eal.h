// DPDK's environment abstraction layer and the two mempools, for the life of the process.
//
// With huge pages: --in-memory. Without: --no-huge --no-shconf -m N (the two do not combine). Never
// touches PCI devices unless one is asked for. `wire` objects fit a page, as AF_XDP demands of its
// chunks; `frame` objects hold whole reassembled packets.
#pragma once

#include <rte_mempool.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/placement.h"

namespace orrery::dataplane {

struct EalOptions {
  std::string program = "orreryd";
  std::string file_prefix;               // own one per process
  std::vector<std::string> pci_devices;  // empty: --no-pci
  std::vector<std::string> arguments;    // the operator's, behind "--"
  std::optional<Placement> placement;    // none: as place() does by itself
  bool shared_config = false;            // for dpdk-pdump: huge pages in files; telemetry, too
  bool telemetry = false;                // a socket below /var/run/dpdk/<file_prefix>
  std::size_t memory_mib = 0;            // 0: what pools and tables need
  unsigned wire_mbufs = 16384;
  unsigned frame_mbufs = 4096;
};

struct Pools {
  rte_mempool* wire = nullptr;   // data room 3,776 bytes, headroom included
  rte_mempool* frame = nullptr;  // data room 10,240 bytes
};

/// Bytes. With mbuf, private area and the mempool's own 64 bytes an object is 4,032: within the
/// page that AF_XDP allows a chunk, and an odd number of cache lines, or the mempool would add one
/// to spread objects over memory channels.
inline constexpr unsigned kWireRoom = 3776;
inline constexpr unsigned kFrameRoom = 10240;

/// MiB that the pools of `options` take, with room for tables, rings and device queues.
[[nodiscard]] std::size_t memory_needed(const EalOptions& options);

/// Once per process, from the thread that becomes the control lcore.
Result<Pools> start_eal(const EalOptions& options);
/// Releases the pools and EAL's memory and files.
void stop_eal(Pools& pools);

}  // namespace orrery::dataplane
