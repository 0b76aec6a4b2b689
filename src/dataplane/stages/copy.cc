#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Who gets it, if a worker can serve it.
const PeerRecord* target_of(const WorkerContext& w, const fib::Emission& emission) {
  const PeerRecord* peer = w.tables.peers.find({emission.to.value});
  const bool serves = peer != nullptr && peer->peer.path && peer->peer.path.socket != 0 &&
                      peer->can_use(peer->peer.suite);
  return serves ? peer : nullptr;
}

/// [6] destination, [6] source, [2] ethertype, so much of the payload; null: no buffer.
rte_mbuf* frame_of(const Pools& pools, const fib::EthernetFrame& frame, std::size_t length) {
  const std::size_t size = fib::EthernetFrame::kHead + length;
  const bool large = size + RTE_PKTMBUF_HEADROOM > kWireRoom;
  rte_mbuf* m = rte_pktmbuf_alloc(large ? pools.frame : pools.wire);
  if (m == nullptr) return nullptr;
  meta_of(m) = {};
  auto* p =
      reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, static_cast<std::uint16_t>(size)));
  frame.destination.store(p);
  frame.source.store(p + 6);
  store_be16(p + 12, frame.ethertype);
  std::memcpy(p + fib::EthernetFrame::kHead, frame.payload.data(), length);
  return m;
}

}  // namespace

bool copy_out(WorkerContext& w, const PacketVector& v, unsigned i,
              const fib::FilterVerdict& verdict) noexcept {
  if (!w.copies.has_room()) return false;
  std::array<const PeerRecord*, std::tuple_size_v<decltype(verdict.emit)>> targets;
  for (std::size_t k = 0; k < verdict.emissions; ++k) {
    // Copies to ourselves are nobody's.
    targets[k] = target_of(w, verdict.emit[k]);
    if (targets[k] == nullptr) return false;
  }
  for (std::size_t k = 0; k < verdict.emissions; ++k) {
    const fib::Emission& emission = verdict.emit[k];
    const std::size_t length = std::min<std::size_t>(emission.length, v.frame[i].payload.size());
    ++w.out->copies;  // before it exists: one that finds no buffer is a copy dropped
    rte_mbuf* m = frame_of(w.pools, v.frame[i], length);
    if (m == nullptr) {
      w.count(Drop::kNoMbuf);
      continue;
    }
    meta_of(m).network = v.network[i]->network.id.value;
    meta_of(m).story = meta_of(v.mbuf[i]).story;
    w.copies.add({m, v.network[i], targets[k], emission.flags});
  }
  return true;
}

void copies(WorkerContext& w, PacketVector& v) noexcept {
  v.n = 0;
  while (!w.copies.empty() && v.n < kVectorMax) {
    const PendingCopy copy = w.copies.take();
    const unsigned i = v.n++;
    v.mbuf[i] = copy.mbuf;
    v.peer[i] = copy.peer;
    v.member[i] = nullptr;
    v.network[i] = copy.network;
    v.next[i] = Next::kGoOn;
    v.verb[i] = fib::Carrier::kExtFrame;
    v.ext_flags[i] = copy.flags;
    v.frame[i] = *fib::read_ethernet(v.bytes(i));
  }
}

}  // namespace orrery::dataplane
