#include "service/underlay_port.h"

#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "dataplane/ethdev.h"

namespace orrery::service {
namespace {

constexpr Millis kSettle = 20;           // announcements come in swarms; one read for each
constexpr Millis kAskAgain = 1'000;      // for a next hop that does not answer
constexpr Millis kProbe = 30'000;        // neighbours in use are asked whether they are there
constexpr Millis kLook = 250;            // the worker's wishes have no descriptor
constexpr std::size_t kAsked = 256;      // next hops looked for at once; the rest waits
constexpr std::uint32_t kMetric = 1024;  // does not replace a default route that is there

/// MTU and state of the kernel's interface behind a vdev, as far as it tells.
std::string link_setting(const std::string& interface, const char* name) {
  std::string value;
  std::ifstream("/sys/class/net/" + interface + "/" + name) >> value;
  return value;
}

/// Datagrams to this address must come in and go out over the mirror, or those that a device merely
/// copied would come twice.
void bind_to(const tap::UdpSocket& socket, const std::string& interface) {
  if (::setsockopt(socket.fd(), SOL_SOCKET, SO_BINDTODEVICE, interface.data(),
                   static_cast<socklen_t>(interface.size())) != 0) {
    spdlog::warn("cannot bind a socket to {}: {}", interface, std::strerror(errno));
  }
}

}  // namespace

std::expected<std::unique_ptr<UnderlayPort>, PortError> UnderlayPort::open(
    const UnderlayPortConfig& config, std::uint16_t udp_port, tap::Netlink& netlink,
    const dataplane::Pools& pools, std::uint16_t workers) {
  const auto refuse = [](const char* key, Error error) {
    return std::unexpected(PortError{std::string("underlay.port.") + key, std::move(error)});
  };
  if (::if_nametoindex(config.mirror.c_str()) != 0) {
    return refuse("mirror", {Errc::kExists, "there is an interface " + config.mirror +
                                                " already; expected a name that is free"});
  }
  const std::string interface = dataplane::interface_of(config.device);
  std::unique_ptr<QuietInterface> quiet;
  if (!interface.empty()) {
    const auto all = netlink.addresses();
    if (!all) return refuse("device", all.error());
    const bool bears = std::any_of(all->begin(), all->end(), [&](const auto& a) {
      return a.interface == interface && wire::scope_of(a.address) != wire::IpScope::kLinkLocal;
    });
    if (bears) {
      spdlog::warn(
          "{} has addresses of its own while \"{}\" takes its frames; addresses belong on the "
          "mirror {}",
          interface, config.device, config.mirror);
    } else if (config.device.starts_with("net_af_packet")) {
      quiet = std::make_unique<QuietInterface>(interface);
    }
    if (link_setting(interface, "operstate") == "down")
      spdlog::warn("{} is down; \"{}\" carries nothing until it is up", interface, config.device);
  }

  auto queues = dataplane::EthdevPort::open(config.device, pools, workers);
  if (!queues) return refuse("device", queues.error());
  const dataplane::EthdevPort& first = *queues->front();
  auto mirror = tap::Tap::open(wire::NetworkId{}, {config.mirror, first.mac()},
                               static_cast<unsigned>(queues->size()), pools.wire, pools.frame);
  if (!mirror) return refuse("mirror", mirror.error());
  auto mirrors = tap::Tap::queues(*mirror);
  if (mirrors.size() < queues->size()) {
    spdlog::warn("the kernel gives {} one queue, so that one worker serves \"{}\"", config.mirror,
                 config.device);
    queues->clear();
    mirrors.clear();
    mirror->reset();
    quiet.reset();
    return open(config, udp_port, netlink, pools, 1);
  }
  const std::string mtu = link_setting(interface, "mtu");
  for (std::size_t q = 0; q < queues->size(); ++q) {
    (*queues)[q]->set_mirror(mirrors[q]);
    if (!interface.empty() && !mtu.empty())
      (*queues)[q]->limit_mtu(static_cast<std::uint16_t>(std::min(std::stoul(mtu), 65535UL)));
  }
  if (auto r = netlink.set_link(config.mirror, first.mtu(), true); !r)
    return refuse("mirror", r.error());
  for (const wire::Endpoint& address : config.addresses) {
    if (auto r = netlink.add_address(config.mirror, address); !r) {
      return refuse("addresses",
                    {r.error().code, wire::to_string(address) + ": " + r.error().text});
    }
  }
  if (config.gateway) {
    wire::Endpoint everywhere;
    everywhere.family = config.gateway.family;
    if (auto r = netlink.add_route(config.mirror, everywhere, config.gateway, kMetric); !r) {
      return refuse("gateway",
                    {r.error().code, wire::ip_to_string(config.gateway) + ": " + r.error().text});
    }
  }
  auto hops = tap::NextHops::open(config.mirror);
  if (!hops) return refuse("mirror", hops.error());
  return std::unique_ptr<UnderlayPort>(new UnderlayPort(
      udp_port, pools, std::move(*queues), std::move(*mirror), std::move(*hops), std::move(quiet)));
}

bool UnderlayPort::set_addresses(const std::vector<wire::Endpoint>& addresses,
                                 fib::LocalSocket& next_id, std::vector<std::string>& failures) {
  const auto wanted = [&](const wire::Endpoint& local) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const auto& a) { return a.same_ip(local); });
  };
  const std::size_t before = locals_.size(), sockets_before = sockets_.size();
  std::erase_if(locals_, [&](const auto& l) { return !wanted(l.address); });
  std::erase_if(sockets_, [&](const auto& s) { return !wanted(s.front()->local().address); });
  bool changed = locals_.size() != before;
  bool sockets_changed = sockets_.size() != sockets_before;
  for (const wire::Endpoint& a : addresses) {
    const wire::Endpoint address = a.with_port(udp_port_);
    auto local = std::find_if(locals_.begin(), locals_.end(),
                              [&](const auto& l) { return l.address == address; });
    if (local == locals_.end()) {
      local = locals_.insert(locals_.end(), {next_id++, address});
      changed = true;
    }
    if (std::any_of(sockets_.begin(), sockets_.end(),
                    [&](const auto& s) { return s.front()->local().id == local->id; })) {
      continue;
    }
    auto sockets = tap::UdpSocket::open_shared({local->id, address, {}, 0},
                                               static_cast<unsigned>(queues_.size()));
    if (!sockets) {
      failures.push_back(sockets.error().text);
      continue;
    }
    for (const auto& socket : *sockets) bind_to(*socket, mirror());
    sockets_.push_back(std::move(*sockets));
    sockets_changed = true;
  }
  if (sockets_changed)
    kernel_ = tap::socket_ports(sockets_, queues_.size(), pools_.wire, pools_.frame);
  if (changed || sockets_changed) {
    stale_ = true;
    next_read_ = 0;
  }
  return changed;
}

