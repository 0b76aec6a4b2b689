#include "dataplane/ethdev.h"

#include <rte_dev.h>
#include <rte_ethdev.h>

#include <cerrno>
#include <cstring>

namespace orrery::dataplane {
namespace {

constexpr std::uint16_t kDescriptors = 512;
constexpr std::uint64_t kChecksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

/// "net_af_packet0,iface=lan0" -> name and arguments.
std::pair<std::string, std::string> split_device(const std::string& device) {
  const std::size_t comma = device.find(',');
  return {device.substr(0, comma), comma == std::string::npos ? "" : device.substr(comma + 1)};
}

}  // namespace

Result<EthdevQueues> start_ethdev(const std::string& device, const Pools& pools, bool promiscuous) {
  const auto [name, arguments] = split_device(device);
  EthdevQueues queues;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &queues.port) != 0) {
    const bool pci = name.find(':') != std::string::npos;
    const int added = rte_eal_hotplug_add(pci ? "pci" : "vdev", name.c_str(), arguments.c_str());
    if (added != 0 || rte_eth_dev_get_port_by_name(name.c_str(), &queues.port) != 0) {
      return failure(Errc::kNotFound, "DPDK has no device \"" + device +
                                          "\": " + std::strerror(added < 0 ? -added : ENODEV));
    }
  }
  rte_eth_dev_info info{};
  rte_eth_conf config{};
  if (rte_eth_dev_info_get(queues.port, &info) == 0)
    queues.checksum_offload = (info.tx_offload_capa & kChecksums) == kChecksums;
  if (queues.checksum_offload) config.txmode.offloads = kChecksums;
  if (rte_eth_dev_configure(queues.port, 1, 1, &config) != 0 ||
      rte_eth_rx_queue_setup(queues.port, 0, kDescriptors, SOCKET_ID_ANY, nullptr, pools.wire) !=
          0 ||
      rte_eth_tx_queue_setup(queues.port, 0, kDescriptors, SOCKET_ID_ANY, nullptr) != 0 ||
      rte_eth_dev_start(queues.port) != 0) {
    return failure(Errc::kIo, "cannot start DPDK device \"" + device + "\"");
  }
  // A device that cannot be asked for it (some vdevs) sees everything anyway.
  if (promiscuous) (void)rte_eth_promiscuous_enable(queues.port);
  return queues;
}

void stop_ethdev(std::uint16_t port) noexcept {
  (void)rte_eth_dev_stop(port);
  (void)rte_eth_dev_close(port);
}

}  // namespace orrery::dataplane
