// Planet and moons: which documents we hold, which we wish for, and when a new one replaces an old
// one.
//
// The planet file in the home directory is the operator's word. A first moon from a seed is taken
// when one of its roots is the seed and the proof of work of all its roots holds (checked by the
// driver, since it is slow). Later revisions must be newer and signed by the update key that we
// hold. On any doubt the old document stays. Source: docs/protocol/05-planet-and-moons.md sections
// 4 to 6; tests/vectors/worlds.json.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "control/topology.h"
#include "wire/verbs/hello.h"
#include "wire/world.h"

namespace orrery::control {

class Worlds {
 public:
  enum class Verdict : std::uint8_t {
    kAccepted,
    kRejected,
    kUnproven,  // a wished-for moon: waits until prove() has been told of every identity in it
  };

  struct Wish {
    std::uint64_t id = 0;
    wire::Address seed;
    friend bool operator==(const Wish&, const Wish&) = default;
  };

  /// The operator's word: a file in the home directory. No signature is needed where nothing is
  /// held yet.
  Verdict load(const wire::World& world);
  /// From a root or seed. `wall`: documents from more than a day ahead are refused.
  Verdict offer(const wire::World& world, Millis wall);
  /// The proof of work of an identity was checked; returns the moons that are now complete and
  /// accepted.
  std::vector<wire::World> prove(const wire::Identity& identity, bool valid);

  /// The proof was not done: moons that wait for it may be offered again.
  void forget_unproven(const wire::Identity& identity);

  void wish(const Wish& wish);
  /// Forgets moon and wishes; whether anything was there.
  bool deorbit(std::uint64_t id);
  [[nodiscard]] bool is_seed(wire::Address address) const;

  [[nodiscard]] const wire::World& planet() const { return planet_; }

  [[nodiscard]] const std::map<std::uint64_t, wire::World>& moons() const { return moons_; }

  [[nodiscard]] const std::vector<Wish>& wishes() const { return wishes_; }

  /// Moon entries for our HELLO: what we have, then what we want with time 0.
  [[nodiscard]] std::vector<wire::MoonEntry> entries() const;
  /// Our planet, serialised, if it is the asker's and newer; else empty.
  [[nodiscard]] ByteVector planet_update(std::uint64_t id, std::uint64_t timestamp) const;
  /// Our moon, serialised, if it is newer than the entry; else empty.
  [[nodiscard]] ByteVector moon_update(const wire::MoonEntry& entry) const;

  /// All roots of all worlds but ourselves, ascending by address.
  [[nodiscard]] std::vector<Upstream> upstreams(const wire::Identity& self) const;
  [[nodiscard]] bool lists(const wire::Identity& identity) const;
  /// Ids of the worlds that name this identity.
  [[nodiscard]] std::vector<std::uint64_t> naming(const wire::Identity& identity) const;
  [[nodiscard]] bool names(std::uint64_t world, const wire::Identity& identity) const;

 private:
  struct Unproven {
    wire::World moon;
    std::vector<wire::Identity> missing;
  };

  [[nodiscard]] bool replaces(const wire::World& held, const wire::World& world) const;
  void settle(const wire::World& moon);

  wire::World planet_;
  std::map<std::uint64_t, wire::World> moons_;
  std::vector<Wish> wishes_;
  std::vector<Unproven> unproven_;  // at most one per wish
};

/// Whether the document carries a signature by its own update key.
[[nodiscard]] bool signs_itself(const wire::World& world);

}  // namespace orrery::control