std::vector<control::LocalEndpoint> UnderlayPort::endpoints() const {
  std::vector<control::LocalEndpoint> all;
  for (const auto& l : locals_) all.push_back({l.id, l.address, mtu(), mirror()});
  return all;
}

void UnderlayPort::read_hops() {
  const auto routes = hops_.routes();
  const auto neighbours = hops_.neighbours();
  if (!routes || !neighbours) {
    spdlog::error("{}: {}", mirror(), (routes ? neighbours.error() : routes.error()).text);
    return;
  }
  routes_.clear();
  for (const auto& r : *routes) routes_.push_back({r.target, r.gateway});
  neighbours_.clear();
  for (const auto& n : *neighbours) {
    neighbours_.push_back({n.ip, n.mac});
    asked_.erase(n.ip);
  }
}

void UnderlayPort::hand_over() {
  for (std::size_t q = 0; q < queues_.size(); ++q) hand_over(q);
}

void UnderlayPort::hand_over(std::size_t queue) {
  const dataplane::UnderlayView*& newest = views_[queue];
  auto view = std::make_unique<dataplane::UnderlayView>();
  view->locals = locals_;
  view->routes = routes_;
  view->neighbours = neighbours_;
  if (queue < kernel_.size()) view->kernel = kernel_[queue];
  dataplane::sort_view(*view);
  if (newest != nullptr) {
    if (*newest == *view) return;
    // Marks of use move along; one that the worker sets just now comes again with its next packet.
    auto old = newest->neighbours.begin();
    for (auto& n : view->neighbours) {
      while (old != newest->neighbours.end() && old->ip < n.ip) ++old;
      if (old != newest->neighbours.end() && *old == n)
        n.used = dataplane::UnderlayView::take_used(*old) ? 1 : 0;
    }
  }
  newest = view.get();
  queues_[queue]->hand_over(std::move(view));
}

void UnderlayPort::resolve(Millis now) {
  std::erase_if(asked_, [&](const auto& a) { return now - a.second >= kAskAgain; });
  const auto ask = [&](const wire::Endpoint& hop) {
    if (const auto r = hops_.resolve(hop); !r) spdlog::debug("{}: {}", mirror(), r.error().text);
  };
  for (const auto& queue : queues_) {
    for (const wire::Endpoint& hop : queue->take_wanted()) {
      if (asked_.size() >= kAsked || !asked_.emplace(hop, now).second) continue;
      ask(hop);
      stale_ = true;  // known by now, perhaps
    }
  }
  if (now < next_probe_) return;
  next_probe_ = now + kProbe;
  // The kernel sees none of the workers' traffic, so that it would keep a neighbour that has moved.
  std::vector<wire::Endpoint> used;
  for (const dataplane::UnderlayView* view : views_) {
    if (view == nullptr) continue;
    for (const auto& n : view->neighbours) {
      if (dataplane::UnderlayView::take_used(n)) used.push_back(n.ip);
    }
  }
  std::ranges::sort(used);
  used.erase(std::ranges::unique(used).begin(), used.end());
  for (const wire::Endpoint& hop : used) ask(hop);
}

bool UnderlayPort::serve(Millis now) {
  served_ = now;
  const tap::NextHops::Changes changes = hops_.changes();
  stale_ |= changes.hops;
  resolve(now);
  if (stale_ && now >= next_read_) {
    stale_ = false;
    next_read_ = now + kSettle;
    read_hops();
    hand_over();
  }
  return changes.addresses;
}

Millis UnderlayPort::next_deadline() const {
  return stale_ ? next_read_ : served_ + kLook;
}

}  // namespace orrery::service
