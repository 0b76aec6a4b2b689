// The unit of work: up to 64 packets, one array per fact, handed from stage to stage.
//
// A stage reads tables, writes the facts of its lanes and decides what becomes of each; it moves
// nothing. partition() then takes the lanes that left out of the vector, so every stage begins with
// lanes [0, n) that all go on. References to records (peer, member, network) are borrowed from the
// tables under RCU: valid until the worker's next quiescent state, never carried to another turn.
//
// Weak spot: references are 8 bytes where slots would be 4, so the facts of a full vector take
// some 8 KB; they stay in the first two cache levels, and one load per record is saved.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "base/layout.h"
#include "dataplane/drop.h"
#include "dataplane/packet_meta.h"
#include "dataplane/publisher.h"
#include "fib/forward.h"
#include "wire/fragment.h"

namespace orrery::dataplane {

inline constexpr unsigned kVectorMax = 64;  // = RTE_HASH_LOOKUP_BULK_MAX; 96 KB of payload in L2

/// What becomes of a lane.
enum class Next : std::uint8_t {
  kGoOn,      // to the next stage; zero, see PacketVector::all_go_on()
  kTaken,     // the stage has given the mbuf away: parked, or on a list among its pieces
  kPunt,      // to control; PacketMeta::message says as what
  kDeliver,   // an Ethernet frame for a frame port; PacketMeta::network
  kTransmit,  // a datagram for a port; PacketMeta: socket, remote, ttl
  kDrop,      // counted under its reason and freed
};

/// Lanes [0, n) are live and owned by the vector until partition() gives them away.
struct alignas(kCacheLine) PacketVector {
  std::array<rte_mbuf*, kVectorMax> mbuf;
  std::array<const PeerRecord*, kVectorMax> peer;        // sender, or recipient on the way out
  std::array<const MemberRecord*, kVectorMax> member;    // its standing in the network
  std::array<const NetworkRecord*, kVectorMax> network;  // of the frame
  std::array<Next, kVectorMax> next;
  std::array<Drop, kVectorMax> drop;          // for Next::kDrop
  std::array<bool, kVectorMax> piece;         // inbound: a fragment, or a head with fragments
  std::array<bool, kVectorMax> foreign;       // inbound: for somebody else
  std::array<fib::Carrier, kVectorMax> verb;  // that carries the frame
  std::array<fib::EthernetFrame, kVectorMax> frame;  // payload is a view into the mbuf
  std::array<wire::FragmentPlan, kVectorMax> plan;   // outbound: how the packet will be cut
  std::array<std::uint32_t, kVectorMax> adi;         // of a multicast frame's group
  std::array<std::uint64_t, kVectorMax> sent_id;     // inbound: as its sender chose it; 0: unknown
  std::array<std::uint8_t, kVectorMax> ext_flags;    // outbound: of EXT_FRAME; not 0: a rule's copy
  unsigned n = 0;

  void load(rte_mbuf** burst, unsigned count) noexcept {
    n = count;
    std::copy_n(burst, count, mbuf.data());
    peer.fill(nullptr);
    next.fill(Next::kGoOn);
    piece.fill(false);
    foreign.fill(false);
    ext_flags.fill(0);
  }

  /// Whether no lane leaves. REQUIRES: next[i] is kGoOn for i >= n, as load() and partition() leave
  /// it.
  [[nodiscard]] bool all_go_on() const noexcept {
    std::array<std::uint64_t, kVectorMax / sizeof(std::uint64_t)> words;
    std::memcpy(words.data(), next.data(), sizeof words);
    std::uint64_t any = 0;
    for (const std::uint64_t w : words) any |= w;
    return any == 0;
  }

  void drop_lane(unsigned i, Drop reason) noexcept {
    next[i] = Next::kDrop;
    drop[i] = reason;
  }

  void punt_lane(unsigned i, Message message) noexcept {
    next[i] = Next::kPunt;
    meta_of(mbuf[i]).message = message;
  }

  /// All facts of lane `from` to lane `to`; partition() closes gaps with it.
  void move_lane(unsigned to, unsigned from) noexcept {
    mbuf[to] = mbuf[from];
    peer[to] = peer[from];
    member[to] = member[from];
    network[to] = network[from];
    next[to] = next[from];
    piece[to] = piece[from];
    foreign[to] = foreign[from];
    verb[to] = verb[from];
    frame[to] = frame[from];
    plan[to] = plan[from];
    adi[to] = adi[from];
    sent_id[to] = sent_id[from];
    ext_flags[to] = ext_flags[from];
  }

  [[nodiscard]] std::uint8_t* data(unsigned i) const noexcept {
    return rte_pktmbuf_mtod(mbuf[i], std::uint8_t*);
  }

  [[nodiscard]] Bytes bytes(unsigned i) const noexcept {
    return {data(i), rte_pktmbuf_data_len(mbuf[i])};
  }
};

static_assert(offsetof(PacketVector, peer) % kCacheLine == 0 &&
              offsetof(PacketVector, next) % kCacheLine == 0);

}  // namespace orrery::dataplane
