#include "service/underlay.h"

#include <algorithm>

namespace orrery::service {

bool Underlay::usable(const tap::InterfaceAddress& a) const {
  if (!a.usable) return false;
  switch (wire::scope_of(a.address)) {
    case wire::IpScope::kNone:
    case wire::IpScope::kMulticast:
    case wire::IpScope::kLoopback:
    case wire::IpScope::kLinkLocal:
      return false;
    default:
      break;
  }
  if (!config_.bind.empty()) {
    return std::any_of(config_.bind.begin(), config_.bind.end(),
                       [&](const auto& b) { return b.same_ip(a.address); });
  }
  for (const char* prefix : {"lo", "zt", "tun", "tap"}) {
    if (a.interface.starts_with(prefix)) return false;
  }
  for (const UnderlayPortConfig& port : config_.ports) {
    if (a.interface == port.mirror) return false;
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
  if (config_.sockets) {
    const auto addresses = netlink_.addresses();
    if (!addresses) return std::unexpected(addresses.error());
    for (const auto& a : *addresses) {
      if (usable(a)) wanted.push_back({0, a.address.with_port(config_.port), a.interface, a.index});
    }
  }
  const std::size_t before = sockets_.size();
  std::erase_if(sockets_, [&](const auto& s) {
    return std::none_of(wanted.begin(), wanted.end(), [&](const auto& w) { return s->serves(w); });
  });
  bool changed = sockets_.size() != before;
  for (tap::LocalAddress& address : wanted) {
    if (std::any_of(sockets_.begin(), sockets_.end(),
                    [&](const auto& s) { return s->serves(address); })) {
      continue;
    }
    address.id = next_id_;
    auto socket = tap::UdpSocket::open(address);
    if (!socket) {
      failures_.push_back(socket.error().text);
      continue;
    }
    ++next_id_;
    sockets_.push_back(std::move(*socket));
    changed = true;
  }
  return changed;
}

std::shared_ptr<dataplane::Port> Underlay::port() const {
  return std::make_shared<tap::SocketPort>(sockets_, pools_.wire, pools_.frame);
}

std::vector<control::LocalEndpoint> Underlay::endpoints() const {
  std::vector<control::LocalEndpoint> all;
  for (const auto& s : sockets_) all.push_back({s->local().id, s->local().address});
  return all;
}

std::vector<fib::LocalSocket> Underlay::sockets_of(std::uint8_t family) const {
  std::vector<fib::LocalSocket> ids;
  for (const auto& s : sockets_) {
    if (s->local().address.family == family) ids.push_back(s->local().id);
  }
  return ids;
}

}  // namespace orrery::service
