// Kernel UDP sockets as an underlay port: one socket per local address, segmentation offloads both
// ways.
//
// Receive: UDP_GRO hands over up to 64 KB of equal datagrams per call, which are cut into mbufs.
// Send: consecutive mbufs of one destination and size become one UDP_SEGMENT call. Datagrams up to
// 10,024 bytes are received (IP fragments are the kernel's). One worker owns it; a changed set of
// addresses is a new SocketPort.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "dataplane/port.h"

struct rte_mempool;

namespace orrery::tap {

/// A local address and UDP port to bind, with the number that paths name it by.
struct LocalAddress {
  fib::LocalSocket id = 0;
  wire::Endpoint address;
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

/// A bound UDP socket. Shared, so that a new SocketPort takes over those that stay.
class UdpSocket {
 public:
  static Result<std::shared_ptr<UdpSocket>> open(const LocalAddress& local);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] const LocalAddress& local() const { return local_; }

 private:
  UdpSocket(int fd, const LocalAddress& local) : fd_(fd), local_(local) {}

  int fd_;
  LocalAddress local_;
};

class SocketPort final : public dataplane::Port {
 public:
  /// `small` for datagrams up to its room, `large` for bigger ones.
  SocketPort(std::vector<std::shared_ptr<UdpSocket>> sockets, rte_mempool* small,
             rte_mempool* large);
  ~SocketPort() override;

  std::uint16_t receive(rte_mbuf** out, std::uint16_t n) noexcept override;
  void send(rte_mbuf** in, std::uint16_t n) noexcept override;
  [[nodiscard]] bool owns(fib::LocalSocket socket) const noexcept override;
  [[nodiscard]] std::vector<int> wait_fds() const override;

  [[nodiscard]] const dataplane::PortCounters& counters() const noexcept override {
    return counters_;
  }

 private:
  struct Buffer;

  [[nodiscard]] const UdpSocket* find(fib::LocalSocket id) const noexcept;
  bool fill(const UdpSocket& socket) noexcept;
  std::uint16_t cut(rte_mbuf** out, std::uint16_t n) noexcept;
  void send_run(const UdpSocket& socket, rte_mbuf** run, unsigned n) noexcept;

  std::vector<std::shared_ptr<UdpSocket>> sockets_;
  rte_mempool* small_;
  rte_mempool* large_;
  std::unique_ptr<Buffer> buffer_;  // what one receive call brought and is not handed out yet
  std::size_t next_socket_ = 0;
  bool segment_ = true;  // UDP_SEGMENT works here
  dataplane::PortCounters counters_;
};

}  // namespace orrery::tap
