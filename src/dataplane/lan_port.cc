#include "dataplane/lan_port.h"

#include <rte_ethdev.h>

#include <algorithm>
#include <cstring>

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kTag = 4;
constexpr std::uint16_t kEtherVlan = 0x8100;
constexpr std::uint16_t kVlanId = 0x0fff;
constexpr int kNotAFrame = -1;

/// The frame's VLAN with its tag taken off; 0: untagged or tagged with a priority alone.
int take_tag(rte_mbuf* m) noexcept {
  if (rte_pktmbuf_data_len(m) < kEthernet || m->nb_segs != 1) return kNotAFrame;
  if ((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) return m->vlan_tci & kVlanId;
  std::uint8_t* d = rte_pktmbuf_mtod(m, std::uint8_t*);
  if (load_be16(d + 12) != kEtherVlan) return 0;
  if (rte_pktmbuf_data_len(m) < kEthernet + kTag) return kNotAFrame;
  const int vlan = load_be16(d + 14) & kVlanId;
  std::memmove(d + kTag, d, 12);
  rte_pktmbuf_adj(m, kTag);
  return vlan;
}

bool put_tag(rte_mbuf* m, std::uint16_t vlan) noexcept {
  auto* d = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(m, kTag));
  if (d == nullptr) return false;
  std::memmove(d, d + kTag, 12);
  store_be16(d + 12, kEtherVlan);
  store_be16(d + 14, vlan);
  return true;
}

}  // namespace

Result<std::shared_ptr<LanDevice>> LanDevice::open(const std::string& device, const Pools& pools) {
  const auto queues = start_ethdev(device, pools, Hears::kAll);
  if (!queues) return std::unexpected(queues.error());
  return std::shared_ptr<LanDevice>(new LanDevice(device, *queues));
}

LanDevice::~LanDevice() {
  for (const auto& lane : lanes_) {
    rte_mbuf* m = nullptr;
    while (take(*lane, &m, 1) != 0) rte_pktmbuf_free(m);
  }
  stop_ethdev(queues_);
}

Result<LanDevice::Lane*> LanDevice::add_lane(std::uint16_t vlan, wire::NetworkId network) {
  if (vlan >= kVlans || lanes_.size() >= kNoLane) {
    return failure(Errc::kInvalid,
                   "LAN port \"" + name_ + "\" has no room for VLAN " + std::to_string(vlan));
  }
  if (lane_of_[vlan] != kNoLane) {
    return failure(Errc::kExists, "LAN port \"" + name_ + "\" has " +
                                      (vlan == 0 ? std::string("its untagged frames")
                                                 : "VLAN " + std::to_string(vlan)) +
                                      " in another network already");
  }
  lane_of_[vlan] = static_cast<std::uint8_t>(lanes_.size());
  lanes_.push_back(std::make_unique<Lane>());
  lanes_.back()->vlan = vlan;
  lanes_.back()->network = network;
  return lanes_.back().get();
}

std::uint16_t LanDevice::take(Lane& lane, rte_mbuf** out, std::uint16_t n) noexcept {
  const std::uint16_t taken = std::min(n, lane.count);
  for (std::uint16_t i = 0; i < taken; ++i) out[i] = lane.frame[(lane.first + i) % kLane];
  lane.first = static_cast<std::uint16_t>((lane.first + taken) % kLane);
  lane.count = static_cast<std::uint16_t>(lane.count - taken);
  return taken;
}

void LanDevice::burst() noexcept {
  // All may be of one VLAN: no more than the fullest lane can take.
  std::uint16_t room = kBurst;
  for (const auto& lane : lanes_)
    room = std::min(room, static_cast<std::uint16_t>(kLane - lane->count));
  if (room == 0) return;
  rte_mbuf* frames[kBurst];
  const std::uint16_t got = rte_eth_rx_burst(queues_.port, 0, frames, room);
  for (std::uint16_t i = 0; i < got; ++i) {
    rte_mbuf* m = frames[i];
    const int vlan = take_tag(m);
    const std::uint8_t at = vlan == kNotAFrame ? kNoLane : lane_of_[static_cast<unsigned>(vlan)];
    if (at == kNoLane) {
      ++lanes_.front()->counters.rx_dropped;  // nobody's: the device's first port tells it
      rte_pktmbuf_free(m);
      continue;
    }
    Lane& lane = *lanes_[at];
    meta_of(m) = {};
    meta_of(m).network = lane.network.value;
    ++lane.counters.rx_packets;
    lane.counters.rx_bytes += rte_pktmbuf_data_len(m);
    lane.frame[(lane.first + lane.count++) % kLane] = m;
  }
}

std::uint16_t LanDevice::receive(Lane& lane, rte_mbuf** out, std::uint16_t n) noexcept {
  if (lane.count == 0) burst();
  return take(lane, out, n);
}

Result<std::shared_ptr<LanPort>> LanPort::open(std::shared_ptr<LanDevice> device,
                                               wire::NetworkId network, std::uint16_t vlan) {
  const auto lane = device->add_lane(vlan, network);
  if (!lane) return std::unexpected(lane.error());
  return std::shared_ptr<LanPort>(new LanPort(std::move(device), *lane));
}

void LanPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  PortCounters& counters = lane_->counters;
  std::uint64_t bytes = 0;
  std::uint16_t ready = 0;
  for (std::uint16_t i = 0; i < n; ++i) {
    rte_mbuf* m = in[i];
    if (lane_->vlan != 0 && !put_tag(m, lane_->vlan)) {
      ++counters.tx_dropped;
      rte_pktmbuf_free(m);
      continue;
    }
    bytes += rte_pktmbuf_data_len(m);
    in[ready++] = m;
  }
  const std::uint16_t sent = rte_eth_tx_burst(device_->queues_.port, 0, in, ready);
  // What the device took may be gone at once: the bytes of the rest are taken off again.
  for (std::uint16_t i = sent; i < ready; ++i) bytes -= rte_pktmbuf_data_len(in[i]);
  counters.tx_packets += sent;
  counters.tx_bytes += bytes;
  counters.tx_dropped += static_cast<std::uint64_t>(ready - sent);
  if (sent < ready) rte_pktmbuf_free_bulk(in + sent, static_cast<unsigned>(ready - sent));
}

}  // namespace orrery::dataplane
