#include "dataplane/ethdev.h"

#include <rte_dev.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace orrery::dataplane {
namespace {

constexpr std::uint16_t kDescriptors = 512;
constexpr std::uint64_t kChecksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

std::string arguments_of(const std::string& device) {
  const std::size_t comma = device.find(',');
  return comma == std::string::npos ? std::string() : device.substr(comma + 1);
}

/// The value of "key=value" among the arguments of a device; empty: none.
std::string argument_of(const std::string& device, std::string_view key) {
  std::string_view rest = device;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    if (part.starts_with(key) && part.substr(key.size()).starts_with('='))
      return std::string(part.substr(key.size() + 1));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  return {};
}

// net_af_packet has the kernel reassemble IPv4 fragments (PACKET_FANOUT_FLAG_DEFRAG), cuts what is
// longer than a frame of its ring, and copies the frame into an mbuf without asking whether it
// fits. So an underlay port has frames that hold the largest datagram, 10,024 bytes, and every ring
// fits the mbufs that it fills.
constexpr unsigned kRingFrame = 2048;             // the driver's default
constexpr unsigned kLargeRingFrame = kFrameRoom;  // two to a block of five pages
constexpr const char* kLargeRing = ",framesz=10240,blocksz=20480,framecnt=512";

bool is_af_packet(const std::string& device) {
  return device.starts_with("net_af_packet");
}

/// `text` has the shape of `pattern`, in which 'h' stands for a hexadecimal digit.
bool has_shape(std::string_view text, std::string_view pattern) {
  if (text.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool fits = pattern[i] == 'h' ? std::isxdigit(static_cast<unsigned char>(text[i])) != 0
                                        : text[i] == pattern[i];
    if (!fits) return false;
  }
  return true;
}

/// Whether the device spreads by flows what it receives.
bool spreads_flows(const std::string& device) {
  return is_pci_address(device) || is_af_packet(device) || device.starts_with("net_af_xdp") ||
         device.starts_with("net_ring");
}

/// `queues.count`: as asked for; becomes what there is.
int configure(EthdevQueues& queues, rte_mempool* pool) {
  rte_eth_dev_info info{};
  rte_eth_conf config{};
  if (const int r = rte_eth_dev_info_get(queues.port, &info); r != 0) return r;
  queues.checksum_offload = (info.tx_offload_capa & kChecksums) == kChecksums;
  if (queues.checksum_offload) config.txmode.offloads = kChecksums;
  queues.count = std::min({queues.count, info.max_rx_queues, info.max_tx_queues});
  constexpr std::uint64_t kFlow = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
  if (queues.count > 1 && (info.flow_type_rss_offloads & kFlow) != 0) {
    config.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    config.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & kFlow;
  }
  if (const int r = rte_eth_dev_configure(queues.port, queues.count, queues.count, &config);
      r != 0) {
    return r;
  }
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  if (const int r = rte_eth_dev_adjust_nb_rx_tx_desc(queues.port, &rx, &tx); r != 0) return r;
  for (std::uint16_t q = 0; q < queues.count; ++q) {
    if (const int r = rte_eth_rx_queue_setup(queues.port, q, rx, SOCKET_ID_ANY, nullptr, pool);
        r != 0) {
      return r;
    }
    if (const int r = rte_eth_tx_queue_setup(queues.port, q, tx, SOCKET_ID_ANY, nullptr); r != 0)
      return r;
  }
  return rte_eth_dev_start(queues.port);
}

/// Whether a kernel's interface is promiscuous by its operator's word.
bool is_promiscuous(const std::string& interface) {
  constexpr unsigned kPromiscuous = 0x100;  // IFF_PROMISC
  std::FILE* file = std::fopen(("/sys/class/net/" + interface + "/flags").c_str(), "re");
  if (file == nullptr) return false;
  unsigned flags = 0;
  const int read = std::fscanf(file, "%x", &flags);
  std::fclose(file);
  return read == 1 && (flags & kPromiscuous) != 0;
}

void stop(const EthdevQueues& queues) noexcept {
  rte_eth_dev_info info{};
  const bool known = rte_eth_dev_info_get(queues.port, &info) == 0;
  // A vdev sets it on the kernel's interface and leaves it there.
  if (queues.promiscuous) (void)rte_eth_promiscuous_disable(queues.port);
  (void)rte_eth_dev_stop(queues.port);
  (void)rte_eth_dev_close(queues.port);
  if (queues.attached && known) (void)rte_dev_remove(info.device);
}

std::string reason(int code) {
  return code < 0 ? std::strerror(-code) : "no reason given";
}

}  // namespace

