// Attaching a DPDK device with as many receive as transmit queues: what LAN ports and underlay
// ports share.
//
// Several queues are asked of devices that keep each flow in one of them: NICs (by RSS, where they
// have it), net_af_packet with `qpairs` (by the kernel's hash; what finds a queue full goes to
// another, so an overload may reorder), net_af_xdp with `queue_count` (by the NIC). Others have
// one; of net_memif the far end spreads frames as it likes and does not tell its number of queues.
#pragma once

#include <cstdint>
#include <memory>
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
  std::uint16_t count = 1;        // of queues, each way
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
/// over reassembled datagrams. Has `queues`, or as many as there are; a vdev whose arguments make
/// more is refused. What fails leaves nothing attached.
/// The device stops with the last holder.
Result<std::shared_ptr<const EthdevQueues>> start_ethdev(const std::string& device,
                                                         const Pools& pools, Hears hears,
                                                         std::uint16_t queues = 1);

}  // namespace orrery::dataplane
