// Fragments back into packets. Copies pieces into buffers of its own; no mbuf, no clock.
//
// Pieces are kept by (source, packet id), so that nobody can spoil another's packet by guessing its
// id. Everything is bounded: packets in flight, bytes, and packets per source; when full, the
// oldest packet of the source that holds most makes room. Duplicates are ignored, a changed total
// or an index outside of it is refused. Incomplete packets expire. Weak spot: a sender whose source
// changes in the middle of a packet loses that packet. Source: docs/protocol/02-packet.md section
// 10; tests/vectors/fragments.json.
#pragma once

#include <memory>

#include "base/siphash.h"
#include "base/time.h"
#include "wire/header.h"

namespace orrery::wire {

struct ReassemblerLimits {
  std::size_t packets = 4096;     // in flight
  std::size_t bytes = 32u << 20;  // of pieces held
  std::size_t packets_per_source = 256;
  Millis timeout = 2000;  // mono ms after the first piece
};

enum class Reassembly : std::uint8_t {
  kParked,     // kept, more to come
  kComplete,   // packet() holds the whole packet until the next call
  kDuplicate,  // this piece is there already
  kRefused,    // counts out of range, total changed, or larger than a packet may be
};

class Reassembler {
 public:
  Reassembler(const ReassemblerLimits& limits, SipKey key);
  ~Reassembler();
  Reassembler(Reassembler&&) noexcept;
  Reassembler& operator=(Reassembler&&) noexcept;

  /// A head with the fragmented flag. `source`: any number that names the sender's endpoint, e.g.
  /// its keyed hash.
  Reassembly add_head(Millis now, std::uint64_t source, Bytes datagram);
  /// A fragment (16-byte header and data).
  Reassembly add_fragment(Millis now, std::uint64_t source, Bytes datagram);
  /// The packet completed last; its fragmented flag is as received. Valid until the next call.
  [[nodiscard]] Bytes packet() const;

  /// Drops what is too old; returns how many packets.
  std::size_t expire(Millis now);
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] std::size_t bytes_held() const;
  /// Packets that made room for others since the start.
  [[nodiscard]] std::uint64_t evicted() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::wire
