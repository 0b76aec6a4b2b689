#include "dataplane/strays.h"

#include <rte_ring.h>

#include <cstring>
#include <string>

#include "wire/header.h"

namespace orrery::dataplane {
namespace {

bool is_piece(const rte_mbuf* m) {
  const Bytes datagram(rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m));
  switch (wire::kind_of(datagram)) {
    case wire::DatagramKind::kFragment:
      return true;
    case wire::DatagramKind::kPacket:
      return (datagram[wire::kFlagsOffset] & wire::kFlagFragmented) != 0;
    default:
      return false;
  }
}

}  // namespace

Result<std::shared_ptr<Strays>> Strays::open(std::uint16_t port, unsigned queues, SipKey key) {
  std::shared_ptr<Strays> strays(new Strays(key));
  for (unsigned q = 0; q < queues; ++q) {
    const std::string name = "strays" + std::to_string(port) + "." + std::to_string(q);
    rte_ring* const ring = rte_ring_create(name.c_str(), kRing, SOCKET_ID_ANY, RING_F_SC_DEQ);
    if (ring == nullptr) return failure(Errc::kFull, "no memory for ring " + name);
    strays->rings_.push_back(ring);
  }
  return strays;
}

Strays::~Strays() {
  for (rte_ring* ring : rings_) {
    void* m = nullptr;
    while (rte_ring_dequeue(ring, &m) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(m));
    rte_ring_free(ring);
  }
}

std::atomic<std::uint8_t>& Strays::place_of(const wire::Endpoint& remote) noexcept {
  std::array<std::uint8_t, 18> bytes;
  std::memcpy(bytes.data(), remote.ip.data(), 16);
  std::memcpy(bytes.data() + 16, &remote.port, 2);
  return place_[siphash(key_, bytes) % kPlaces];
}

void Strays::heard(unsigned queue, rte_mbuf* const* m, std::uint16_t n) noexcept {
  const auto mark = static_cast<std::uint8_t>(queue + 1);
  const wire::Endpoint* last = nullptr;
  for (std::uint16_t i = 0; i < n; ++i) {
    const wire::Endpoint& remote = meta_of(m[i]).remote;
    if (!is_piece(m[i]) || (last != nullptr && *last == remote)) continue;
    last = &remote;
    std::atomic<std::uint8_t>& place = place_of(remote);
    // Written only when it changes, so that the line stays with all who read it.
    if (place.load(std::memory_order_relaxed) != mark) place.store(mark, std::memory_order_relaxed);
  }
}

std::uint16_t Strays::keep(unsigned queue, rte_mbuf** m, std::uint16_t n,
                           std::uint64_t& lost) noexcept {
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < n; ++i) {
    const unsigned mark =
        is_piece(m[i]) ? place_of(meta_of(m[i]).remote).load(std::memory_order_relaxed) : 0;
    if (mark == 0 || mark - 1 == queue) {
      m[kept++] = m[i];
    } else if (rte_ring_enqueue(rings_[mark - 1], m[i]) != 0) {
      ++lost;
      rte_pktmbuf_free(m[i]);
    }
  }
  return kept;
}

std::uint16_t Strays::take(unsigned queue, rte_mbuf** out, std::uint16_t n) noexcept {
  return static_cast<std::uint16_t>(
      rte_ring_sc_dequeue_burst(rings_[queue], reinterpret_cast<void**>(out), n, nullptr));
}

}  // namespace orrery::dataplane
