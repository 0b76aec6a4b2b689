#include "dataplane/lan_port.h"

#include <rte_ethdev.h>

#include <algorithm>

#include "dataplane/vlan_tag.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;

/// What stands behind the frame's tag, if it has one; nothing: no whole frame, or none of its tag.
std::optional<wire::BehindTag> open_tag(const rte_mbuf* m) noexcept {
  if (rte_pktmbuf_data_len(m) < kEthernet || m->nb_segs != 1) return {};
  const Bytes frame{rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)};
  const auto in = wire::behind_tag(load_be16(frame.data() + kMacs), frame.subspan(kEthernet));
  if (in.ethertype == wire::kVlanEthertype && in.tag == 0) return {};
  return in;
}

}  // namespace

Result<std::vector<std::shared_ptr<LanDevice>>> LanDevice::open(const std::string& device,
                                                                const Pools& pools,
                                                                std::uint16_t queues) {
  const auto started = start_ethdev(device, pools, Hears::kAll, queues);
  if (!started) return std::unexpected(started.error());
  std::vector<std::shared_ptr<LanDevice>> all;
  for (std::uint16_t q = 0; q < (*started)->count; ++q)
    all.push_back(std::shared_ptr<LanDevice>(new LanDevice(device, *started, q)));
  return all;
}

LanDevice::~LanDevice() {
  for (const auto& lane : lanes_) {
    rte_mbuf* m = nullptr;
    while (take(*lane, &m, 1) != 0) rte_pktmbuf_free(m);
  }
}

Result<LanDevice::Lane*> LanDevice::add_lane(LanVlans vlans, wire::NetworkId network) {
  const std::uint16_t vlan = vlans.vlan;
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
  lanes_.back()->vlans = vlans;
  lanes_.back()->network = network;
  if (vlans.preserve_tags) rest_ = lanes_.back().get();
  return lanes_.back().get();
}

LanDevice::Lane* LanDevice::lane_of(std::uint16_t vlan) const noexcept {
  const std::uint8_t at = lane_of_[vlan];
  return at == kNoLane ? rest_ : lanes_[at].get();
}

std::uint16_t LanDevice::take(Lane& lane, rte_mbuf** out, std::uint16_t n) noexcept {
  const std::uint16_t taken = std::min(n, lane.count);
  for (std::uint16_t i = 0; i < taken; ++i) out[i] = lane.frame[(lane.first + i) % kLane];
  lane.first = static_cast<std::uint16_t>((lane.first + taken) % kLane);
  lane.count = static_cast<std::uint16_t>(lane.count - taken);
  return taken;
}

LanDevice::Lane* LanDevice::sort(rte_mbuf* m) const noexcept {
  // A device that takes tags off tells them beside the frame.
  const bool stripped = (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
  const auto in = open_tag(m);
  if (!in) return nullptr;
  Lane* to = lane_of(wire::vlan_of(stripped ? m->vlan_tci : in->tag_control));
  if (to == nullptr) return nullptr;
  if (to->vlans.preserve_tags) return !stripped || put_tag(m, m->vlan_tci) ? to : nullptr;
  if (!stripped && in->tag != 0) take_tag(m);
  return to;
}

void LanDevice::burst() noexcept {
  // All may be of one VLAN: no more than the fullest lane can take.
  std::uint16_t room = kBurst;
  for (const auto& lane : lanes_)
    room = std::min(room, static_cast<std::uint16_t>(kLane - lane->count));
  if (room == 0) return;
  rte_mbuf* frames[kBurst];
  const std::uint16_t got = rte_eth_rx_burst(started_->port, queue_, frames, room);
  for (std::uint16_t i = 0; i < got; ++i) {
    rte_mbuf* m = frames[i];
    Lane* to = sort(m);
    if (to == nullptr) {
      ++lanes_.front()->counters.rx_dropped;  // nobody's: the device's first port tells it
      rte_pktmbuf_free(m);
      continue;
    }
    Lane& lane = *to;
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
                                               wire::NetworkId network, LanVlans vlans) {
  const auto lane = device->add_lane(vlans, network);
  if (!lane) return std::unexpected(lane.error());
  return std::shared_ptr<LanPort>(new LanPort(std::move(device), *lane));
}

bool LanPort::dress(rte_mbuf* m) const noexcept {
  if (lane_->vlans.vlan != 0) return put_tag(m, lane_->vlans.vlan);
  const auto in = open_tag(m);
  return in && device_->lane_of(wire::vlan_of(in->tag_control)) == lane_;
}

void LanPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  PortCounters& counters = lane_->counters;
  std::uint64_t bytes = 0;
  std::uint16_t ready = 0;
  for (std::uint16_t i = 0; i < n; ++i) {
    rte_mbuf* m = in[i];
    if (!dress(m)) {
      ++counters.tx_dropped;
      rte_pktmbuf_free(m);
      continue;
    }
    bytes += rte_pktmbuf_data_len(m);
    in[ready++] = m;
  }
  const std::uint16_t sent = rte_eth_tx_burst(device_->started_->port, device_->queue_, in, ready);
  // What the device took may be gone at once: the bytes of the rest are taken off again.
  for (std::uint16_t i = sent; i < ready; ++i) bytes -= rte_pktmbuf_data_len(in[i]);
  counters.tx_packets += sent;
  counters.tx_bytes += bytes;
  counters.tx_dropped += static_cast<std::uint64_t>(ready - sent);
  if (sent < ready) rte_pktmbuf_free_bulk(in + sent, static_cast<unsigned>(ready - sent));
}

}  // namespace orrery::dataplane
