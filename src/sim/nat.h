// A box that translates addresses (RFC 4787): which mapping an inside endpoint gets, who may use it
// from outside, how long it lives.
//
// Pure: time and chance come in. It knows nothing of where it stands; internet.h puts it between
// two realms. IPv4 only, as NATs are. Weak spot: one outside address; no fragments, no ICMP.
#pragma once

#include <optional>
#include <string>

#include "sim/event_queue.h"
#include "sim/flat_map.h"
#include "sim/random.h"
#include "wire/endpoint.h"

namespace orrery::sim {

struct NatBehaviour {
  /// What of the remote endpoint matters, for the mapping and for the filter.
  enum class Depends : std::uint8_t { kOnNothing, kOnAddress, kOnAddressAndPort };
  /// How the outside port is chosen.
  enum class Ports : std::uint8_t {
    kPreserved,   // the inside port if it is free, else the next that is
    kSequential,  // one after the other
    kRandom,
  };

  Depends mapping = Depends::kOnNothing;
  Depends filter = Depends::kOnNothing;
  Ports ports = Ports::kPreserved;
  bool hairpin = false;            // inside hosts reach each other by the outside address
  bool refreshed_inbound = false;  // datagrams from outside keep a mapping alive, too
  Micros lifetime = 120'000'000;   // of a mapping that is not used

  friend bool operator==(const NatBehaviour&, const NatBehaviour&) = default;
};

// RFC 3489's names for the usual ones.
inline constexpr NatBehaviour kFullCone{};
inline constexpr NatBehaviour kRestrictedCone{.filter = NatBehaviour::Depends::kOnAddress};
inline constexpr NatBehaviour kPortRestricted{.filter = NatBehaviour::Depends::kOnAddressAndPort};
/// Linux: a mapping for each remote endpoint, which nearly always has the inside port.
inline constexpr NatBehaviour kMasquerade{.mapping = NatBehaviour::Depends::kOnAddressAndPort,
                                          .filter = NatBehaviour::Depends::kOnAddressAndPort,
                                          .refreshed_inbound = true};
inline constexpr NatBehaviour kSymmetricSequential{
    .mapping = NatBehaviour::Depends::kOnAddressAndPort,
    .filter = NatBehaviour::Depends::kOnAddressAndPort,
    .ports = NatBehaviour::Ports::kSequential};
inline constexpr NatBehaviour kSymmetricRandom{.mapping = NatBehaviour::Depends::kOnAddressAndPort,
                                               .filter = NatBehaviour::Depends::kOnAddressAndPort,
                                               .ports = NatBehaviour::Ports::kRandom};

class Nat {
 public:
  /// `outside`: its address there; the port is of no meaning.
  Nat(const wire::Endpoint& outside, const NatBehaviour& behaviour, Random random)
      : outside_(outside), behaviour_(behaviour), random_(random) {}

  [[nodiscard]] const wire::Endpoint& outside() const { return outside_; }

  [[nodiscard]] const NatBehaviour& behaviour() const { return behaviour_; }

  /// A datagram from `inside` goes to `remote`: what its source becomes. Nothing when no port is
  /// free.
  std::optional<wire::Endpoint> outbound(Micros now, const wire::Endpoint& inside,
                                         const wire::Endpoint& remote);
  /// A datagram from `remote` comes to this outside port: the inside endpoint it is for. Nothing
  /// when there is no mapping or the filter keeps it out.
  std::optional<wire::Endpoint> inbound(Micros now, std::uint16_t udp_port,
                                        const wire::Endpoint& remote);

  /// Another outside address, as after a new lease; mappings are gone.
  void readdress(const wire::Endpoint& outside);
  /// Mappings are gone, as after a restart.
  void forget();

  [[nodiscard]] std::size_t mappings() const { return by_inside_.size(); }

 private:
  struct Mapping {
    wire::Endpoint inside;
    std::uint16_t udp_port = 0;
    Micros used = 0;
    FlatMap<Micros> permitted;  // remotes as far as the filter depends on them
  };

  static wire::Endpoint matters(NatBehaviour::Depends depends, const wire::Endpoint& remote);
  /// Of a mapping: by the inside endpoint, and by the outside port.
  [[nodiscard]] std::uint64_t inside_key(const wire::Endpoint& inside,
                                         const wire::Endpoint& remote) const;
  [[nodiscard]] std::uint64_t outside_key(std::uint16_t udp_port,
                                          const wire::Endpoint& remote) const;
  [[nodiscard]] std::optional<std::uint16_t> choose(Micros now, const wire::Endpoint& inside,
                                                    const wire::Endpoint& remote);

  [[nodiscard]] bool expired(const Mapping& mapping, Micros now) const {
    return now - mapping.used >= behaviour_.lifetime;
  }

  void sweep(Micros now);

  wire::Endpoint outside_;
  NatBehaviour behaviour_;
  Random random_;
  FlatMap<Mapping> by_inside_;
  FlatMap<std::uint64_t> by_outside_;  // to the key in by_inside_
  std::uint16_t next_port_ = 20'000;
  std::size_t swept_at_ = 64;  // mappings at which the expired ones are looked for
};

}  // namespace orrery::sim
