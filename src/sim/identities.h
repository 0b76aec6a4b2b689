// Identities that a seed decides, the reduced proof of work that binds an address to a key in
// simulations, and the memory of secrets that were agreed on.
//
// The real work takes 25 ms a key and 2 MiB; the reduced one is a hash. Whoever validates decides
// which one counts: crypto::validate() refuses nearly all identities made here, and work_holds()
// nearly all real ones. Signatures, agreement and everything else are the real thing; a secret that
// both ends agree on is computed once for both.
// Source: docs/architecture.md, "The simulated world".
#pragma once

#include <atomic>
#include <unordered_map>

#include "crypto/curve.h"
#include "sim/random.h"

namespace orrery::sim {

/// A new identity with the reduced work done.
[[nodiscard]] crypto::SecretIdentity make_identity(Random& random);
[[nodiscard]] crypto::SecretIdentity copy_of(const crypto::SecretIdentity& identity);
/// The reduced work: whether the address is the one that the key has.
[[nodiscard]] bool work_holds(const wire::Identity& identity);

/// Secrets by pair of keys. They stay, since nodes forget each other and begin anew; with more than
/// `limit` of them all are forgotten.
class Agreements {
 public:
  explicit Agreements(std::size_t limit = 1u << 22) : limit_(limit) {}

  /// As crypto::agree(). From any thread.
  bool agree(const crypto::SecretIdentity& mine, const wire::PublicKey& theirs,
             crypto::SharedSecret& out);

 private:
  struct Pair {
    std::uint64_t low, high;  // first bytes of both public keys: random enough to name them
    friend bool operator==(const Pair&, const Pair&) = default;
  };

  struct PairHash {
    std::size_t operator()(const Pair& pair) const noexcept {
      return pair.low * 0x9e3779b97f4a7c15 ^ pair.high;
    }
  };

  std::size_t limit_;
  std::atomic_flag busy_;
  std::unordered_map<Pair, crypto::SharedSecret, PairHash> known_;
};

}  // namespace orrery::sim
