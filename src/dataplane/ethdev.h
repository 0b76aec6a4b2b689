// Attaching a DPDK device with one receive and one transmit queue: what LAN ports and underlay
// ports share.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "dataplane/eal.h"

namespace orrery::dataplane {

/// What a device is to hear beside frames to its own MAC.
enum class Hears : std::uint8_t {
  kMulticast,  // ND needs it
  kAll,        // promiscuous
};

struct EthdevQueues {
  std::uint16_t port = 0;         // DPDK's port id
  bool attached = false;          // by us, so that stopping it detaches it
  bool promiscuous = false;       // by us, so that stopping it takes it back
  bool checksum_offload = false;  // IPv4 header and UDP checksums are the device's on transmit
};

/// "0000:03:00.1" or "03:00.1", with or without arguments behind a comma.
[[nodiscard]] bool is_pci_address(const std::string& device);
/// The kernel's interface behind a vdev string ("net_af_xdp0,iface=wan0" -> "wan0"); empty: none.
[[nodiscard]] std::string interface_of(const std::string& device);
/// The part by which DPDK knows a device: "net_af_xdp0".
[[nodiscard]] std::string device_name_of(const std::string& device);

/// `device`: a PCI address or a vdev string (net_af_packet0,iface=lan0). A device that DPDK knows
/// already is used as it is. Receives into the `wire` pool, or into `frame` where the driver hands
/// over reassembled datagrams. What fails leaves nothing attached.
Result<EthdevQueues> start_ethdev(const std::string& device, const Pools& pools, Hears hears);
void stop_ethdev(const EthdevQueues& queues) noexcept;

}  // namespace orrery::dataplane
