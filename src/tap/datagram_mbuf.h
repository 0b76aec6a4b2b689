// A datagram that a kernel socket brought, as ports hand it to a worker.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>

#include "dataplane/port.h"

namespace orrery::tap {

/// Bytes that fit into an mbuf of the pool, behind the room for headers in front.
inline std::size_t room_of(rte_mempool* pool) noexcept {
  return rte_pktmbuf_data_room_size(pool) - std::size_t{RTE_PKTMBUF_HEADROOM};
}

/// What ports say of a datagram of `size` bytes that lies in `m`.
inline void describe_datagram(rte_mbuf* m, std::uint16_t size, const fib::PathKey& via,
                              dataplane::PortCounters& counters) noexcept {
  dataplane::PacketMeta& meta = dataplane::meta_of(m);
  meta = {};
  meta.remote = via.remote;
  meta.socket = via.socket;
  meta.wire_size = size;
  ++counters.rx_packets;
  counters.rx_bytes += size;
}

/// In an mbuf of the pool whose room it fits; null, and counted as dropped, when there is none.
inline rte_mbuf* datagram_mbuf(Bytes datagram, const fib::PathKey& via, rte_mempool* small,
                               rte_mempool* large, dataplane::PortCounters& counters) noexcept {
  const auto size = static_cast<std::uint16_t>(datagram.size());
  rte_mempool* pool = size <= room_of(small) ? small : large;
  rte_mbuf* m = rte_pktmbuf_alloc(pool);
  char* room = m == nullptr ? nullptr : rte_pktmbuf_append(m, size);
  if (room == nullptr) {
    rte_pktmbuf_free(m);
    ++counters.rx_dropped;
    return nullptr;
  }
  std::copy(datagram.begin(), datagram.end(), room);
  describe_datagram(m, size, via, counters);
  return m;
}

}  // namespace orrery::tap
