// Pieces of packets that came by another queue of an underlay port than the rest of them.
//
// A device keeps all datagrams of a remote endpoint in one queue, thus with one worker, so the
// pieces of a packet meet. What IP fragmented on its way comes by the kernel's sockets, which know
// nothing of that queue. So queues remember, by a keyed hash of the endpoint, which of them pieces
// come by, and what the kernel brings goes on with that one, by a ring. An endpoint of whose pieces
// the device has brought none stays where the kernel's own hash puts it, which is one place, too.
// Shared by the workers of a port's queues; lock-free. Weak spot: the first packet of an endpoint
// whose pieces come both ways may be lost.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/siphash.h"
#include "dataplane/packet_meta.h"
#include "wire/endpoint.h"

struct rte_ring;

namespace orrery::dataplane {

class Strays {
 public:
  static constexpr unsigned kMaxQueues = 255;

  /// `port`: DPDK's id, of which there is one at a time.
  static Result<std::shared_ptr<Strays>> open(std::uint16_t port, unsigned queues, SipKey key);
  Strays(const Strays&) = delete;
  Strays& operator=(const Strays&) = delete;
  ~Strays();

  /// These came by this queue of the device.
  void heard(unsigned queue, rte_mbuf* const* m, std::uint16_t n) noexcept;
  /// These came from the kernel at this queue: gives away what belongs to others and moves the rest
  /// to the front; how many that are. What finds no room is freed and added to `lost`.
  std::uint16_t keep(unsigned queue, rte_mbuf** m, std::uint16_t n, std::uint64_t& lost) noexcept;
  /// What others gave to this queue, at most `n`.
  std::uint16_t take(unsigned queue, rte_mbuf** out, std::uint16_t n) noexcept;

 private:
  static constexpr unsigned kRing = 256;        // datagrams; one less fit
  static constexpr std::size_t kPlaces = 4096;  // endpoints that share one disturb each other

  explicit Strays(SipKey key) : key_(key) {}

  [[nodiscard]] std::atomic<std::uint8_t>& place_of(const wire::Endpoint& remote) noexcept;

  SipKey key_;
  std::vector<rte_ring*> rings_;                            // [queue], many producers, one consumer
  std::array<std::atomic<std::uint8_t>, kPlaces> place_{};  // queue + 1; 0: nothing heard
};

}  // namespace orrery::dataplane
