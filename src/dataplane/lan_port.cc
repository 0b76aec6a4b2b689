#include "dataplane/lan_port.h"

#include <rte_ethdev.h>

#include <cstring>

#include "dataplane/ethdev.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kTag = 4;
constexpr std::uint16_t kEtherVlan = 0x8100;

}  // namespace

Result<std::shared_ptr<LanPort>> LanPort::open(const std::string& device, wire::NetworkId network,
                                               std::uint16_t vlan, const Pools& pools) {
  const auto queues = start_ethdev(device, pools, true);
  if (!queues) return std::unexpected(queues.error());
  return std::shared_ptr<LanPort>(new LanPort(device, queues->port, network, vlan));
}

LanPort::~LanPort() {
  stop_ethdev(port_);
}

bool LanPort::untag(rte_mbuf* m) const noexcept {
  if (rte_pktmbuf_data_len(m) < kEthernet || m->nb_segs != 1) return false;
  std::uint8_t* d = rte_pktmbuf_mtod(m, std::uint8_t*);
  const bool tagged = load_be16(d + 12) == kEtherVlan;
  if (vlan_ == 0) return !tagged;
  if (!tagged || rte_pktmbuf_data_len(m) < kEthernet + kTag ||
      (load_be16(d + 14) & 0x0fff) != vlan_)
    return false;
  std::memmove(d + kTag, d, 12);
  rte_pktmbuf_adj(m, kTag);
  return true;
}

std::uint16_t LanPort::receive(rte_mbuf** out, std::uint16_t n) noexcept {
  const std::uint16_t got = rte_eth_rx_burst(port_, 0, out, n);
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < got; ++i) {
    rte_mbuf* m = out[i];
    if (!untag(m)) {
      ++counters_.rx_dropped;
      rte_pktmbuf_free(m);
      continue;
    }
    meta_of(m) = {};
    meta_of(m).network = network_.value;
    ++counters_.rx_packets;
    counters_.rx_bytes += rte_pktmbuf_data_len(m);
    out[kept++] = m;
  }
  return kept;
}

void LanPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  std::uint64_t bytes = 0;
  for (std::uint16_t i = 0; i < n; ++i) {
    if (vlan_ != 0) {
      auto* d = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(in[i], kTag));
      if (d != nullptr) {
        std::memmove(d, d + kTag, 12);
        store_be16(d + 12, kEtherVlan);
        store_be16(d + 14, vlan_);
      }
    }
    bytes += rte_pktmbuf_data_len(in[i]);
  }
  const std::uint16_t sent = rte_eth_tx_burst(port_, 0, in, n);
  counters_.tx_packets += sent;
  counters_.tx_bytes += bytes;
  counters_.tx_dropped += n - sent;
  if (sent < n) rte_pktmbuf_free_bulk(in + sent, n - sent);
}

}  // namespace orrery::dataplane
