#include "dataplane/ethdev_port.h"

#include <rte_ethdev.h>
#include <rte_ip.h>

#include <algorithm>

#include "dataplane/ethdev.h"
#include "dataplane/tables/rcu_table.h"
#include "wire/checksum.h"

namespace orrery::dataplane {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kUdp = 8;
constexpr std::size_t kIpv4 = 20;  // without options
constexpr std::size_t kIpv6 = 40;
constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kDefaultTtl = 64;
constexpr std::uint16_t kSlice = 64;

std::uint8_t* data_of(rte_mbuf* m) {
  return rte_pktmbuf_mtod(m, std::uint8_t*);
}

wire::Endpoint ip_at(std::uint8_t family, const std::uint8_t* p, std::uint16_t port) {
  return family == 4 ? wire::Endpoint::v4(load_be32(p), port) : wire::Endpoint::v6({p, 16}, port);
}

}  // namespace

wire::Endpoint UnderlayView::next_hop(const wire::Endpoint& remote) const noexcept {
  for (const Route& r : routes) {
    if (wire::contains(r.target, remote)) return r.gateway ? r.gateway : remote.with_port(0);
  }
  return {};
}

wire::Mac UnderlayView::mac_of(const wire::Endpoint& next_hop) const noexcept {
  const auto it = std::lower_bound(
      neighbours.begin(), neighbours.end(), next_hop,
      [](const Neighbour& n, const wire::Endpoint& wanted) { return n.ip < wanted; });
  if (it == neighbours.end() || it->ip != next_hop) return {};
  std::atomic_ref used(it->used);
  if (used.load(std::memory_order_relaxed) == 0) used.store(1, std::memory_order_relaxed);
  return it->mac;
}

bool UnderlayView::take_used(const Neighbour& neighbour) noexcept {
  return std::atomic_ref(neighbour.used).exchange(0, std::memory_order_relaxed) != 0;
}

void sort_view(UnderlayView& view) {
  std::stable_sort(view.routes.begin(), view.routes.end(),
                   [](const auto& a, const auto& b) { return a.target.port > b.target.port; });
  std::sort(view.neighbours.begin(), view.neighbours.end(),
            [](const auto& a, const auto& b) { return a.ip < b.ip; });
}

std::optional<UdpDatagram> read_udp(Bytes frame) {
  if (frame.size() < kEthernet + kIpv4 + kUdp) return std::nullopt;
  const std::uint16_t ethertype = load_be16(frame.data() + 12);
  const Bytes ip = frame.subspan(kEthernet);
  std::size_t header = 0, total = 0;
  std::uint8_t family = 0;
  if (ethertype == kEtherIpv4 && ip[0] >> 4 == 4) {
    family = 4;
    header = (ip[0] & 15u) * 4u;
    total = load_be16(ip.data() + 2);
    const bool fragment = (load_be16(ip.data() + 6) & 0x3fff) != 0;
    if (header < kIpv4 || total > ip.size() || total < header + kUdp || fragment ||
        ip[9] != kProtocolUdp ||
        wire::checksum_field(wire::checksum_add(ip.first(header), 0)) != 0) {
      return std::nullopt;
    }
  } else if (ethertype == kEtherIpv6 && ip.size() >= kIpv6 + kUdp && ip[0] >> 4 == 6) {
    family = 6;
    header = kIpv6;
    total = kIpv6 + load_be16(ip.data() + 4);
    if (total > ip.size() || total < header + kUdp || ip[6] != kProtocolUdp) return std::nullopt;
  } else {
    return std::nullopt;
  }
  const std::uint8_t* udp = ip.data() + header;
  const std::size_t length = load_be16(udp + 4);
  if (length < kUdp || header + length > total) return std::nullopt;
  const std::size_t addresses = family == 4 ? 12 : 8;
  const std::size_t address_size = family == 4 ? 4 : 16;
  UdpDatagram d;
  d.source = ip_at(family, ip.data() + addresses, load_be16(udp));
  d.destination = ip_at(family, ip.data() + addresses + address_size, load_be16(udp + 2));
  d.offset = static_cast<std::uint16_t>(kEthernet + header + kUdp);
  d.size = static_cast<std::uint16_t>(length - kUdp);
  return d;
}

