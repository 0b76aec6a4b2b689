// The relay that this daemon offers to nodes without UDP ([tcp_relay]): each TCP connection gets a
// UDP socket of its own, and what comes at either end leaves at the other.
//
// A thread of its own, which waits for nothing but its descriptors, so a slow or hostile node costs
// others nothing but its share. What may pass is control/tcp_relay.h's to say; what is dropped or
// closed is counted by reason. A connection holds at most kMostPending bytes for a node that does
// not read, and the streams and destinations that it is in the middle of. The UDP socket has the
// address that the node connected to, so that answers find it where the Internet sees the relay.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/tcp_relay.h"
#include "service/config.h"

namespace orrery::service {

class TcpRelay {
 public:
  static constexpr std::size_t kMostPending = 128 * 1024;  // bytes that wait for one node

  /// Listens, and serves from now on. `node_port`: the only port of this host's own addresses that
  /// datagrams may go to.
  static Result<std::unique_ptr<TcpRelay>> start(const TcpRelayConfig& config,
                                                 std::uint16_t node_port);
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;
  ~TcpRelay();

  /// From any thread.
  [[nodiscard]] std::size_t connections() const {
    return connections_.load(std::memory_order_relaxed);
  }

  /// What it carried and why it did not, since it began: label and count. From any thread.
  [[nodiscard]] std::vector<std::pair<const char*, std::uint64_t>> counters() const;

  /// Where it listens, with the ports that the system chose.
  [[nodiscard]] const std::vector<wire::Endpoint>& listening() const { return listening_; }

 private:
  class Server;

  TcpRelay() = default;

  struct Counts {
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(control::TcpRelayDrop::kCount)>
        drops{};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> from_nodes{0}, from_nodes_bytes{0};  // datagrams that left by UDP
    std::atomic<std::uint64_t> to_nodes{0}, to_nodes_bytes{0};      // and that came by it
  };

  Counts counts_;
  std::atomic<std::size_t> connections_{0};
  std::vector<wire::Endpoint> listening_;
  std::unique_ptr<Server> server_;
  int wake_fd_ = -1;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace orrery::service
