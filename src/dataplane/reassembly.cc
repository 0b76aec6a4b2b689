#include "dataplane/reassembly.h"

#include <cstring>

namespace orrery::dataplane {
namespace {

Bytes bytes_of(const rte_mbuf* m) {
  return {rte_pktmbuf_mtod(m, const std::uint8_t*), rte_pktmbuf_data_len(m)};
}

wire::ReassemblerLimits limits_for(const Pools& pools, unsigned workers) {
  wire::ReassemblerLimits limits;
  limits.packets = Reassembly::kPackets;
  limits.bytes = Reassembly::kPackets * wire::kMaxPacket;  // datagrams are what is scarce
  limits.packets_per_source = Reassembly::kPacketsPerSource;
  limits.datagrams = pools.wire->size / 2 / workers;
  limits.timeout = Reassembly::kTimeout;
  return limits;
}

}  // namespace

Reassembly::Reassembly(const Pools& pools, SipKey key, unsigned workers)
    : large_(pools.frame), key_(key), table_(limits_for(pools, workers), key) {}

std::uint64_t Reassembly::source_of(const PacketMeta& meta) const noexcept {
  // [16] address, [2] port, [4] local socket
  std::array<std::uint8_t, 22> named;
  std::memcpy(named.data(), meta.remote.ip.data(), 16);
  store_be16(named.data() + 16, meta.remote.port);
  store_be32(named.data() + 18, meta.socket);
  return siphash(key_, named);
}

rte_mbuf* Reassembly::join() noexcept {
  std::size_t more = 0;  // bytes behind the head
  for (std::size_t i = 1; i < pieces_.size() && pieces_[i]; ++i)
    more += bytes_of(pieces_[i].get()).size() - wire::kFragmentHeaderSize;
  if (more > rte_pktmbuf_tailroom(pieces_[0].get())) {
    rte_mbuf* large = rte_pktmbuf_alloc(large_);
    if (large == nullptr) return nullptr;
    const Bytes head = bytes_of(pieces_[0].get());
    meta_of(large) = meta_of(pieces_[0].get());
    std::memcpy(rte_pktmbuf_append(large, static_cast<std::uint16_t>(head.size())), head.data(),
                head.size());
    pieces_[0].reset(large);
  }
  rte_mbuf* whole = pieces_[0].release();
  for (std::size_t i = 1; i < pieces_.size() && pieces_[i]; ++i) {
    const Bytes data = bytes_of(pieces_[i].get()).subspan(wire::kFragmentHeaderSize);
    std::memcpy(rte_pktmbuf_append(whole, static_cast<std::uint16_t>(data.size())), data.data(),
                data.size());
  }
  meta_of(whole).wire_size = rte_pktmbuf_data_len(whole);
  return whole;
}

Reassembly::Outcome Reassembly::add(rte_mbuf* piece, Millis now) noexcept {
  Outcome outcome;
  const Bytes datagram = bytes_of(piece);
  const auto what = wire::kind_of(datagram) == wire::DatagramKind::kFragment
                        ? wire::read_fragment(datagram)
                        : wire::read_head(datagram);
  if (!what) {
    outcome.drop = Drop::kFragment;
    return outcome;
  }
  const auto take = [piece] { return Table::Pieces::value_type(piece); };
  switch (table_.add(now, source_of(meta_of(piece)), *what, take, pieces_)) {
    case wire::Reassembly::kParked:
      break;
    case wire::Reassembly::kDuplicate:
      outcome.drop = Drop::kFragmentDuplicate;
      break;
    case wire::Reassembly::kRefused:
      outcome.drop = Drop::kFragment;
      break;
    case wire::Reassembly::kComplete:
      outcome.whole = join();
      if (outcome.whole == nullptr) {
        outcome.drop = Drop::kFragment;
        (void)pieces_[what->number].release();  // the caller's again
      }
      // Of a whole packet the head is gone, of another one the last piece.
      for (auto& other : pieces_) {
        if (!other) continue;
        other.reset();
        if (outcome.whole != nullptr) {
          ++outcome.merged;
        } else {
          ++unjoined_;
        }
      }
      break;
  }
  return outcome;
}

std::uint64_t Reassembly::expire(Millis now) noexcept {
  (void)table_.expire(now);
  const std::uint64_t gone = table_.datagrams_lost() + unjoined_;
  return gone - std::exchange(reported_, gone);
}

}  // namespace orrery::dataplane
