// Attaching a DPDK device with one receive and one transmit queue: what LAN ports and underlay
// ports share.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "dataplane/eal.h"

namespace orrery::dataplane {

struct EthdevQueues {
  std::uint16_t port = 0;         // DPDK's port id
  bool checksum_offload = false;  // IPv4 header and UDP checksums are the device's on transmit
};

/// `device`: a PCI address or a vdev string (net_af_packet0,iface=lan0). A device that DPDK knows
/// already is used as it is. Receives into the `wire` pool.
Result<EthdevQueues> start_ethdev(const std::string& device, const Pools& pools, bool promiscuous);
void stop_ethdev(std::uint16_t port) noexcept;

}  // namespace orrery::dataplane
