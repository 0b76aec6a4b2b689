#include "dataplane/stages/stages.h"
#include "fib/path_mtu.h"

namespace orrery::dataplane {
namespace {

constexpr Millis kGroupInterval = 10'000;    // that a group is in use
constexpr Millis kReceivedInterval = 1'000;  // control hears of an active peer this often
// Events of learned stations and stale credentials, together: what a bridged LAN of some thousand
// stations needs to be learned within a second; a flood of MACs costs control no more than this.
constexpr Millis kEventPeriod = 10;
constexpr unsigned kEventsPerPeriod = 32;
// Pairs that may be introduced: control has a budget of 512 a second for it.
constexpr unsigned kRelayedPerPeriod = 8;
constexpr unsigned kRelayLooksPerPeriod = 32;

/// An event rides in an mbuf on the punt ring; `like` names the path. Null when there is none free.
rte_mbuf* event(WorkerContext& w, Message message, const rte_mbuf* like, std::uint64_t network) {
  if (w.out->punts >= std::size(w.out->punt) - kVectorMax) return nullptr;
  if (w.punts.take(PuntClass::kEvent, w.now_ms) != Drop::kNone) {
    ++w.out->copies;  // for the ledger: one that came into being and went
    w.count(Drop::kPuntEvent);
    return nullptr;
  }
  rte_mbuf* m = rte_pktmbuf_alloc(w.pools.wire);
  if (m == nullptr) return nullptr;
  const PacketMeta& from = meta_of(const_cast<rte_mbuf*>(like));
  PacketMeta& meta = meta_of(m);
  meta = {};
  meta.message = message;
  meta.remote = from.remote;
  meta.socket = from.socket;
  meta.network = network;
  w.out->punt[w.out->punts++] = m;
  ++w.out->copies;
  return m;
}

/// `count`: of the period that began at events_since.
bool within_rate(WorkerContext& w, unsigned& count) {
  if (w.now_ms - w.events_since >= kEventPeriod) {
    w.events_since = w.now_ms;
    w.events = w.refreshes = 0;
  }
  return count++ < kEventsPerPeriod;
}

bool tell_station(WorkerContext& w, const PacketVector& v, unsigned i) {
  rte_mbuf* m = event(w, Message::kLearned, v.mbuf[i], v.network[i]->network.id.value);
  if (m == nullptr) return false;
  // [6] station, [5] behind whom
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 11));
  v.frame[i].source.store(p);
  std::memcpy(p + 6, v.data(i) + wire::kSourceOffset, 5);
  return true;
}

bool tell_recipient(WorkerContext& w, const PacketVector& v, unsigned i, Message message) {
  rte_mbuf* m = event(w, message, v.mbuf[i], v.network[i]->network.id.value);
  if (m == nullptr) return false;
  // [5] recipient
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 5));
  const std::uint64_t address = v.peer[i]->peer.address.value;
  p[0] = static_cast<std::uint8_t>(address >> 32);
  store_be32(p + 1, static_cast<std::uint32_t>(address));
  return true;
}

/// Of relayed pairs the last one of a period is for sources that come from elsewhere than we send
/// to: a peer of several paths, or somebody who only claims to be it.
bool within_relay_rate(WorkerContext& w, bool at_home) {
  if (w.relay_events >= (at_home ? kRelayedPerPeriod : 1)) return false;
  ++w.relay_events;
  return true;
}

}  // namespace

void raise_received(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  const PeerRecord& peer = *v.peer[i];
  const PacketMeta& meta = meta_of(v.mbuf[i]);
  const std::uint8_t* d = v.data(i);
  const std::uint8_t hops = d[wire::kFlagsOffset] & wire::kHopsMask;
  const bool elsewhere =
      hops == 0 && (peer.peer.path.remote != meta.remote || peer.peer.path.socket != meta.socket);
  const Millis last = peer.last_event.load(std::memory_order_relaxed);
  if (w.now_ms - last < (elsewhere ? kReceivedInterval / 10 : kReceivedInterval)) return;
  rte_mbuf* m = event(w, Message::kReceived, v.mbuf[i], v.network[i]->network.id.value);
  if (m == nullptr) return;
  peer.last_event.store(w.now_ms, std::memory_order_relaxed);
  // [5] peer, [1] verb, [1] hops
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 7));
  std::memcpy(p, d + wire::kSourceOffset, 5);
  p[5] = d[wire::kVerbOffset] & wire::kVerbMask;
  p[6] = hops;
}