bool is_pci_address(const std::string& device) {
  const std::string name = device_name_of(device);
  return has_shape(name, "hhhh:hh:hh.h") || has_shape(name, "hh:hh.h");
}

std::string interface_of(const std::string& device) {
  return argument_of(device, "iface");
}

std::string device_name_of(const std::string& device) {
  return device.substr(0, device.find(','));
}

Result<std::shared_ptr<const EthdevQueues>> start_ethdev(const std::string& device,
                                                         const Pools& pools, Hears hears,
                                                         std::uint16_t count) {
  const std::string name = device_name_of(device);
  const std::string bus = is_pci_address(device) ? "pci" : "vdev";
  std::string arguments = arguments_of(device);
  rte_mempool* pool = pools.wire;
  if (is_af_packet(device)) {
    unsigned long frame = std::strtoul(argument_of(device, "framesz").c_str(), nullptr, 10);
    if (frame == 0 && hears == Hears::kMulticast) {
      arguments += kLargeRing;
      frame = kLargeRingFrame;
    }
    if (frame > kFrameRoom) {
      return failure(Errc::kInvalid, "\"" + device + "\": expected framesz of at most " +
                                         std::to_string(kFrameRoom));
    }
    if (std::max<unsigned long>(frame, kRingFrame) > kWireRoom - RTE_PKTMBUF_HEADROOM)
      pool = pools.frame;
  }
  EthdevQueues queues;
  if (spreads_flows(device)) queues.count = count;
  for (const char* key : {"qpairs", "queue_count"}) {
    // What comes in by a queue that nobody reads would be lost.
    if (std::strtoul(argument_of(device, key).c_str(), nullptr, 10) > queues.count) {
      return failure(Errc::kInvalid, "\"" + device + "\": expected " + key + " of at most " +
                                         std::to_string(queues.count) +
                                         ", as many as workers take from it");
    }
  }
  if (rte_eth_dev_get_port_by_name(name.c_str(), &queues.port) != 0) {
    const int added = rte_eal_hotplug_add(bus.c_str(), name.c_str(), arguments.c_str());
    if (added != 0 || rte_eth_dev_get_port_by_name(name.c_str(), &queues.port) != 0) {
      if (added == 0) (void)rte_eal_hotplug_remove(bus.c_str(), name.c_str());
      return failure(Errc::kNotFound, "DPDK has no device \"" + device + "\" (" +
                                          reason(added != 0 ? added : -ENODEV) +
                                          "); expected a PCI address such as \"0000:03:00.1\" or a "
                                          "vdev such as \"net_af_packet0,iface=eth1\"");
    }
    queues.attached = true;
  }
  if (const int r = configure(queues, pool); r != 0) {
    stop(queues);
    return failure(Errc::kIo, "cannot start DPDK device \"" + device + "\": " + reason(r));
  }
  // A device that cannot be asked for either (some vdevs) hears everything anyway.
  if ((hears == Hears::kAll || rte_eth_allmulticast_enable(queues.port) != 0) &&
      !is_promiscuous(interface_of(device))) {
    queues.promiscuous = rte_eth_promiscuous_enable(queues.port) == 0;
  }
  return std::shared_ptr<const EthdevQueues>(new EthdevQueues(queues), [](const EthdevQueues* all) {
    stop(*all);
    delete all;
  });
}

}  // namespace orrery::dataplane
