// A TCP connection to a relay as an underlay port, for hosts that have no UDP: what is sent here
// leaves the relay as datagrams, and what comes to the relay's UDP port for us comes in here.
//
// One local socket to the rest of the node, of a number of its own. The thread that opens it never
// waits: the worker that owns the port sees to the connection as it sees to everything else, and
// when it is gone the port stays, empty, until another set of ports replaces it. Datagrams that the
// connection does not take at once are kept, up to a bound, and dropped beyond it, as at a full
// socket. Framing: wire/tunnel.h.
#pragma once

#include <atomic>
#include <memory>

#include "base/result.h"
#include "dataplane/port.h"
#include "wire/tunnel.h"

struct rte_mempool;

namespace orrery::tap {

class TunnelPort final : public dataplane::Port {
 public:
  static constexpr std::size_t kMostPending = 256 * 1024;  // bytes that wait for the connection

  enum class State : std::uint8_t { kConnecting, kOpen, kClosed };

  /// Begins to connect. `id`: the number that paths name it by.
  static Result<std::shared_ptr<TunnelPort>> open(fib::LocalSocket id, const wire::Endpoint& relay,
                                                  rte_mempool* small, rte_mempool* large);
  TunnelPort(const TunnelPort&) = delete;
  TunnelPort& operator=(const TunnelPort&) = delete;
  ~TunnelPort() override;

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override;
  void send(rte_mbuf** in, std::uint16_t n) noexcept override;

  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override { return socket == id_; }

  [[nodiscard]] std::vector<int> wait_fds() const override { return {epoll_}; }

  [[nodiscard]] const dataplane::PortCounters& counters() const noexcept override {
    return counters_;
  }

  // --- from any thread
  [[nodiscard]] State state() const noexcept { return state_.load(std::memory_order_acquire); }

  /// errno of the end of the connection; 0: the relay closed it, or sent what is none of this.
  [[nodiscard]] int error() const noexcept { return error_.load(std::memory_order_acquire); }

  /// The address that it leaves this host by.
  [[nodiscard]] const wire::Endpoint& local() const noexcept { return local_; }

 private:
  TunnelPort(fib::LocalSocket id, int fd, int epoll, rte_mempool* small, rte_mempool* large);

  void advance() noexcept;
  void close(int error) noexcept;
  void flush() noexcept;
  void wait_for(bool room) noexcept;
  /// False: nothing more comes now.
  bool fill() noexcept;
  [[nodiscard]] rte_mbuf* datagram_of(Bytes message) noexcept;
  [[nodiscard]] MutableBytes pending_room() noexcept;

  fib::LocalSocket id_;
  int fd_;
  int epoll_;  // holds fd_ while it lives, so that a dead connection wakes nobody
  wire::Endpoint local_;
  rte_mempool* small_;
  rte_mempool* large_;
  std::atomic<State> state_{State::kConnecting};
  std::atomic<int> error_{0};
  bool waits_for_room_ = true;
  wire::TunnelStream stream_;
  std::unique_ptr<std::uint8_t[]> pending_;
  std::size_t begin_ = 0, end_ = 0;  // of what waits in it
  dataplane::PortCounters counters_;
};

}  // namespace orrery::tap
