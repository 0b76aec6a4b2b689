// The few facts that ride with an mbuf in its 64-byte private area, across ports and rings.
#pragma once

#include <rte_mbuf.h>

#include "base/layout.h"
#include "fib/neighbour.h"
#include "fib/path_key.h"
#include "wire/address.h"

namespace orrery::dataplane {

/// What a packet on a ring to or from control is.
enum class Message : std::uint8_t {
  kDatagram,       // raw UDP payload; remote and socket are its endpoint
  kAuthenticated,  // header and plaintext of a packet that a worker opened; wire_size is what came
                   // in
  kReassembled,    // whole raw packet of an unknown sender, made from fragments; fragmented flag as
                   // received
  kFrame,          // Ethernet frame of `network`
  kMulticastRest,  // the same, sent to all but those behind it: [5] recipient each, [1] how many
  // Events; the payload is theirs, PacketMeta names network, remote and socket.
  kReceived,   // a frame passed the gate: [5] peer, [1] verb, [1] hops
  kLearned,    // a station was seen behind a remote bridge: [6] MAC, [5] bridge
  kStale,      // a frame went to a member that may lack our credentials: [5] member
  kGroupUsed,  // frames went to a group: [6] MAC, [4] ADI, [1] by a bridged station
  kSent,       // frames go to a peer: [5] peer
  kFullSize,   // packets of full size go to a peer: [5] peer
  kRelayed,    // a packet was relayed: [5] source, [5] destination, [1] hops
  kProbe,      // a probe of bridges came in, whole; `side` says where
};

struct alignas(kCacheLine) PacketMeta {
  wire::Endpoint remote;        // underlay: where a datagram came from or goes to
  fib::LocalSocket socket = 0;  // underlay: which local socket
  std::uint64_t network = 0;    // frames: network id
  std::uint64_t story = 0;      // sampled by a capture: its story (capture.h); 0: not
  std::uint8_t ttl = 0;         // underlay: 0 is the system's default
  Message message = Message::kDatagram;
  std::uint16_t wire_size = 0;  // kAuthenticated: bytes as received
  // Bridged networks: kProbe, and frames with a neighbour: the side that it came from, +1. A frame
  // to deliver: the only local port that gets it, +1; 0: as its destination says.
  std::uint8_t side = 0;
  bool whole = false;  // underlay: never fragmented by IP
  // A frame of a local port that asks for an IP address: who has it, beyond the overlay.
  fib::Neighbour neighbour;
};

static_assert(sizeof(PacketMeta) == kCacheLine);

inline PacketMeta& meta_of(rte_mbuf* m) {
  return *static_cast<PacketMeta*>(rte_mbuf_to_priv(m));
}

}  // namespace orrery::dataplane
