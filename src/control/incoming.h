// A packet whose sender is known and whose payload is authenticated plaintext, as verb handlers see
// it.
#pragma once

#include "base/time.h"
#include "fib/path_key.h"
#include "wire/header.h"

namespace orrery::control {

struct Peer;

/// What an outstanding request was, when an OK or ERROR answers it (docs/architecture.md,
/// "replies").
struct Answered {
  wire::Verb verb = wire::Verb::kNop;
  std::uint64_t context = 0;  // what the sender of the request put there: a network id, an address
};

struct Incoming {
  fib::PathKey via;  // arrival path; belongs to the relay when hops > 0
  wire::Address source;
  std::uint64_t packet_id = 0;  // as on the wire
  std::uint8_t hops = 0;
  wire::Verb verb = wire::Verb::kNop;
  std::size_t wire_size = 0;  // bytes of the packet as received, for the amplification limit
  Bytes payload;              // after the verb byte, decompressed; valid during the call
  Peer* peer = nullptr;       // the sender; valid during the call
};

/// How a handler ended; decides about the received step (docs/protocol/04-paths-and-roots.md
/// section 5).
enum class Handled : std::uint8_t {
  kDone,         // received step without trust
  kDoneTrusted,  // received step, trust established by common membership
  kIgnored,      // no received step
  kNotYet,       // keep the packet and run the handler again when something changed, up to 5 s
};

}  // namespace orrery::control
