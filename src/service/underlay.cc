#include "service/underlay.h"

#include <algorithm>

#include "dataplane/ethdev.h"

namespace orrery::service {
namespace {

/// An address that peers may know us by.
bool usable(const tap::InterfaceAddress& a) {
  if (!a.usable) return false;
  switch (wire::scope_of(a.address)) {
    case wire::IpScope::kNone:
    case wire::IpScope::kMulticast:
    case wire::IpScope::kLoopback:
    case wire::IpScope::kLinkLocal:
      return false;
    default:
      return true;
  }
}

}  // namespace

bool Underlay::takes(const tap::InterfaceAddress& a) const {
  if (!usable(a)) return false;
  for (const UnderlayPortConfig& port : config_.ports) {
    if (a.interface == port.mirror || a.interface == dataplane::interface_of(port.device))
      return false;
  }
  if (!config_.bind.empty()) {
    return std::any_of(config_.bind.begin(), config_.bind.end(),
                       [&](const auto& b) { return b.same_ip(a.address); });
  }
  for (const char* prefix : {"lo", "zt", "tun", "tap"}) {
    if (a.interface.starts_with(prefix)) return false;
  }
  for (const std::string& prefix : config_.interface_blacklist) {
    if (a.interface.starts_with(prefix)) return false;
  }
  return std::none_of(config_.physical.begin(), config_.physical.end(), [&](const auto& p) {
    return p.blacklist && wire::contains(p.network, a.address);
  });
}

Result<bool> Underlay::refresh() {
  failures_.clear();
  std::vector<tap::LocalAddress> wanted;
  bool changed = false;
  const bool kernel = config_.sockets && !config_.tcp_fallback.replaces_udp();
  if (kernel || !ports_.empty()) {
    const auto addresses = netlink_.addresses();
    if (!addresses) return std::unexpected(addresses.error());
    for (const auto& a : *addresses) {
      if (kernel && takes(a))
        wanted.push_back({0, a.address.with_port(config_.port), a.interface, a.index});
    }
    for (const auto& port : ports_) {
      std::vector<wire::Endpoint> mine;
      for (const auto& a : *addresses) {
        if (a.interface == port->mirror() && usable(a)) mine.push_back(a.address);
      }
      changed |= port->set_addresses(mine, next_id_, failures_);
    }
  }
  const std::size_t before = bound_.size();
  std::erase_if(bound_, [&](const auto& b) {
    return std::none_of(wanted.begin(), wanted.end(), [&](const auto& w) { return b.serves(w); });
  });
  changed |= bound_.size() != before;
  for (tap::LocalAddress& address : wanted) {
    if (std::any_of(bound_.begin(), bound_.end(),
                    [&](const auto& b) { return b.serves(address); })) {
      continue;
    }
    address.id = next_id_;
    auto sockets = tap::UdpSocket::open_shared(address, workers_);
    if (!sockets) {
      failures_.push_back(sockets.error().text);
      continue;
    }
    ++next_id_;
    bound_.push_back({std::move(*sockets)});
    changed = true;
  }
  for (BoundAddress& bound : bound_) {
    const std::uint16_t mtu = bound.sockets.front()->link_mtu();
    changed |= mtu != bound.mtu;
    bound.mtu = mtu;
  }
  return changed;
}

bool Underlay::serve(Millis now) {
  bool addresses = false;
  for (const auto& port : ports_) addresses |= port->serve(now);
  return addresses;
}

Millis Underlay::next_deadline(Millis otherwise) const {
  for (const auto& port : ports_) otherwise = std::min(otherwise, port->next_deadline());
  return otherwise;
}

std::vector<int> Underlay::fds() const {
  std::vector<int> all;
  for (const auto& port : ports_) all.push_back(port->fd());
  return all;
}

dataplane::PortQueues Underlay::sockets() const {
  std::vector<tap::SharedSockets> addresses;
  for (const BoundAddress& bound : bound_) addresses.push_back(bound.sockets);
  return tap::socket_ports(addresses, workers_, pools_.wire, pools_.frame);
}

std::vector<control::LocalEndpoint> Underlay::endpoints() const {
  std::vector<control::LocalEndpoint> all;
  for (const BoundAddress& bound : bound_)
    all.push_back({bound.local().id, bound.local().address, bound.mtu, bound.local().interface});
  for (const auto& port : ports_) {
    const auto more = port->endpoints();
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

std::vector<fib::LocalSocket> Underlay::sockets_of(std::uint8_t family) const {
  std::vector<fib::LocalSocket> ids;
  for (const auto& e : endpoints()) {
    if (e.address.family == family) ids.push_back(e.socket);
  }
  return ids;
}

}  // namespace orrery::service
