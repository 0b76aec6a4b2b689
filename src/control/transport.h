// What the joined networks and the controller need of the peer-to-peer layer. `Vl1`
// (control/topology.h and its neighbours) implements it; tests of networks and controller implement
// it with a recorder.
//
// send() follows docs/protocol/00-overview.md section 3.1: unknown peers are looked up by WHOIS and
// the packet waits up to 5 s; the path is the best direct one or a relay; the packet is fragmented
// to the path's MTU.
#pragma once

#include "base/time.h"
#include "control/effects.h"
#include "control/incoming.h"
#include "crypto/curve.h"

namespace orrery::control {

struct SendOptions {
  bool compress = false;  // try LZ4
  bool expect_reply =
      false;  // remember the id on the wire; an answer shows up as Answered{verb, context}
  std::uint64_t context = 0;
  bool watch = false;  // the path is watched as one with unicast frames is
};

class Transport {
 public:
  virtual ~Transport() = default;

  [[nodiscard]] virtual const crypto::SecretIdentity& self() const = 0;

  /// Sends or queues one packet the normal way.
  virtual void send(Now now, wire::Address to, wire::Verb verb, Bytes payload,
                    const SendOptions& options, Effects& out) = 0;
  /// One datagram over the arrival path of `to` (OK, ERROR). Applies the amplification limit.
  virtual void reply(Now now, const Incoming& to, wire::Verb verb, Bytes payload, Effects& out) = 0;

  /// Identity of a known peer, or null. Valid until the next input.
  [[nodiscard]] virtual const wire::Identity* identity_of(wire::Address address) const = 0;
  /// Starts a WHOIS unless the address is known or was asked for less than 500 ms ago.
  virtual void request_identity(Now now, wire::Address address, Effects& out) = 0;

  /// A tag of this message that only we and that peer can make; nothing while no secret is shared.
  [[nodiscard]] virtual std::optional<std::array<std::uint8_t, 16>> authenticate(
      wire::Address peer, Bytes message) const = 0;

  /// All roots of planet and moons except ourselves.
  [[nodiscard]] virtual std::vector<wire::Address> roots() const = 0;
  /// The best root, or a zero address.
  [[nodiscard]] virtual wire::Address best_root(Now now) const = 0;
  [[nodiscard]] virtual bool is_root(wire::Address address) const = 0;
  [[nodiscard]] virtual bool self_is_root() const = 0;
  /// Heard from within 500 s over a direct path that has not failed; latency in ms, or -1 if there
  /// is none.
  [[nodiscard]] virtual int direct_latency(Now now, wire::Address address) const = 0;
  /// The sender's path has been confirmed by an answer (or the packet was relayed): large answers
  /// may go there.
  [[nodiscard]] virtual bool path_confirmed(const Incoming& in) const = 0;

  /// Fresh random bytes and numbers from the entropy that Node was given.
  virtual void random(MutableBytes out) = 0;
  [[nodiscard]] virtual std::uint64_t random_u64() = 0;
};

}  // namespace orrery::control