void raise_group_used(WorkerContext& w, const PacketVector& v, unsigned i, const GroupRecord& group,
                      bool bridged) noexcept {
  const Millis last = group.last_event.load(std::memory_order_relaxed);
  if (w.now_ms - last < kGroupInterval) return;
  rte_mbuf* m = event(w, Message::kGroupUsed, v.mbuf[i], group.group.network.value);
  if (m == nullptr) return;
  group.last_event.store(w.now_ms, std::memory_order_relaxed);
  // [6] MAC, [4] ADI, [1] bridged
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 11));
  group.group.group.mac.store(p);
  store_be32(p + 6, group.group.group.adi);
  p[10] = bridged ? 1 : 0;
}

void raise_gather(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  // [28] header, [8] network, [1] flags, [4] limit if 0x02
  const std::uint8_t* d = v.data(i);
  if ((d[wire::kHeaderSize + 8] & 0x02) == 0 || load_be32(d + wire::kHeaderSize + 9) == 0) return;
  const PeerRecord& peer = *v.peer[i];
  if (!peer.gather_due(w.now_ms)) return;
  rte_mbuf* m = event(w, Message::kAuthenticated, v.mbuf[i], v.network[i]->network.id.value);
  if (m == nullptr) return;
  peer.last_gather.store(static_cast<std::uint32_t>(w.now_ms), std::memory_order_relaxed);
  meta_of(m).wire_size = meta_of(v.mbuf[i]).wire_size;
  const auto head = static_cast<std::uint16_t>(v.frame[i].payload.data() - d);
  std::memcpy(rte_pktmbuf_append(m, head), d, head);
}

void raise_learned(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  if (within_rate(w, w.events)) (void)tell_station(w, v, i);
}

bool raise_still_there(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  return within_rate(w, w.refreshes) && tell_station(w, v, i);
}

void answer_too_big(WorkerContext& w, const PacketVector& v, unsigned i, std::size_t mtu) noexcept {
  std::array<std::uint8_t, fib::kTooBigAnswer> answer;
  const std::size_t size = fib::write_too_big(answer, v.frame[i], static_cast<std::uint16_t>(mtu));
  if (size == 0 || w.out->delivers == std::size(w.out->deliver) ||
      !w.too_big_answers.take(w.kTooBigAnswers, w.now_ms))
    return;
  rte_mbuf* m = rte_pktmbuf_alloc(w.pools.wire);
  if (m == nullptr) return;
  meta_of(m) = {};
  meta_of(m).network = v.network[i]->network.id.value;
  std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(size)), answer.data(), size);
  w.out->deliver[w.out->delivers++] = m;
  ++w.out->copies;
}

bool may_tell_of_pairs(WorkerContext& w) noexcept {
  if (w.now_ms - w.relay_events_since >= kEventPeriod) {
    w.relay_events_since = w.now_ms;
    w.relay_events = 0;
    w.relay_looks = kRelayLooksPerPeriod;
  }
  return w.relay_events < kRelayedPerPeriod && w.relay_looks != 0;
}

bool raise_relayed(WorkerContext& w, const PacketVector& v, unsigned i,
                   const PeerRecord& source) noexcept {
  const std::uint8_t* d = v.data(i);
  const std::uint8_t hops = d[wire::kFlagsOffset] & wire::kHopsMask;
  const bool at_home = hops != 0 || source.peer.path.remote.same_ip(meta_of(v.mbuf[i]).remote);
  if (!within_relay_rate(w, at_home)) return false;
  rte_mbuf* m = event(w, Message::kRelayed, v.mbuf[i], 0);
  if (m == nullptr) return false;
  // [5] source, [5] destination, [1] hops
  auto* p = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(m, 11));
  std::memcpy(p, d + wire::kSourceOffset, 5);
  std::memcpy(p + 5, d + wire::kDestinationOffset, 5);
  p[10] = hops;
  return true;
}

void raise_full_size(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  if (tell_recipient(w, v, i, Message::kFullSize))
    v.peer[i]->last_full_size.store(static_cast<std::uint32_t>(w.now_ms),
                                    std::memory_order_relaxed);
}

void raise_sent(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  if (tell_recipient(w, v, i, Message::kSent))
    v.peer[i]->last_sent.store(static_cast<std::uint32_t>(w.now_ms), std::memory_order_relaxed);
}

void raise_stale(WorkerContext& w, const PacketVector& v, unsigned i) noexcept {
  if (within_rate(w, w.events)) (void)tell_recipient(w, v, i, Message::kStale);
}

}  // namespace orrery::dataplane
