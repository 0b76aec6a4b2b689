#include "service/host_interfaces.h"

#include <net/if.h>

#include <algorithm>

namespace orrery::service {
namespace {

constexpr unsigned kMostCollisions = 16;  // other interfaces that may bear our names

template <typename T>
bool contains(const std::vector<T>& items, const T& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

}  // namespace

Result<void> HostInterfaces::apply(Host& host, const control::ConfigurePort& wanted) {
  const std::string& name = host.port->name();
  const control::ConfigurePort before = host.applied;
  for (const auto& route : before.routes) {
    if (!contains(wanted.routes, route))
      (void)netlink_.remove_route(name, route.target, route.via, route.metric);
  }
  for (const auto& address : before.addresses) {
    if (!contains(wanted.addresses, address)) (void)netlink_.remove_address(name, address);
  }
  if (auto r = netlink_.set_link(name, wanted.mtu, true); !r) return r;
  host.applied.mtu = wanted.mtu;
  host.applied.addresses.clear();
  host.applied.routes.clear();
  for (const auto& address : wanted.addresses) {
    if (auto r = netlink_.add_address(name, address); !r) return r;
    host.applied.addresses.push_back(address);
  }
  for (const auto& route : wanted.routes) {
    if (auto r = netlink_.add_route(name, route.target, route.via, route.metric); !r) return r;
    host.applied.routes.push_back(route);
  }
  return {};
}

Result<bool> HostInterfaces::configure(const control::ConfigurePort& wanted) {
  if (wanted.remove) return hosts_.erase(wanted.network) != 0;
  if (without_tap_.contains(wanted.network)) return false;
  auto it = hosts_.find(wanted.network);
  const bool fresh = it == hosts_.end();
  if (fresh) {
    std::string name;
    for (unsigned collision = 0; collision < kMostCollisions; ++collision) {
      name = tap::device_name(wanted.network, collision);
      if (::if_nametoindex(name.c_str()) == 0) break;
    }
    auto device = tap::Device::open({name, wanted.mac, true});
    if (!device) return std::unexpected(device.error());
    auto port = std::make_shared<tap::TapPort>(wanted.network, std::move(*device), pools_.wire,
                                               pools_.frame);
    it = hosts_.emplace(wanted.network, Host{std::move(port), {}}).first;
  }
  if (auto r = apply(it->second, wanted); !r) return std::unexpected(r.error());
  return fresh;
}

std::vector<wire::MulticastGroup> HostInterfaces::subscriptions(wire::NetworkId network) {
  std::vector<wire::MulticastGroup> groups;
  const auto it = hosts_.find(network);
  if (it == hosts_.end()) return groups;
  const std::string& name = it->second.port->name();
  for (const wire::Mac mac : tap::joined_multicast(name)) groups.push_back({mac, 0});
  if (const auto addresses = netlink_.addresses()) {
    for (const auto& a : *addresses) {
      if (a.interface == name) groups.push_back(wire::resolution_group(a.address));
    }
  }
  return groups;
}

std::string HostInterfaces::device_of(wire::NetworkId network) const {
  const auto it = hosts_.find(network);
  return it == hosts_.end() ? std::string() : it->second.port->name();
}

std::vector<std::shared_ptr<dataplane::FramePort>> HostInterfaces::ports() const {
  std::vector<std::shared_ptr<dataplane::FramePort>> all;
  for (const auto& [id, host] : hosts_) all.push_back(host.port);
  return all;
}

}  // namespace orrery::service
