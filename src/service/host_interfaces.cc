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

void HostInterfaces::apply(Host& host) {
  const std::string& name = host.port->name();
  const control::ConfigurePort& wanted = host.wanted;
  std::string problems;
  const auto failed = [&](const std::string& what, const Error& error) {
    problems += (problems.empty() ? "" : "; ") + what + ": " + error.text;
  };
  for (const auto& route : host.routes) {
    if (contains(wanted.routes, route)) continue;
    if (auto r = netlink_.remove_route(name, route.target, route.via, route.metric); !r)
      failed("cannot remove the route to " + wire::to_string(route.target), r.error());
  }
  for (const auto& address : host.addresses) {
    if (contains(wanted.addresses, address)) continue;
    if (auto r = netlink_.remove_address(name, address); !r)
      failed("cannot remove the address " + wire::to_string(address), r.error());
  }
  if (auto r = netlink_.set_link(name, wanted.mtu, true); !r)
    failed("cannot set " + name + " up with MTU " + std::to_string(wanted.mtu), r.error());
  // A matter of speed alone, and kernels before 4.16 do not take it.
  (void)netlink_.set_superframe_limit(name, tap::superframe_limit(wanted.mtu));
  host.addresses.clear();
  for (const auto& address : wanted.addresses) {
    if (auto r = netlink_.add_address(name, address)) {
      host.addresses.push_back(address);
    } else {
      failed("cannot add the address " + wire::to_string(address), r.error());
    }
  }
  // Invariant 1: `routes` holds what we added and no more, so nobody else's route is removed.
  std::vector<control::ConfigurePort::Route> ours;
  std::swap(ours, host.routes);
  for (const auto& route : wanted.routes) {
    if (auto added = netlink_.add_route(name, route.target, route.via, route.metric)) {
      if (*added || contains(ours, route)) host.routes.push_back(route);
    } else {
      failed("cannot add the route to " + wire::to_string(route.target), added.error());
    }
  }
  host.problems = problems;
}

Result<std::shared_ptr<tap::Tap>> HostInterfaces::open(const control::ConfigurePort& wanted) {
  if (const auto it = retired_.find(wanted.network); it != retired_.end()) {
    const Retired retired = it->second;
    retired_.erase(it);
    const auto port = retired.port.lock();
    if (port && retired.mac == wanted.mac && !port->lost()) {
      const auto state = tap::link_state(port->index());
      if (state && state->name == port->name()) return port;
    }
  }
  std::string name;
  for (unsigned collision = 0; collision < kMostCollisions; ++collision) {
    name = tap::device_name(wanted.network, collision);
    if (::if_nametoindex(name.c_str()) == 0) break;
  }
  return tap::Tap::open(wanted.network, {name, wanted.mac}, workers_, pools_.wire, pools_.frame);
}

bool HostInterfaces::bring_up(Host& host) {
  const bool fresh = !host.port;
  if (fresh) {
    host.addresses.clear();
    host.routes.clear();
    auto port = open(host.wanted);
    if (!port) {
      host.problems = port.error().text;
      return false;
    }
    host.port = std::move(*port);
  }
  apply(host);
  return fresh;
}

void HostInterfaces::take_down(Host& host) {
  // The device lives until the worker has let go of it: until then it must not attract packets.
  host.wanted.addresses.clear();
  host.wanted.routes.clear();
  apply(host);
  (void)netlink_.set_link(host.port->name(), host.wanted.mtu, false);
  retired_[host.wanted.network] = {host.port, host.wanted.mac};
}

HostInterfaces::Change HostInterfaces::configure(const control::ConfigurePort& wanted) {
  Change change;
  const auto it = hosts_.find(wanted.network);
  if (wanted.remove) {
    if (it != hosts_.end()) {
      change.ports_changed = it->second.port != nullptr;
      if (it->second.port) take_down(it->second);
      hosts_.erase(it);
    }
    change.reports.push_back({wanted.network, true, {}});
    return change;
  }
  if (without_tap_.contains(wanted.network)) {
    change.reports.push_back({wanted.network, true, {}});
    return change;
  }
  Host& host = hosts_[wanted.network];
  host.wanted = wanted;
  change.ports_changed = bring_up(host);
  change.reports.push_back({wanted.network, host.port != nullptr, host.problems});
  return change;
}

HostInterfaces::Fault HostInterfaces::fault_of(const Host& host) {
  const std::string& name = host.port->name();
  const auto state = tap::link_state(host.port->index());
  if (!state || host.port->lost()) return {"the interface " + name + " was removed", true, {}};
  if (state->name != name)
    return {"the interface " + name + " was renamed to " + state->name, true, state->name};
  if (!state->up) return {"the interface " + name + " was set down", false, {}};
  if (state->mtu != host.wanted.mtu)
    return {"the MTU of " + name + " was set to " + std::to_string(state->mtu), false, {}};
  return {};
}

HostInterfaces::Change HostInterfaces::resync(Millis now) {
  Change change;
  if (now < next_watch_) return change;
  next_watch_ = now + kWatchInterval;
  const bool all = now >= next_sync_;
  if (all) next_sync_ = now + kSyncInterval;
  std::erase_if(retired_, [](const auto& entry) { return entry.second.port.expired(); });
  for (auto& [network, host] : hosts_) {
    const std::string before = host.problems;
    const Fault fault = host.port ? fault_of(host) : Fault{};
    if (fault.gone) {
      // Under another name it would keep the routes from the new one until the worker has let go
      // of it.
      if (!fault.renamed.empty()) (void)netlink_.set_link(fault.renamed, host.wanted.mtu, false);
      host.port = nullptr;
      change.ports_changed = true;
    }
    if (host.port && fault.text.empty() && !all) continue;
    change.ports_changed |= bring_up(host);
    if (fault.text.empty() && host.problems == before) continue;
    std::string text = fault.text;
    if (!host.problems.empty()) text += (text.empty() ? "" : "; ") + host.problems;
    if (text.empty()) text = "addresses and routes are in place";
    change.reports.push_back({network, host.port != nullptr, text});
  }
  return change;
}

std::vector<wire::MulticastGroup> HostInterfaces::subscriptions(wire::NetworkId network) {
  std::vector<wire::MulticastGroup> groups;
  const auto it = hosts_.find(network);
  if (it == hosts_.end() || !it->second.port) return groups;
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
  return it == hosts_.end() || !it->second.port ? std::string() : it->second.port->name();
}

std::vector<dataplane::FramePortQueues> HostInterfaces::ports() const {
  std::vector<dataplane::FramePortQueues> all;
  for (const auto& [id, host] : hosts_) {
    if (!host.port) continue;
    const auto queues = tap::Tap::queues(host.port);
    all.emplace_back(queues.begin(), queues.end());
  }
  return all;
}

}  // namespace orrery::service
