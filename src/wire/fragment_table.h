// Which packets are in flight and which of their pieces are there: reassembly without the joining.
// Control keeps pieces as bytes (reassembler.h), workers as mbufs (dataplane/reassembly.h); what is
// a piece of what, and who makes room for whom, is decided here for both.
//
// Pieces are kept by (source, packet id), so that nobody can spoil another's packet by guessing its
// id. Everything is bounded: packets in flight, their bytes and datagrams, and packets per source;
// when full, the oldest packet of the source that holds most makes room, so a flood pushes out
// itself first. Duplicates are ignored, a changed total or more than a packet may hold is refused.
// Incomplete packets expire. All memory is set aside at construction. Weak spot: a sender whose
// source changes in the middle of a packet loses that packet.
// Source: docs/protocol/02-packet.md section 10; tests/vectors/fragments.json. Fuzzed with both
// kinds of piece by tests/fuzz/wire/reassembler_fuzz.cc.
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "base/intrusive_list.h"
#include "base/siphash.h"
#include "base/time.h"
#include "wire/fragment.h"

namespace orrery::wire {

struct ReassemblerLimits {
  std::size_t packets = 4096;     // in flight
  std::size_t bytes = 32u << 20;  // of pieces held
  std::size_t packets_per_source = 256;
  std::size_t datagrams = SIZE_MAX;  // pieces held, where each costs a buffer whatever its size
  Millis timeout = 2000;             // mono ms after the first piece
};

enum class Reassembly : std::uint8_t {
  kParked,     // kept, more to come
  kComplete,   // it was the last one missing
  kDuplicate,  // this piece is there already
  kRefused,    // counts out of range, total changed, or larger than a packet may be
};

/// `Piece`: movable and empty by default; whoever assigns an empty one to it frees what it holds.
template <typename Piece>
class FragmentTable {
 public:
  using Pieces = std::array<Piece, kMaxFragments>;

  FragmentTable(const ReassemblerLimits& limits, SipKey key);
  FragmentTable(const FragmentTable&) = delete;
  FragmentTable& operator=(const FragmentTable&) = delete;

  /// `make` yields the piece, and is called once if it is kept. `source`: any number that names the
  /// sender's endpoint and that he cannot choose, e.g. its keyed hash. After kComplete `whole`
  /// holds the packet's pieces in order and empty ones behind them; else it is left alone.
  template <typename Make>
  Reassembly add(Millis now, std::uint64_t source, const FragmentView& what, Make make,
                 Pieces& whole);
  /// Frees what is too old; returns how many packets.
  std::size_t expire(Millis now);

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

  [[nodiscard]] std::size_t bytes_held() const { return bytes_; }

  [[nodiscard]] std::size_t datagrams_held() const { return datagrams_; }

  /// Packets that made room for others since the start.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

  /// Pieces freed since the start because their packet made room or expired.
  [[nodiscard]] std::uint64_t datagrams_lost() const { return lost_; }

 private:
  struct Source;

  struct Packet {
    std::uint64_t id = 0;
    Source* source = nullptr;
    Millis since = 0;
    std::uint32_t bucket = 0;
    std::uint32_t bytes = 0;
    std::uint8_t total = 0;  // 0: not known yet, a head tells nothing of it
    std::uint8_t have = 0;   // bit per piece; bit 0 is the head
    Pieces pieces{};
    ListLink<Packet> in_bucket, in_order, in_source;
  };

  struct Source {
    std::uint64_t name = 0;
    std::size_t held = 0;                               // packets
    IntrusiveList<Packet, &Packet::in_source> packets;  // oldest first
    ListLink<Source> in_bucket, in_level;
  };

  using PacketBucket = IntrusiveList<Packet, &Packet::in_bucket>;
  using SourceBucket = IntrusiveList<Source, &Source::in_bucket>;

  /// Records in memory set aside at the start. They never move; one that is free is used again.
  template <typename T, ListLink<T> T::* kLink>
  class Pool {
   public:
    explicit Pool(std::size_t size) { records_.reserve(size); }

    /// As it was given back, or new. REQUIRES: fewer than `size` are taken.
    T& take() {
      T* used = free_.front();
      if (used == nullptr) return records_.emplace_back();
      free_.erase(*used);
      return *used;
    }

    void give_back(T& record) { free_.push_front(record); }

   private:
    std::vector<T> records_;
    IntrusiveList<T, kLink> free_;
  };