Result<std::vector<std::shared_ptr<EthdevPort>>> EthdevPort::open(const std::string& device,
                                                                  const Pools& pools,
                                                                  std::uint16_t queues) {
  const auto started = start_ethdev(device, pools, Hears::kMulticast, queues);
  if (!started) return std::unexpected(started.error());
  const std::uint16_t port = (*started)->port;
  rte_ether_addr address{};
  std::uint16_t mtu = 0;
  if (rte_eth_macaddr_get(port, &address) != 0 || rte_eth_dev_get_mtu(port, &mtu) != 0)
    return failure(Errc::kIo, "DPDK device \"" + device + "\" tells neither its MAC nor its MTU");
  std::shared_ptr<Strays> strays;
  if ((*started)->count > 1) {
    auto opened = Strays::open(port, (*started)->count, table_hash_key());
    if (!opened) return std::unexpected(opened.error());
    strays = std::move(*opened);
  }
  std::vector<std::shared_ptr<EthdevPort>> all;
  for (std::uint16_t q = 0; q < (*started)->count; ++q) {
    all.push_back(std::shared_ptr<EthdevPort>(
        new EthdevPort(device, *started, strays, q, wire::Mac::load(address.addr_bytes), mtu)));
  }
  return all;
}

EthdevPort::EthdevPort(std::string device, std::shared_ptr<const EthdevQueues> started,
                       std::shared_ptr<Strays> strays, std::uint16_t queue, wire::Mac mac,
                       std::uint16_t mtu)
    : device_(std::move(device)),
      started_(std::move(started)),
      strays_(std::move(strays)),
      queue_(queue),
      mac_(mac),
      mtu_(mtu) {
  hand_over(std::make_unique<const UnderlayView>());
}

void EthdevPort::hand_over(std::unique_ptr<const UnderlayView> view) {
  next_.store(view.get(), std::memory_order_release);
  views_.push_back(std::move(view));
  // Invariant 1: the view in use and every later one stay.
  const UnderlayView* used = in_use_.load(std::memory_order_acquire);
  const auto it =
      std::find_if(views_.begin(), views_.end(), [&](const auto& v) { return v.get() == used; });
  if (it != views_.end()) views_.erase(views_.begin(), it);
}

const UnderlayView& EthdevPort::view() const noexcept {
  const UnderlayView* newest = next_.load(std::memory_order_acquire);
  in_use_.store(newest, std::memory_order_release);  // Invariant 1
  return *newest;
}

bool EthdevPort::owns(fib::LocalSocket socket) const noexcept {
  const auto& locals = view().locals;
  return std::any_of(locals.begin(), locals.end(), [&](const auto& l) { return l.id == socket; });
}

bool EthdevPort::claim(rte_mbuf* m, const UnderlayView& view) noexcept {
  if (m->nb_segs != 1 || wire::Mac::load(data_of(m)) != mac_) return false;
  const auto datagram = read_udp({data_of(m), rte_pktmbuf_data_len(m)});
  if (!datagram) return false;
  for (const UnderlayView::Local& local : view.locals) {
    if (local.address != datagram->destination) continue;
    rte_pktmbuf_adj(m, datagram->offset);
    rte_pktmbuf_trim(m, static_cast<std::uint16_t>(rte_pktmbuf_data_len(m) - datagram->size));
    meta_of(m) = {};
    meta_of(m).remote = datagram->source;
    meta_of(m).socket = local.id;
    return true;
  }
  return false;
}

std::uint16_t EthdevPort::from_kernel(const UnderlayView& view, rte_mbuf** out,
                                      std::uint16_t n) noexcept {
  if (n == 0) return 0;
  const std::uint16_t got = view.kernel != nullptr ? view.kernel->receive(out, n) : 0;
  counters_.rx_packets += got;
  for (std::uint16_t i = 0; i < got; ++i) counters_.rx_bytes += rte_pktmbuf_data_len(out[i]);
  if (strays_ == nullptr) return got;
  std::uint64_t lost = 0;
  const std::uint16_t kept = strays_->keep(queue_, out, got, lost);
  counters_.rx_dropped += lost;
  return static_cast<std::uint16_t>(
      kept + strays_->take(queue_, out + kept, static_cast<std::uint16_t>(n - kept)));
}

void EthdevPort::to_kernel(const UnderlayView& view, rte_mbuf** in, std::uint16_t n) noexcept {
  if (view.kernel == nullptr) {
    counters_.tx_dropped += n;
    rte_pktmbuf_free_bulk(in, n);
    return;
  }
  // The frames come back over the mirror and are counted there.
  view.kernel->send(in, n);
}

void EthdevPort::from_mirror() noexcept {
  if (mirror_ == nullptr) return;
  rte_mbuf* burst[kSlice];
  const std::uint16_t n = mirror_->receive(burst, kSlice);
  if (n != 0) transmit(burst, n);
}

