// Fragments back into packets, for control: copies pieces into buffers of its own; no mbuf, no
// clock. What it keeps, refuses and pushes out is fragment_table.h's.
#pragma once

#include <memory>

#include "wire/fragment_table.h"

namespace orrery::wire {

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
