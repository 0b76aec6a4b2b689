// Kernel UDP sockets as an underlay port: one socket per local address, segmentation offloads both
// ways.
//
// Receive: UDP_GRO hands over up to 64 KB of equal datagrams per call. Where the last call brought
// several, the kernel writes the next right into mbufs that are laid out for datagrams of that
// size; otherwise, and what is beyond them, into a buffer, from which it is cut.
// Send: consecutive mbufs of one destination and size become one UDP_SEGMENT call. Datagrams up to
// 10,024 bytes are received (IP fragments are the kernel's), and sent in fragments where they must
// be, but for those that PacketMeta wants whole: they leave with don't-fragment set. One worker
// owns it; a changed set of addresses is a new SocketPort.
//
// Several workers have a port each, on sockets that share their addresses (SO_REUSEPORT): the
// kernel spreads remote endpoints over them, and all that one endpoint sends goes to one. While
// they are bound, another process of the same user may bind the address the same way and gets a
// share; one that does not ask for sharing, as another daemon of this kind at its start, cannot.
//
// A socket is bound to the interface of its address, so that a route of a joined network (a default
// route, or one that covers a peer's physical address) cannot send our own datagrams into our own
// TAP, nor a peer bring them in by it. The price: a datagram leaves by that interface or not at
// all, also where the host's routes or rules would have sent it out by another. Addresses on lo and
// on dummy interfaces, which carry nothing, are bound by address alone, and so is every address
// where binding to an interface is not permitted; those follow the host's routes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/port.h"

struct rte_mempool;

namespace orrery::tap {

/// What one UDP_SEGMENT call carries: datagrams, and bytes of all of them (below the IP limit with
/// headers).
inline constexpr unsigned kMaxSegments = 64;
inline constexpr std::size_t kMaxSegmented = 65'000;

/// A local address and UDP port to bind, with the number that paths name it by.
struct LocalAddress {
  fib::LocalSocket id = 0;
  wire::Endpoint address;
  std::string interface;  // empty: bound by address alone
  unsigned interface_index = 0;
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

class UdpSocket;
using SharedSockets = std::vector<std::shared_ptr<UdpSocket>>;  // of one address, [worker]

/// A bound UDP socket. Shared, so that a new SocketPort takes over those that stay.
class UdpSocket {
 public:
  static Result<std::shared_ptr<UdpSocket>> open(const LocalAddress& local);
  /// Sockets that share the address. That it is somebody else's already is an error, also when that
  /// one shares.
  static Result<SharedSockets> open_shared(const LocalAddress& local, unsigned sockets);
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  ~UdpSocket();

  [[nodiscard]] int fd() const { return fd_; }

  /// Bytes of the largest IP packet on the interface of its address, now; 0: not known.
  [[nodiscard]] std::uint16_t link_mtu() const;
  /// What is sent from now on is never fragmented by IP, whatever the path is said to carry; or
  /// again fragmented as need be. By the thread that sends.
  void send_whole(bool whole) const;

  [[nodiscard]] const LocalAddress& local() const { return local_; }

  [[nodiscard]] bool bound_to_interface() const { return bound_to_interface_; }

  /// Whether this socket still does for an address as it is now: one that moved to another
  /// interface, or whose interface was made anew, needs another.
  [[nodiscard]] bool serves(const LocalAddress& now) const {
    return local_.address == now.address &&
           (!bound_to_interface_ || local_.interface_index == now.interface_index);
  }

 private:
  enum class Joins : std::uint8_t { kNobody, kThoseThatShare };

  static Result<std::shared_ptr<UdpSocket>> open(const LocalAddress& local, Joins joins);

  UdpSocket(int fd, const LocalAddress& local, bool bound_to_interface)
      : fd_(fd), bound_to_interface_(bound_to_interface), local_(local) {}

  int fd_;
  bool bound_to_interface_;
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
  std::uint16_t lay_out(std::uint16_t n) noexcept;
  bool fill(const UdpSocket& socket, std::uint16_t n) noexcept;
  std::uint16_t cut(rte_mbuf** out, std::uint16_t n) noexcept;
  void send_run(const UdpSocket& socket, rte_mbuf** run, unsigned n) noexcept;

  std::vector<std::shared_ptr<UdpSocket>> sockets_;
  rte_mempool* small_;
  rte_mempool* large_;
  std::unique_ptr<Buffer> buffer_;  // what one receive call brought and is not handed out yet
  std::uint16_t last_filled_ = 1;   // datagrams of the last such call
  std::size_t next_socket_ = 0;
  bool segment_ = true;  // UDP_SEGMENT works here
  dataplane::PortCounters counters_;
};

/// A port for each of `workers`, on its sockets of all `addresses`; none without addresses.
[[nodiscard]] dataplane::PortQueues socket_ports(const std::vector<SharedSockets>& addresses,
                                                 std::size_t workers, rte_mempool* small,
                                                 rte_mempool* large);

}  // namespace orrery::tap
