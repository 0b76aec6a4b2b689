// A datagram that a kernel socket brought, as ports hand it to a worker.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>

#include "dataplane/port.h"

namespace orrery::tap {

/// In an mbuf of the pool whose room it fits; null, and counted as dropped, when there is none.
inline rte_mbuf* datagram_mbuf(Bytes datagram, const fib::PathKey& via, rte_mempool* small,
                               rte_mempool* large, dataplane::PortCounters& counters) noexcept {
  const auto size = static_cast<std::uint16_t>(datagram.size());
  rte_mempool* pool =
      size <= rte_pktmbuf_data_room_size(small) - RTE_PKTMBUF_HEADROOM ? small : large;
  rte_mbuf* m = rte_pktmbuf_alloc(pool);
  char* room = m == nullptr ? nullptr : rte_pktmbuf_append(m, size);
  if (room == nullptr) {
    rte_pktmbuf_free(m);
    ++counters.rx_dropped;
    return nullptr;
  }
  std::copy(datagram.begin(), datagram.end(), room);
  dataplane::PacketMeta& meta = dataplane::meta_of(m);
  meta = {};
  meta.remote = via.remote;
  meta.socket = via.socket;
  meta.wire_size = size;
  ++counters.rx_packets;
  counters.rx_bytes += size;
  return m;
}

}  // namespace orrery::tap
