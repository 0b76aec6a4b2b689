// A LAN port of a gateway: any DPDK ethdev, promiscuous, joined to a network as one of its frame
// ports.
//
// The device is a PCI address or a vdev string (net_af_packet0,iface=lan0; net_af_xdp0,iface=lan0;
// net_memif0,...). Frames with a VLAN tag are only taken when a VLAN is configured, then only those
// of that VLAN, untagged inside the network. Weak spot: no vdev has receive interrupts, so a worker
// with such a port polls (it backs off to 500 us when idle).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dataplane/eal.h"
#include "dataplane/port.h"

namespace orrery::dataplane {

class LanPort final : public FramePort {
 public:
  /// Attaches and starts the device. `vlan` 0: untagged.
  static Result<std::shared_ptr<LanPort>> open(const std::string& device, wire::NetworkId network,
                                               std::uint16_t vlan, const Pools& pools);
  ~LanPort() override;

  [[nodiscard]] wire::NetworkId network() const noexcept override { return network_; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override;
  void send(rte_mbuf** in, std::uint16_t n) noexcept override;

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return counters_; }

  [[nodiscard]] bool is_lan() const noexcept override { return true; }

  [[nodiscard]] const std::string& name() const { return device_; }

 private:
  LanPort(std::string device, std::uint16_t port, wire::NetworkId network, std::uint16_t vlan)
      : device_(std::move(device)), port_(port), network_(network), vlan_(vlan) {}

  /// Takes the tag off; false when the frame is not of this port's VLAN.
  [[nodiscard]] bool untag(rte_mbuf* m) const noexcept;

  std::string device_;
  std::uint16_t port_;
  wire::NetworkId network_;
  std::uint16_t vlan_;
  PortCounters counters_;
};

}  // namespace orrery::dataplane