std::uint16_t EthdevPort::receive(rte_mbuf** out, std::uint16_t n) noexcept {
  const UnderlayView& current = view();
  rte_mbuf* burst[kSlice];
  rte_mbuf* others[kSlice];
  const std::uint16_t got = rte_eth_rx_burst(started_->port, queue_, burst, std::min(n, kSlice));
  std::uint16_t kept = 0, rest = 0;
  for (std::uint16_t i = 0; i < got; ++i) {
    if (!claim(burst[i], current)) {
      others[rest++] = burst[i];
      continue;
    }
    ++counters_.rx_packets;
    counters_.rx_bytes += rte_pktmbuf_data_len(burst[i]);
    out[kept++] = burst[i];
  }
  if (strays_ != nullptr) strays_->heard(queue_, out, kept);
  if (mirror_ != nullptr) {
    if (rest != 0) mirror_->send(others, rest);
  } else {
    counters_.rx_dropped += rest;
    if (rest != 0) rte_pktmbuf_free_bulk(others, rest);
  }
  // The kernel's side costs a system call per descriptor even when it has nothing to say.
  if (got != 0 && rest == 0 && ++busy_turns_ < kBusyTurns) return kept;
  busy_turns_ = 0;
  from_mirror();
  return static_cast<std::uint16_t>(
      kept + from_kernel(current, out + kept, static_cast<std::uint16_t>(n - kept)));
}

void EthdevPort::want(const wire::Endpoint& next_hop) noexcept {
  const std::uint64_t in = wanted_in_.load(std::memory_order_relaxed);
  const std::uint64_t out = wanted_out_.load(std::memory_order_acquire);
  if (in - out >= kWanted) return;
  if (in != out && wanted_[(in - 1) % kWanted] == next_hop) return;
  wanted_[in % kWanted] = next_hop;
  wanted_in_.store(in + 1, std::memory_order_release);
}

std::vector<wire::Endpoint> EthdevPort::take_wanted() {
  std::vector<wire::Endpoint> taken;
  const std::uint64_t in = wanted_in_.load(std::memory_order_acquire);
  for (std::uint64_t at = wanted_out_.load(std::memory_order_relaxed); at != in; ++at)
    taken.push_back(wanted_[at % kWanted]);
  wanted_out_.store(in, std::memory_order_release);
  return taken;
}

void EthdevPort::prepare(Outer& outer, const PacketMeta& meta, const UnderlayView& view) noexcept {
  outer.socket = meta.socket;
  outer.remote = meta.remote;
  outer.ttl = meta.ttl;
  outer.way = Way::kNowhere;
  const auto local = std::find_if(view.locals.begin(), view.locals.end(),
                                  [&](const auto& l) { return l.id == meta.socket; });
  if (local == view.locals.end() || local->address.family != meta.remote.family) return;
  const wire::Endpoint hop = view.next_hop(meta.remote);
  if (!hop) return;
  outer.way = Way::kKernel;
  const wire::Mac to = view.mac_of(hop);
  if (!to) {
    want(hop);
    return;
  }
  outer.way = Way::kDevice;
  const bool v4 = meta.remote.family == 4;
  outer.ip_size = v4 ? kIpv4 : kIpv6;
  outer.bytes = {};
  std::uint8_t* p = outer.bytes.data();
  to.store(p);
  mac_.store(p + 6);
  store_be16(p + 12, v4 ? kEtherIpv4 : kEtherIpv6);
  std::uint8_t* ip = p + kEthernet;
  const std::uint8_t ttl = meta.ttl != 0 ? meta.ttl : kDefaultTtl;
  if (v4) {
    // [1] version and length, [1] TOS, [2] total, [2] id, [2] flags, [1] TTL, [1] protocol, [2]
    // checksum, [4] source, [4] destination.
    ip[0] = 0x45;
    ip[8] = ttl;
    ip[9] = kProtocolUdp;
    std::memcpy(ip + 12, local->address.ip.data(), 4);
    std::memcpy(ip + 16, meta.remote.ip.data(), 4);
    outer.header_sum = wire::checksum_add(Bytes(ip, kIpv4), 0);
    outer.pseudo_sum = wire::checksum_add(Bytes(ip + 12, 8), kProtocolUdp);
  } else {
    // [4] version, class, flow label, [2] payload length, [1] next header, [1] hop limit, [16]
    // source, [16] destination
    ip[0] = 0x60;
    ip[6] = kProtocolUdp;
    ip[7] = ttl;
    std::memcpy(ip + 8, local->address.ip.data(), 16);
    std::memcpy(ip + 24, meta.remote.ip.data(), 16);
    outer.pseudo_sum = wire::checksum_add(Bytes(ip + 8, 32), kProtocolUdp);
  }
  std::uint8_t* udp = ip + outer.ip_size;
  store_be16(udp, local->address.port);
  store_be16(udp + 2, meta.remote.port);
}

