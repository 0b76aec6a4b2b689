#include "crypto/siphash_batch.h"
#include "dataplane/stages/stages.h"
#include "wire/header.h"

namespace orrery::dataplane {
namespace {

bool is_fragment(const std::uint8_t* d) {
  return d[wire::kSourceOffset] == wire::kFragmentMark;
}

/// The datagrams of one vector that are for others.
struct Foreign {
  unsigned n = 0;
  std::array<std::uint8_t, kVectorMax> lane;
  std::array<PeerKey, kVectorMax> to;
};

/// Lanes whose headers allow it; the others leave here.
void collect(WorkerContext& w, PacketVector& v, Foreign& f) {
  const bool relays = w.tables.relays.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < v.n; ++i) {
    if (!v.foreign[i]) continue;
    const std::uint8_t* d = v.data(i);
    const bool fragment = is_fragment(d);
    if (!fragment) {
      const wire::Address from = load_address(d + wire::kSourceOffset);
      if (from == w.self || from.is_reserved()) {
        v.drop_lane(i, Drop::kAddress);
        continue;
      }
    }
    if (!relays) {
      v.punt_lane(i, Message::kDatagram);  // for whom a node that is no root relays, control knows
      continue;
    }
    if ((d[fragment ? wire::kFragmentHopsOffset : wire::kFlagsOffset] & wire::kHopsMask) >=
        wire::kRelayMaxHops) {
      v.drop_lane(i, Drop::kHops);
      continue;
    }
    f.to[f.n] = {load_address(d + wire::kDestinationOffset).value};
    f.lane[f.n++] = static_cast<std::uint8_t>(i);
  }
}

/// Takes those beyond their source's rate out of `f`.
void limit(WorkerContext& w, PacketVector& v, Foreign& f) {
  RelayLimits& limits = w.relay;
  if (!limits.endpoints.limits() && !limits.prefixes.limits()) return;
  crypto::SipBatch names;
  alignas(64) std::array<std::uint64_t, kVectorMax> endpoint, prefix;
  for (unsigned k = 0; k < f.n; ++k) {
    const PacketMeta& meta = meta_of(v.mbuf[f.lane[k]]);
    // [16] address, [2] port, [4] local socket
    std::memcpy(&names.word[0][k], meta.remote.ip.data(), 8);
    std::memcpy(&names.word[1][k], meta.remote.ip.data() + 8, 8);
    names.word[2][k] =
        crypto::SipBatch::last(22, meta.remote.port | std::uint64_t{meta.socket} << 16);
  }
  crypto::siphash_batch(limits.key, names, 3, f.n, endpoint.data());
  for (unsigned k = 0; k < f.n; ++k)
    names.word[0][k] = prefix_word(meta_of(v.mbuf[f.lane[k]]).remote);
  crypto::siphash_batch(limits.key, names, 1, f.n, prefix.data());
  for (unsigned k = 0; k < f.n; ++k) {
    limits.endpoints.prefetch(endpoint[k]);
    limits.prefixes.prefetch(prefix[k]);
  }
  unsigned kept = 0;
  for (unsigned k = 0; k < f.n; ++k) {
    if ((limits.endpoints.limits() && !limits.endpoints.take(endpoint[k], w.now_ms)) ||
        (limits.prefixes.limits() && !limits.prefixes.take(prefix[k], w.now_ms))) {
      v.drop_lane(f.lane[k], Drop::kRelayRate);
      continue;
    }
    f.to[kept] = f.to[k];
    f.lane[kept++] = f.lane[k];
  }
  f.n = kept;
}

/// Control hears of pairs that use us as a relay, to introduce them. A source costs nothing to
/// claim, so first those that come from where it is.
void tell(WorkerContext& w, PacketVector& v, const Foreign& f) {
  if (!may_tell_of_pairs(w)) return;
  crypto::SipBatch names;
  alignas(64) std::array<std::uint64_t, kVectorMax> pair;
  std::array<std::uint8_t, kVectorMax> lane;
  unsigned n = 0;
  for (unsigned k = 0; k < f.n; ++k) {
    const unsigned i = f.lane[k];
    const std::uint8_t* d = v.data(i);
    if (v.next[i] != Next::kTransmit || is_fragment(d)) continue;
    // [5] destination, [5] source, as they stand in the header
    std::memcpy(&names.word[0][n], d + wire::kDestinationOffset, 8);
    std::uint16_t rest;
    std::memcpy(&rest, d + wire::kDestinationOffset + 8, 2);
    names.word[1][n] = crypto::SipBatch::last(10, rest);
    lane[n++] = static_cast<std::uint8_t>(i);
  }
  crypto::siphash_batch(w.relay.key, names, 2, n, pair.data());
  for (unsigned k = 0; k < n; ++k) w.relay.pairs.prefetch(pair[k]);
  for (unsigned k = 0; k < n; ++k) {
    if (!w.relay.pairs.due(pair[k], w.now_ms)) continue;
    if (w.relay_looks == 0) break;
    --w.relay_looks;
    const PeerRecord* source =
        w.tables.peers.find({load_address(v.data(lane[k]) + wire::kSourceOffset).value});
    if (source == nullptr) continue;
    if (raise_relayed(w, v, lane[k], *source)) w.relay.pairs.note(pair[k], w.now_ms);
  }
}

}  // namespace

void relay(WorkerContext& w, PacketVector& v) noexcept {
  Foreign f;
  collect(w, v, f);
  if (f.n == 0) return;
  limit(w, v, f);
  std::array<const PeerKey*, kVectorMax> wanted;
  std::array<const PeerRecord*, kVectorMax> found;
  for (unsigned k = 0; k < f.n; ++k) wanted[k] = &f.to[k];
  if (f.n == 0) return;
  w.tables.peers.find_bulk(wanted.data(), f.n, found.data());
  for (unsigned k = 0; k < f.n; ++k) {
    if (found[k] != nullptr) __builtin_prefetch(&found[k]->peer.path);
  }
  for (unsigned k = 0; k < f.n; ++k) {
    const unsigned i = f.lane[k];
    if (found[k] == nullptr || !found[k]->peer.direct || found[k]->peer.path.socket == 0) {
      v.punt_lane(i, Message::kDatagram);  // not here, or over another root: control's
      continue;
    }
    const fib::PathKey& path = found[k]->peer.path;
    PacketMeta& meta = meta_of(v.mbuf[i]);
    if (path.remote == meta.remote && path.socket == meta.socket) {
      v.drop_lane(i, Drop::kRelayLoop);
      continue;
    }
    v.next[i] = Next::kTransmit;
  }
  tell(w, v, f);  // while the lanes still say where they came from
  for (unsigned k = 0; k < f.n; ++k) {
    const unsigned i = f.lane[k];
    if (v.next[i] != Next::kTransmit) continue;
    std::uint8_t* d = v.data(i);
    ++d[is_fragment(d) ? wire::kFragmentHopsOffset
                       : wire::kFlagsOffset];  // below the limit: no carry
    const fib::PathKey& path = found[k]->peer.path;
    PacketMeta& meta = meta_of(v.mbuf[i]);
    meta.remote = path.remote;
    meta.socket = path.socket;
    meta.ttl = 0;
    ++w.out->relayed;
  }
}

}  // namespace orrery::dataplane
