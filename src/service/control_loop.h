// The driver of control: the one place that joins clock, entropy, rings, files and host interfaces
// with control::Node.
//
// One thread runs it. Order of every turn: commands and punts in, tick, then the effects out: table
// updates before packets, state files in the background except those of an operator's command,
// whose answer never precedes them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "control/network.h"
#include "control/node.h"
#include "dataplane/lan_port.h"
#include "dataplane/publisher.h"
#include "service/background.h"
#include "service/command_queue.h"
#include "service/home.h"
#include "service/host_interfaces.h"
#include "service/tcp_fallback.h"
#include "service/underlay.h"
#include "service/worker_team.h"

namespace orrery::service {

class ControlLoop {
 public:
  ControlLoop(const Config& config, Home& home, const dataplane::Pools& pools, WorkerTeam& workers,
              dataplane::Publisher& publisher, tap::Netlink& netlink, control::Node& node,
              control::Networks& networks);
  ~ControlLoop();

  /// Called after every input, before its effects are carried out, and in every turn.
  using Settle = std::function<void()>;

  void set_settle(Settle settle) { settle_ = std::move(settle); }

  /// Takes in what other threads have done for control; called every turn, and soon after wake().
  /// True: there is more.
  using TakeIn = std::function<bool(Now, control::Effects&)>;

  void set_take_in(TakeIn take_in) { take_in_ = std::move(take_in); }

  /// From any thread.
  void wake() { dataplane::ControlLink::signal(wake_fd_); }

  /// The queues of one LAN port: one a worker, or as many of the first workers as there are.
  using LanPortQueues = std::vector<std::shared_ptr<dataplane::LanPort>>;

  /// LAN ports of the configuration, in its order; before run(). False: a static entry found no
  /// place, as when there are too many.
  [[nodiscard]] bool set_lan_ports(std::vector<LanPortQueues> ports);

  /// DPDK ports of the underlay; before run().
  void set_underlay_ports(std::vector<std::unique_ptr<UnderlayPort>> ports);

  /// Joins the networks of the home directory and of the configuration, then runs until stop().
  void run();
  void stop();

  /// From any thread: runs `command` on the control thread and waits until its effects are carried
  /// out and on disk. False when the loop is stopping. Throws what the command threw, and
  /// std::runtime_error when what it changed could not be written yet.
  bool invoke(const CommandQueue::Command& command);

  /// The node asked for a new identity.
  [[nodiscard]] bool identity_collided() const { return identity_collided_; }

  [[nodiscard]] HostInterfaces& hosts() { return hosts_; }

  /// Addresses that the underlay's sockets are bound to.
  [[nodiscard]] std::vector<wire::Endpoint> listening() const;

  /// What a port carried, of all its queues.
  struct PortCount {
    std::string name;
    bool underlay = false;  // datagrams; else frames
    dataplane::PortCounts counts;
  };

  [[nodiscard]] std::vector<PortCount> port_counts() const;

  /// Whether a TCP connection to a relay carries what UDP does not.
  [[nodiscard]] bool tunneled() const { return fallback_.active(); }

  /// Counters of every port, for the API.
  [[nodiscard]] nlohmann::json ports() const;

  /// What control had for a worker and found its ring full or no packet buffer.
  [[nodiscard]] std::uint64_t ring_drops() const { return ring_drops_; }

  /// Records that found no room in the workers' tables.
  [[nodiscard]] std::uint64_t refused_records() const { return publisher_.refused(); }

  [[nodiscard]] const dataplane::Publisher& publisher() const { return publisher_; }

  [[nodiscard]] static Now now();

 private:
  struct BridgedNetwork {
    std::shared_ptr<dataplane::LanSwitch> lan;
    std::vector<LanPortQueues> ports;
    std::vector<unsigned> numbers;  // in the switch (1, 2, ...), of the ports with a loop guard
  };

  /// Calls each(name, queues, underlay, network, number) for every port; `network` is that of a LAN
  /// port, else null.
  template <typename Each>
  void each_port(Each each) const;
  void watch(int fd);
  [[nodiscard]] bool is_link(int fd) const;
  void start_networks();
  void take_commands();
  bool take_punts();
  void take_punt(Now at, const rte_mbuf* m);
  enum class Saves : std::uint8_t { kInBackground, kOnDisk };

  /// False: something that `kOnDisk` asked for could not be written yet.
  bool carry_out(Saves saves = Saves::kInBackground);
  bool save(std::vector<control::SaveState>& states, Saves saves);
  void send(const control::Datagram& datagram);
  void send_from(fib::LocalSocket socket, const control::Datagram& datagram);
  void deliver(const control::DeliverFrame& frame);
  void refresh_host(Now now);
  void serve_fallback(Now at);
  /// Local sockets of all kinds.
  [[nodiscard]] std::vector<control::LocalEndpoint> endpoints() const;
  void on_hosts_changed(Now at, const HostInterfaces::Change& change);
  void hand_over_ports();
  [[nodiscard]] BridgedNetwork* bridged(wire::NetworkId network);
  /// What control learned of stations behind remote bridges is the switches' to know, too.
  void block(const control::BlockPort& change);
  void tell_switch(const fib::Update& update);

  const Config& config_;
  Home& home_;
  dataplane::Pools pools_;
  WorkerTeam& workers_;
  dataplane::Publisher& publisher_;
  control::Node& node_;
  control::Networks& networks_;
  HostInterfaces hosts_;
  Underlay underlay_;
  TcpFallback fallback_;
  dataplane::PortQueues sockets_;
  std::vector<LanPortQueues> lan_ports_;
  std::vector<BridgedNetwork> bridged_;
  Settle settle_;
  TakeIn take_in_;
  control::Effects effects_;
  std::unique_ptr<Saver> saver_;
  std::unique_ptr<Validator> validator_;
  CommandQueue commands_;
  std::mutex mutex_;
  std::vector<std::pair<wire::Identity, bool>> validated_;
  std::atomic<bool> stop_{false};
  bool identity_collided_ = false;
  bool sockets_changed_ = false;
  bool pushed_ = false;  // something lies on a ring to a worker
  int epoll_ = -1;
  int wake_fd_ = -1;
  Millis next_sockets_ = 0;
  Millis next_subscriptions_ = 0;
  Millis next_stations_ = 0;
  std::uint64_t ring_drops_ = 0;
};

}  // namespace orrery::service
