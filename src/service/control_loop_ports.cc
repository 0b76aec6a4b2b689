// Ports of all kinds: who of the workers has which, the switches between LAN ports, and what the
// API shows of them.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "service/control_loop.h"

namespace orrery::service {
namespace {

std::string name_of(const dataplane::LanPort& port) {
  return port.vlan() == 0 ? port.name() : port.name() + " vlan " + std::to_string(port.vlan());
}

template <typename Queues>
dataplane::PortCounts sum_of(const Queues& queues) {
  dataplane::PortCounts sum;
  for (const auto& queue : queues) sum += queue->counters();
  return sum;
}

}  // namespace

void ControlLoop::set_underlay_ports(std::vector<std::unique_ptr<UnderlayPort>> ports) {
  underlay_.set_ports(std::move(ports));
  for (const int fd : underlay_.fds()) watch(fd);
}

bool ControlLoop::set_lan_ports(std::vector<LanPortQueues> ports) {
  lan_ports_ = std::move(ports);
  bool all = true;
  for (std::size_t i = 0; i < lan_ports_.size(); ++i) {
    const wire::NetworkId network = lan_ports_[i].front()->network();
    BridgedNetwork* net = bridged(network);
    if (net == nullptr) {
      bridged_.push_back(
          {std::make_shared<dataplane::LanSwitch>(network, node_.self().address(),
                                                  dataplane::table_hash_key(), config_.stations),
           {},
           {}});
      net = &bridged_.back();
    }
    net->ports.push_back(lan_ports_[i]);
    if (config_.bridges[i].options.loop_guard)
      net->numbers.push_back(static_cast<unsigned>(net->ports.size()));
    networks_.set_lan_ports(network, net->numbers);
    all &= net->lan->add_lan_port(static_cast<unsigned>(net->ports.size()),
                                  config_.bridges[i].options);
  }
  return all;
}

ControlLoop::BridgedNetwork* ControlLoop::bridged(wire::NetworkId network) {
  const auto it = std::find_if(bridged_.begin(), bridged_.end(), [&](const BridgedNetwork& net) {
    return net.lan->network() == network;
  });
  return it == bridged_.end() ? nullptr : &*it;
}

void ControlLoop::block(const control::BlockPort& change) {
  BridgedNetwork* net = bridged(change.network);
  if (net == nullptr || change.port == 0 || change.port > net->ports.size()) return;
  net->lan->block(change.port, change.blocked);
  const std::string name = name_of(*net->ports[change.port - 1].front());
  if (change.blocked) {
    spdlog::warn("network {}: LAN port {} (\"{}\") is blocked: {}", wire::to_string(change.network),
                 change.port, name, change.reason);
  } else {
    spdlog::info("network {}: LAN port {} (\"{}\") is open again; it was blocked: {}",
                 wire::to_string(change.network), change.port, name, change.reason);
  }
}

void ControlLoop::tell_switch(const fib::Update& update) {
  if (const auto* route = std::get_if<fib::BridgeRoute>(&update)) {
    if (BridgedNetwork* net = bridged(route->network)) net->lan->add_remote(route->mac, now().mono);
  } else if (const auto* gone = std::get_if<fib::RemoveBridgeRoute>(&update)) {
    if (BridgedNetwork* net = bridged(gone->network)) net->lan->remove_remote(gone->mac);
  }
}

void ControlLoop::hand_over_ports() {
  std::vector<std::unique_ptr<dataplane::PortSet>> sets;
  for (unsigned i = 0; i < workers_.size(); ++i)
    sets.push_back(std::make_unique<dataplane::PortSet>());
  if (sockets_changed_) sockets_ = underlay_.sockets();
  sockets_changed_ = false;
  const auto deal = [&](const auto& queues, auto ports) {
    for (std::size_t i = 0; i < queues.size(); ++i) ((*sets[i]).*ports).push_back(queues[i]);
  };
  deal(sockets_, &dataplane::PortSet::ports);
  deal(fallback_.queues(), &dataplane::PortSet::ports);
  for (const auto& port : underlay_.ports()) deal(port->queues(), &dataplane::PortSet::ports);
  const std::vector<dataplane::FramePortQueues> taps = hosts_.ports();
  for (const auto& queues : taps) deal(queues, &dataplane::PortSet::frame_ports);
  for (const auto& queues : lan_ports_) deal(queues, &dataplane::PortSet::frame_ports);
  for (const BridgedNetwork& net : bridged_) {
    // Numbers of ports: 0 is the TAP, if any, then the LAN ports in the order of the configuration.
    const auto tap = std::find_if(taps.begin(), taps.end(), [&](const auto& queues) {
      return queues.front()->network() == net.lan->network();
    });
    std::uint64_t present = tap != taps.end() ? 1 : 0;
    for (std::size_t i = 1; i <= net.ports.size(); ++i) present |= std::uint64_t{1} << i;
    net.lan->set_ports(present);
    for (std::size_t i = 0; i < sets.size(); ++i) {
      dataplane::SwitchedNetwork switched{net.lan, {nullptr}};
      if (tap != taps.end() && i < tap->size()) switched.ports[0] = (*tap)[i].get();
      for (const LanPortQueues& queues : net.ports)
        switched.ports.push_back(i < queues.size() ? queues[i].get() : nullptr);
      sets[i]->switched.push_back(std::move(switched));
    }
  }
  workers_.hand_over({std::make_move_iterator(sets.begin()), std::make_move_iterator(sets.end())});
}

std::vector<wire::Endpoint> ControlLoop::listening() const {
  std::vector<wire::Endpoint> addresses;
  for (const auto& e : underlay_.endpoints()) addresses.push_back(e.address);
  return addresses;
}

template <typename Each>
void ControlLoop::each_port(Each each) const {
  const BridgedNetwork* none = nullptr;
  if (!sockets_.empty()) each("sockets", sockets_, true, none, 0U);
  if (const auto tunnel = fallback_.queues(); !tunnel.empty())
    each("tcp relay", tunnel, true, none, 0U);
  for (const auto& port : underlay_.ports()) each(port->device(), port->queues(), true, none, 0U);
  for (const auto& queues : hosts_.ports())
    each(hosts_.device_of(queues.front()->network()), queues, false, none, 0U);
  for (const BridgedNetwork& net : bridged_) {
    for (std::size_t i = 0; i < net.ports.size(); ++i) {
      each(name_of(*net.ports[i].front()), net.ports[i], false, &net, static_cast<unsigned>(i + 1));
    }
  }
}

std::vector<ControlLoop::PortCount> ControlLoop::port_counts() const {
  std::vector<PortCount> all;
  each_port([&](const std::string& name, const auto& queues, bool underlay, const BridgedNetwork*,
                unsigned) { all.push_back({name, underlay, sum_of(queues)}); });
  return all;
}

nlohmann::json ControlLoop::ports() const {
  nlohmann::json all = nlohmann::json::array();
  each_port([&](const std::string& name, const auto& queues, bool, const BridgedNetwork* net,
                unsigned number) {
    const dataplane::PortCounts sum = sum_of(queues);
    all.push_back({{"name", name},
                   {"queues", queues.size()},
                   {"rxPackets", sum.rx_packets},
                   {"rxBytes", sum.rx_bytes},
                   {"txPackets", sum.tx_packets},
                   {"txBytes", sum.tx_bytes},
                   {"rxDropped", sum.rx_dropped},
                   {"txDropped", sum.tx_dropped}});
    if (net == nullptr) return;
    const dataplane::LanSwitch::Counts counts = net->lan->counts(number);
    all.back()["bridge"] = {{"network", wire::to_string(net->lan->network())},
                            {"port", number},
                            {"blocked", net->lan->blocked(number)},
                            {"stations", net->lan->stations(number)},
                            {"stationsMoved", counts.moved},
                            {"stationsHeld", counts.held},
                            {"stationsRefused", counts.refused},
                            {"staticMisused", counts.fixed},
                            {"addressesContested", counts.contested}};
  });
  return all;
}

}  // namespace orrery::service
