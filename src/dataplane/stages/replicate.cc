#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

/// Recipient `at` in the order of this frame: bridges first, then members from a place by chance.
wire::Address recipient(const PendingMulticast& p, std::uint32_t at) {
  const fib::Group& group = p.group->group;
  if (at < group.bridges) return group.recipients[at];
  const auto members = static_cast<std::uint32_t>(group.recipients.size()) - group.bridges;
  return group.recipients[group.bridges + (at - group.bridges + p.start) % members];
}

/// A buffer of its own for one recipient's copy.
rte_mbuf* copy_of(WorkerContext& w, const PendingMulticast& p) {
  ++w.out->copies;  // before it exists: one that finds no buffer is a copy dropped
  const Bytes frame{rte_pktmbuf_mtod(p.mbuf, const std::uint8_t*), rte_pktmbuf_data_len(p.mbuf)};
  const bool large = frame.size() + RTE_PKTMBUF_HEADROOM > kWireRoom;
  rte_mbuf* copy = rte_pktmbuf_alloc(large ? w.pools.frame : w.pools.wire);
  if (copy == nullptr) {
    w.count(Drop::kNoMbuf);
    return nullptr;
  }
  meta_of(copy) = {};
  meta_of(copy).network = p.network->network.id.value;
  meta_of(copy).story = meta_of(p.mbuf).story;
  std::memcpy(rte_pktmbuf_append(copy, static_cast<std::uint16_t>(frame.size())), frame.data(),
              frame.size());
  return copy;
}

/// Whom a worker cannot serve is control's: the frame, with their addresses behind it.
void finish(WorkerContext& w, PendingMulticast& p) {
  constexpr std::size_t kSize = wire::Address::kSize;
  if (p.left == 0) {
    ++w.out->merged;  // into its copies
    rte_pktmbuf_free(p.mbuf);
    return;
  }
  // [5] each, [1] how many
  const auto tail = static_cast<std::uint16_t>(p.left * kSize + 1);
  Drop drop = w.punts.take(PuntClass::kFrame, w.now_ms);
  auto* room = drop == Drop::kNone
                   ? reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(p.mbuf, tail))
                   : nullptr;
  if (drop == Drop::kNone && room == nullptr) drop = Drop::kTooBig;
  if (drop != Drop::kNone) {
    w.count(drop);
    if (w.recorder != nullptr) [[unlikely]]
      w.recorder->dropped(p.mbuf, drop, kHostOut);
    rte_pktmbuf_free(p.mbuf);
    return;
  }
  for (std::uint32_t i = 0; i < p.left; ++i) {
    room[i * kSize] = static_cast<std::uint8_t>(p.rest[i].value >> 32);
    store_be32(room + i * kSize + 1, static_cast<std::uint32_t>(p.rest[i].value));
  }
  room[tail - 1] = static_cast<std::uint8_t>(p.left);
  meta_of(p.mbuf).message = Message::kMulticastRest;
  w.out->punt[w.out->punts++] = p.mbuf;
}

/// Recipients of one frame until the vector is full or nobody is left.
void fill(WorkerContext& w, PacketVector& v, PendingMulticast& p) {
  const fib::Network& network = p.network->network;
  const fib::Group& group = p.group->group;
  std::array<MemberKey, kVectorMax> member_keys;
  std::array<PeerKey, kVectorMax> peer_keys;
  std::array<const MemberKey*, kVectorMax> members_wanted;
  std::array<const PeerKey*, kVectorMax> peers_wanted;
  std::array<const MemberRecord*, kVectorMax> members;
  std::array<const PeerRecord*, kVectorMax> peers;
  unsigned n = 0;
  while (n < kVectorMax - v.n && p.next < group.recipients.size()) {
    const wire::Address to = recipient(p, p.next++);
    member_keys[n] = {network.id.value, to.value};
    peer_keys[n] = {to.value};
    members_wanted[n] = &member_keys[n];
    peers_wanted[n] = &peer_keys[n];
    ++n;
  }
  if (n == 0) return;
  w.tables.members.find_bulk(members_wanted.data(), n, members.data());
  w.tables.peers.find_bulk(peers_wanted.data(), n, peers.data());
  for (unsigned k = 0; k < n && p.sent < group.limit; ++k) {
    const wire::Address to{peer_keys[k].address};
    bool serve = members[k] != nullptr && peers[k] != nullptr && peers[k]->peer.path.socket != 0 &&
                 peers[k]->can_use(peers[k]->peer.suite);
    if (serve && !p.network->accepts_all) {
      const fib::FilterVerdict verdict = fib::filter_out(
          network, members[k], fib::rule_frame_out(network, p.frame, to), true, w.random());
      serve = verdict.emissions == 0;  // a redirect is control's
      if (serve && verdict.filter == fib::Filter::kDrop) continue;
    }
    // Who was put out takes nobody's place: `credentials` drops his.
    if (members[k] == nullptr || !members[k]->revoked) ++p.sent;
    if (!serve) {
      p.rest[p.left++] = to;
      continue;
    }
    rte_mbuf* copy = copy_of(w, p);
    if (copy == nullptr) continue;
    const unsigned i = v.n++;
    v.mbuf[i] = copy;
    v.peer[i] = peers[k];
    v.member[i] = members[k];
    v.network[i] = p.network;
    v.next[i] = Next::kGoOn;
    v.verb[i] = fib::Carrier::kMulticastFrame;
    v.adi[i] = p.adi;
    v.ext_flags[i] = 0;
    v.frame[i] = p.frame;
    v.frame[i].payload = v.bytes(i).subspan(fib::EthernetFrame::kHead);
  }
}

}  // namespace

void replicate(WorkerContext& w, PacketVector& v) noexcept {
  v.n = 0;
  while (!w.multicasts.empty() && v.n < kVectorMax) {
    PendingMulticast& p = w.multicasts.front();
    fill(w, v, p);
    if (p.next < p.group->group.recipients.size() && p.sent < p.group->group.limit) break;
    finish(w, p);
    w.multicasts.pop();
  }
}

}  // namespace orrery::dataplane
