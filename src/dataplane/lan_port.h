// A LAN port of a gateway: any DPDK ethdev, promiscuous, joined to networks as their frame port.
//
// The device is a PCI address or a vdev string (net_af_packet0,iface=lan0; net_af_xdp0,iface=lan0;
// net_memif0,...). One device may serve several networks, a LanPort each: one takes the untagged
// frames, the others one VLAN each, untagged inside the network. The one of the untagged frames may
// also take those of all VLANs that are no other port's, with their tags. No port sends a frame
// that the LAN would take for one of another port's VLAN. Whichever port is asked first takes a
// burst from the device and leaves the others' frames in their lanes. A device with several queues
// gives one to each worker, with a LanPort of every network on it, and all ports of a queue belong
// to one worker. Weak spots: no vdev has receive interrupts, so a worker with such a port polls (it
// backs off to 500 us when idle); a port that nobody asks stops its queue once its lane is full.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/eal.h"
#include "dataplane/ethdev.h"
#include "dataplane/port.h"

namespace orrery::dataplane {

/// Which frames of a device a port has.
struct LanVlans {
  std::uint16_t vlan = 0;  // 0: untagged ones, or those tagged with a priority alone
  // With vlan 0: also those of VLANs that no other port has, as they are
  bool preserve_tags = false;
};

/// A queue of a started device, with a lane per VLAN in use. The device stops with its last queue.
class LanDevice {
 public:
  /// `queues` of them, or as many as the device has (ethdev.h).
  static Result<std::vector<std::shared_ptr<LanDevice>>> open(const std::string& device,
                                                              const Pools& pools,
                                                              std::uint16_t queues = 1);
  LanDevice(const LanDevice&) = delete;
  LanDevice& operator=(const LanDevice&) = delete;
  ~LanDevice();

  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  friend class LanPort;

  static constexpr std::uint16_t kLane = 128;    // frames that wait for their port
  static constexpr std::uint16_t kVlans = 4096;  // 12 bits; 0: untagged
  static constexpr std::uint8_t kNoLane = 255;
  static constexpr std::uint16_t kBurst = 64;

  struct Lane {
    LanVlans vlans;
    wire::NetworkId network;
    PortCounters counters;  // of the port
    std::array<rte_mbuf*, kLane> frame{};
    std::uint16_t first = 0, count = 0;
  };

  LanDevice(std::string name, std::shared_ptr<const EthdevQueues> started, std::uint16_t queue)
      : name_(std::move(name)), started_(std::move(started)), queue_(queue) {
    lane_of_.fill(kNoLane);
  }

  /// kExists when the VLAN is another port's.
  Result<Lane*> add_lane(LanVlans vlans, wire::NetworkId network);
  /// The port that has this VLAN; null: none.
  [[nodiscard]] Lane* lane_of(std::uint16_t vlan) const noexcept;
  std::uint16_t receive(Lane& lane, rte_mbuf** out, std::uint16_t n) noexcept;
  void burst() noexcept;
  /// Whose frame it is, made what the port's network is to see; null: nobody's.
  [[nodiscard]] Lane* sort(rte_mbuf* m) const noexcept;
  std::uint16_t take(Lane& lane, rte_mbuf** out, std::uint16_t n) noexcept;

  std::string name_;
  std::shared_ptr<const EthdevQueues> started_;  // stops with the last holder
  const std::uint16_t queue_;
  std::array<std::uint8_t, kVlans> lane_of_;  // of each VLAN; kNoLane: see rest_
  Lane* rest_ = nullptr;                      // of the VLANs of no other port
  std::vector<std::unique_ptr<Lane>> lanes_;
};

class LanPort final : public FramePort {
 public:
  static Result<std::shared_ptr<LanPort>> open(std::shared_ptr<LanDevice> device,
                                               wire::NetworkId network, LanVlans vlans);

  [[nodiscard]] wire::NetworkId network() const noexcept override { return lane_->network; }

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override {
    return device_->receive(*lane_, out, n);
  }

  void send(rte_mbuf** in, std::uint16_t n) noexcept override;

  [[nodiscard]] std::vector<int> wait_fds() const override { return {}; }

  [[nodiscard]] const PortCounters& counters() const noexcept override { return lane_->counters; }

  [[nodiscard]] bool is_lan() const noexcept override { return true; }

  [[nodiscard]] const std::string& name() const { return device_->name(); }

  [[nodiscard]] std::uint16_t vlan() const { return lane_->vlans.vlan; }

 private:
  LanPort(std::shared_ptr<LanDevice> device, LanDevice::Lane* lane)
      : device_(std::move(device)), lane_(lane) {}

  /// Makes of a frame of the network what the LAN is to see; false: it may not see it.
  [[nodiscard]] bool dress(rte_mbuf* m) const noexcept;

  std::shared_ptr<LanDevice> device_;
  LanDevice::Lane* lane_;  // the device's
};

}  // namespace orrery::dataplane