EthdevPort::Way EthdevPort::put_outer(rte_mbuf* m, const UnderlayView& view,
                                      Outer& outer) noexcept {
  const PacketMeta& meta = meta_of(m);
  if (meta.remote != outer.remote || meta.socket != outer.socket || meta.ttl != outer.ttl)
    prepare(outer, meta, view);
  if (outer.way != Way::kDevice) return outer.way;
  const auto udp_length = static_cast<std::uint16_t>(kUdp + rte_pktmbuf_data_len(m));
  if (outer.ip_size + udp_length > mtu_) return Way::kKernel;
  const bool v4 = outer.ip_size == kIpv4;
  const bool whole = meta.whole;
  auto* p = reinterpret_cast<std::uint8_t*>(
      rte_pktmbuf_prepend(m, static_cast<std::uint16_t>(kEthernet + outer.ip_size + kUdp)));
  if (p == nullptr) return Way::kNowhere;
  std::memcpy(p, outer.bytes.data(), kEthernet + outer.ip_size + kUdp);
  std::uint8_t* ip = p + kEthernet;
  std::uint8_t* udp = ip + outer.ip_size;
  m->l2_len = kEthernet;
  m->l3_len = outer.ip_size & 0x1ff;
  m->l4_len = kUdp;
  if (v4) {
    // The don't-fragment flag stays clear, as in the kernel sockets of the reference, but for
    // probes.
    const auto total = static_cast<std::uint16_t>(kIpv4 + udp_length);
    const std::uint16_t flags = whole ? RTE_IPV4_HDR_DF_FLAG : 0;
    store_be16(ip + 2, total);
    store_be16(ip + 4, ++ip_id_);
    store_be16(ip + 6, flags);
    if (!started_->checksum_offload)
      store_be16(ip + 10, wire::checksum_field(outer.header_sum + total + ip_id_ + flags));
  } else {
    store_be16(ip + 4, udp_length);
  }
  store_be16(udp + 4, udp_length);
  const std::uint32_t pseudo = outer.pseudo_sum + udp_length;
  if (started_->checksum_offload) {
    m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM |
                   (v4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6);
    store_be16(udp + 6, wire::checksum_fold(pseudo));
  } else {
    store_be16(udp + 6,
               wire::checksum_field_nonzero(wire::checksum_add(Bytes(udp, udp_length), pseudo)));
  }
  return Way::kDevice;
}

void EthdevPort::transmit(rte_mbuf** in, std::uint16_t n) noexcept {
  std::uint64_t bytes[kSlice];
  std::uint64_t total = 0;
  // Sizes first: what the device took may be gone at once.
  for (std::uint16_t i = 0; i < n; ++i) bytes[i] = rte_pktmbuf_data_len(in[i]);
  const std::uint16_t sent = rte_eth_tx_burst(started_->port, queue_, in, n);
  for (std::uint16_t i = 0; i < sent; ++i) total += bytes[i];
  counters_.tx_packets += sent;
  counters_.tx_bytes += total;
  counters_.tx_dropped += n - sent;
  if (sent < n) rte_pktmbuf_free_bulk(in + sent, n - sent);
}

void EthdevPort::send(rte_mbuf** in, std::uint16_t n) noexcept {
  const UnderlayView& current = view();
  Outer outer;
  while (n != 0) {
    const std::uint16_t slice = std::min(n, kSlice);
    rte_mbuf* ready[kSlice];
    rte_mbuf* others[kSlice];
    std::uint16_t count = 0, rest = 0;
    for (std::uint16_t i = 0; i < slice; ++i) {
      switch (put_outer(in[i], current, outer)) {
        case Way::kDevice:
          ready[count++] = in[i];
          break;
        case Way::kKernel:
          others[rest++] = in[i];
          break;
        case Way::kNowhere:
          ++counters_.tx_dropped;
          rte_pktmbuf_free(in[i]);
          break;
      }
    }
    if (count != 0) transmit(ready, count);
    if (rest != 0) to_kernel(current, others, rest);
    in += slice;
    n = static_cast<std::uint16_t>(n - slice);
  }
}

}  // namespace orrery::dataplane
