// The kinds of access that the matrix of docs/nat.md sets against each other, and what a meeting of
// two comes to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/scenes.h"

namespace orrery::test {

struct NatKind {
  const char* name;         // in the rows and columns
  const char* description;  // what it is; null where docs/nat.md says so by hand
  sim::Place (*place)(sim::Scene&);
};

[[nodiscard]] const std::vector<NatKind>& nat_kinds();

struct Meeting {
  std::optional<Millis> connected;  // from the first frame until frames came both ways
  std::optional<Millis> direct;     // and until they did without a relay
  bool stayed = true;               // once direct, so to the end
};

/// Two members behind `a` and `b` talk for `patience` ms, a frame each way every 250 ms.
/// `predicting`: both guess at ports.
[[nodiscard]] Meeting meet(sim::Scene& s, const NatKind& a, const NatKind& b, Millis patience,
                           bool predicting = false);

/// Whether theory lets two such get through to each other, by chance excepted.
[[nodiscard]] bool should_be_direct(const NatKind& a, const NatKind& b, bool predicting = false);

/// docs/nat.md with its part on the simulated world as the matrix says it now; behind what is there
/// if it has none yet.
[[nodiscard]] std::string nat_document(std::string document, std::uint64_t seed = 1);

}  // namespace orrery::test