  [[nodiscard]] static ReassemblerLimits sane(ReassemblerLimits limits);
  [[nodiscard]] std::uint32_t bucket_of(std::uint64_t source, std::uint64_t id) const;
  [[nodiscard]] SourceBucket& bucket_of(std::uint64_t source);
  [[nodiscard]] Packet* find(std::uint32_t bucket, std::uint64_t source, std::uint64_t id);
  [[nodiscard]] Source* find(std::uint64_t source);
  [[nodiscard]] static Reassembly judge(const Packet& packet, const FragmentView& what);
  [[nodiscard]] bool has_room(std::size_t size) const;
  Packet& insert(Millis now, std::uint32_t bucket, std::uint64_t source, std::uint64_t id);
  void set_held(Source& source, std::size_t held);
  void erase(Packet& packet);
  void lose(Packet& packet);
  void make_room();

  // Invariants:
  // 1. A packet in flight is in its bucket, in `order_`, and in the list of its source, once each.
  // 2. A source is taken while it holds packets, and stands in levels_[held]. So there are no more
  //    sources than packets, and neither pool runs out.
  // 3. Levels above `noisiest_` are empty, so room is made without looking through all sources.
  // 4. `bytes_` and `datagrams_` are sums over all packets and never exceed the limits.
  ReassemblerLimits limits_;
  SipKey key_;
  std::vector<PacketBucket> packet_buckets_;  // a power of two of them
  std::vector<SourceBucket> source_buckets_;
  Pool<Packet, &Packet::in_order> packets_;
  Pool<Source, &Source::in_level> sources_;
  IntrusiveList<Packet, &Packet::in_order> order_;  // oldest first
  std::vector<IntrusiveList<Source, &Source::in_level>> levels_;
  std::size_t noisiest_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t bytes_ = 0;
  std::size_t datagrams_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t lost_ = 0;
};

template <typename Piece>
FragmentTable<Piece>::FragmentTable(const ReassemblerLimits& limits, SipKey key)
    : limits_(sane(limits)),
      key_(key),
      packet_buckets_(std::bit_ceil(limits_.packets)),
      source_buckets_(std::bit_ceil(limits_.packets)),
      packets_(limits_.packets),
      sources_(limits_.packets),
      levels_(limits_.packets_per_source + 1) {}

template <typename Piece>
ReassemblerLimits FragmentTable<Piece>::sane(ReassemblerLimits limits) {
  limits.packets = std::max<std::size_t>(limits.packets, 1);
  limits.packets_per_source = std::clamp<std::size_t>(limits.packets_per_source, 1, limits.packets);
  limits.datagrams = std::max<std::size_t>(limits.datagrams, 1);
  return limits;
}

// The source is a keyed hash already and nobody sees a bucket, so mixing does what a second SipHash
// would; a chain is no longer than what sources may hold. Source: finalizer of MurmurHash3.
template <typename Piece>
std::uint32_t FragmentTable<Piece>::bucket_of(std::uint64_t source, std::uint64_t id) const {
  std::uint64_t mixed = source ^ id ^ key_.k0;
  mixed = (mixed ^ mixed >> 33 ^ key_.k1) * 0xff51afd7ed558ccdULL;
  mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return static_cast<std::uint32_t>((mixed ^ mixed >> 33) & (packet_buckets_.size() - 1));
}

template <typename Piece>
auto FragmentTable<Piece>::bucket_of(std::uint64_t source) -> SourceBucket& {
  return source_buckets_[source & (source_buckets_.size() - 1)];
}

template <typename Piece>
auto FragmentTable<Piece>::find(std::uint32_t bucket, std::uint64_t source, std::uint64_t id)
    -> Packet* {
  Packet* packet = packet_buckets_[bucket].front();
  while (packet != nullptr && (packet->id != id || packet->source->name != source))
    packet = PacketBucket::after(*packet);
  return packet;
}

template <typename Piece>
auto FragmentTable<Piece>::find(std::uint64_t source) -> Source* {
  Source* known = bucket_of(source).front();
  while (known != nullptr && known->name != source) known = SourceBucket::after(*known);
  return known;
}

/// What stands against one more piece of a packet in flight; kParked: nothing.
template <typename Piece>
Reassembly FragmentTable<Piece>::judge(const Packet& packet, const FragmentView& what) {
  if (what.total != 0 && packet.total != 0 && packet.total != what.total)
    return Reassembly::kRefused;
  if ((packet.have >> what.number & 1) != 0) return Reassembly::kDuplicate;
  if (packet.bytes + what.data.size() > kMaxPacket) return Reassembly::kRefused;
  return Reassembly::kParked;
}

template <typename Piece>
bool FragmentTable<Piece>::has_room(std::size_t size) const {
  return bytes_ + size <= limits_.bytes && datagrams_ < limits_.datagrams;
}

template <typename Piece>
void FragmentTable<Piece>::set_held(Source& source, std::size_t held) {
  levels_[source.held].erase(source);
  source.held = held;
  levels_[held].push_back(source);
  noisiest_ = std::max(noisiest_, held);
  while (noisiest_ > 0 && levels_[noisiest_].empty()) --noisiest_;
}

template <typename Piece>
void FragmentTable<Piece>::erase(Packet& packet) {
  Source& source = *packet.source;
  bytes_ -= packet.bytes;
  datagrams_ -= static_cast<std::size_t>(std::popcount(packet.have));
  --in_flight_;
  source.packets.erase(packet);
  set_held(source, source.held - 1);
  packet_buckets_[packet.bucket].erase(packet);
  order_.erase(packet);
  for (Piece& piece : packet.pieces) piece = {};
  packets_.give_back(packet);
  if (source.held != 0) return;
  levels_[0].erase(source);
  bucket_of(source.name).erase(source);
  sources_.give_back(source);
}

template <typename Piece>
void FragmentTable<Piece>::lose(Packet& packet) {
  lost_ += static_cast<std::uint64_t>(std::popcount(packet.have));
  erase(packet);
}

template <typename Piece>
void FragmentTable<Piece>::make_room() {
  ++evicted_;
  lose(*levels_[noisiest_].front()->packets.front());
}

template <typename Piece>
auto FragmentTable<Piece>::insert(Millis now, std::uint32_t bucket, std::uint64_t name,
                                  std::uint64_t id) -> Packet& {
  if (const Source* mine = find(name);
      mine != nullptr && mine->held >= limits_.packets_per_source) {
    ++evicted_;
    lose(*mine->packets.front());
  }
  if (in_flight_ >= limits_.packets) make_room();
  Source* source = find(name);
  if (source == nullptr) {
    source = &sources_.take();
    source->name = name;
    bucket_of(name).push_front(*source);
    levels_[0].push_back(*source);
  }
  Packet& packet = packets_.take();
  packet.id = id;
  packet.source = source;
  packet.since = now;
  packet.bucket = bucket;
  packet.bytes = 0;
  packet.total = packet.have = 0;
  packet_buckets_[bucket].push_front(packet);
  order_.push_back(packet);
  source->packets.push_back(packet);
  set_held(*source, source->held + 1);
  ++in_flight_;
  return packet;
}

template <typename Piece>
template <typename Make>
Reassembly FragmentTable<Piece>::add(Millis now, std::uint64_t source, const FragmentView& what,
                                     Make make, Pieces& whole) {
  const std::size_t size = what.data.size();
  if (size > std::min(kMaxPacket, limits_.bytes)) return Reassembly::kRefused;
  const std::uint32_t bucket = bucket_of(source, what.id);
  Packet* known = find(bucket, source, what.id);
  if (known != nullptr) {
    const Reassembly verdict = judge(*known, what);
    if (verdict != Reassembly::kParked) return verdict;
  }
  if (!has_room(size)) {
    do make_room();
    while (!has_room(size));
    known = find(bucket, source, what.id);  // it may have made room itself
  }
  Packet& packet = known != nullptr ? *known : insert(now, bucket, source, what.id);
  if (what.total != 0) packet.total = what.total;
  packet.have = static_cast<std::uint8_t>(packet.have | (1u << what.number));
  packet.bytes += static_cast<std::uint32_t>(size);
  packet.pieces[what.number] = make();
  bytes_ += size;
  ++datagrams_;
  if (packet.total == 0 || packet.have != (1u << packet.total) - 1) return Reassembly::kParked;
  whole = std::move(packet.pieces);
  erase(packet);
  return Reassembly::kComplete;
}

template <typename Piece>
std::size_t FragmentTable<Piece>::expire(Millis now) {
  std::size_t count = 0;
  while (order_.front() != nullptr && now - order_.front()->since > limits_.timeout) {
    lose(*order_.front());
    ++count;
  }
  return count;
}

}  // namespace orrery::wire
