#include "dataplane/reassembly.h"

#include <rte_mbuf.h>

#include <cstring>
#include <utility>

namespace orrery::dataplane {
namespace {

std::uint8_t* data_of(rte_mbuf* m) {
  return rte_pktmbuf_mtod(m, std::uint8_t*);
}

}  // namespace

Reassembly::Reassembly(rte_mempool* large, SipKey key)
    : large_(large), key_(key), slots_(kSets * kWays) {}

Reassembly::~Reassembly() {
  for (Slot& s : slots_) release(s);
}

unsigned Reassembly::release(Slot& slot) noexcept {
  unsigned count = 0;
  for (rte_mbuf*& m : slot.piece) {
    if (m == nullptr) continue;
    rte_pktmbuf_free(m);
    m = nullptr;
    ++count;
  }
  parked_ -= count;
  slot.have = 0;
  slot.total = 0;
  return count;
}

Reassembly::Slot& Reassembly::slot_for(std::uint64_t hash, std::uint64_t id, Millis now) noexcept {
  Slot* set = &slots_[(hash % kSets) * kWays];
  Slot* chosen = set;
  for (std::size_t i = 0; i < kWays; ++i) {
    if (set[i].have != 0 && set[i].hash == hash && set[i].id == id) return set[i];
    if (set[i].have == 0) {
      chosen = &set[i];
    } else if (chosen->have != 0 && set[i].since < chosen->since) {
      chosen = &set[i];
    }
  }
  if (chosen->have != 0) lost_ += release(*chosen);
  chosen->hash = hash;
  chosen->id = id;
  chosen->since = now;
  return *chosen;
}

rte_mbuf* Reassembly::join(Slot& slot) noexcept {
  std::size_t size = rte_pktmbuf_data_len(slot.piece[0]);
  for (std::size_t i = 1; i < slot.total; ++i)
    size += rte_pktmbuf_data_len(slot.piece[i]) - wire::kFragmentHeaderSize;
  rte_mbuf* whole = slot.piece[0];
  if (size > wire::kMaxPacket) return nullptr;
  const std::size_t head = rte_pktmbuf_data_len(whole);
  if (size - head > rte_pktmbuf_tailroom(whole)) {
    rte_mbuf* large = rte_pktmbuf_alloc(large_);
    if (large == nullptr) return nullptr;
    meta_of(large) = meta_of(whole);
    std::memcpy(rte_pktmbuf_append(large, static_cast<std::uint16_t>(head)), data_of(whole), head);
    rte_pktmbuf_free(whole);
    whole = large;
  }
  slot.piece[0] = nullptr;
  for (std::size_t i = 1; i < slot.total; ++i) {
    const auto n =
        static_cast<std::uint16_t>(rte_pktmbuf_data_len(slot.piece[i]) - wire::kFragmentHeaderSize);
    std::memcpy(rte_pktmbuf_append(whole, n), data_of(slot.piece[i]) + wire::kFragmentHeaderSize,
                n);
  }
  meta_of(whole).wire_size = static_cast<std::uint16_t>(size);
  parked_ -= 1;
  return whole;
}

Reassembly::Outcome Reassembly::add(rte_mbuf* piece, Millis now) noexcept {
  Outcome outcome;
  const std::uint8_t* d = data_of(piece);
  const bool fragment = d[wire::kSourceOffset] == 0xff;
  std::uint8_t number = 0, total = 0;
  if (fragment) {
    total = d[14] >> 4;
    number = d[14] & 15;
    if (total < 2 || total > wire::kMaxFragments || number < 1 || number >= total) {
      outcome.drop = Drop::kFragment;
      return outcome;
    }
  }
  const PacketMeta& meta = meta_of(piece);
  std::array<std::uint8_t, 32> named{};
  std::memcpy(named.data(), meta.remote.ip.data(), 16);
  store_be16(named.data() + 16, meta.remote.port);
  store_be32(named.data() + 18, meta.socket);
  std::memcpy(named.data() + 24, d, 8);
  Slot& slot = slot_for(siphash(key_, named), load_be64(d), now);
  const auto bit = static_cast<std::uint8_t>(1u << number);
  const bool conflict =
      total != 0 && ((slot.total != 0 && slot.total != total) || slot.have >> total != 0);
  if (conflict || (slot.have & bit) != 0) {
    outcome.drop = conflict ? Drop::kFragment : Drop::kFragmentDuplicate;
    return outcome;
  }
  if (total != 0) slot.total = total;
  slot.have |= bit;
  slot.piece[number] = piece;
  ++parked_;
  if (slot.total == 0 || slot.have != (1u << slot.total) - 1) return outcome;
  outcome.merged = slot.total - 1u;
  outcome.whole = join(slot);
  if (outcome.whole == nullptr) {
    outcome.drop = Drop::kFragment;
    outcome.merged = 0;
    slot.piece[number] = nullptr;
    --parked_;
    lost_ += release(slot);
  }
  release(slot);
  return outcome;
}

unsigned Reassembly::expire(Millis now) noexcept {
  unsigned count = std::exchange(lost_, 0);
  for (std::size_t i = 0; i < 64; ++i) {
    Slot& s = slots_[sweep_++ % slots_.size()];
    if (s.have != 0 && now - s.since > kTimeout) count += release(s);
  }
  return count;
}

}  // namespace orrery::dataplane
