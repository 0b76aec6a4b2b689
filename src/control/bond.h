// Several links to one peer at a time: what the operator wants of them.
//
// A link is a local interface, or, where a node has but one, a remote address. Of each the path
// that was best when it was first needed is the link's, as long as it works.
//   active-backup  one carries, the others wait and are watched; another is taken when it fails
//   balance-xor    all carry, each inner flow keeps to one (fib/spread.h)
// A bond is this node's own business: the other end does as it likes, bonded or not, stock or not,
// and neither needs to know. So QOS_MEASUREMENT and PATH_NEGOTIATION_REQUEST of stock nodes mean
// nothing here, which they allow. Source: docs/protocol/04-paths-and-roots.md section 17,
// docs/protocol/12-local-service.md sections 5.6 and 6.3.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wire/address.h"

namespace orrery::control {

/// With the reference's numbers.
enum class BondPolicy : std::uint8_t { kNone = 0, kActiveBackup = 1, kBalanceXor = 4 };

/// When active-backup leaves a link that works.
enum class BondReselect : std::uint8_t {
  kFailure,  // never
  kBetter,   // for one that is clearly better for a while
  kAlways,   // for a primary one
};

struct BondSettings {
  BondPolicy policy = BondPolicy::kNone;
  BondReselect reselect = BondReselect::kFailure;
  std::vector<std::string> primary{};  // interfaces that go before others
  friend bool operator==(const BondSettings&, const BondSettings&) = default;
};

struct BondOptions {
  BondSettings everybody;  // but roots
  std::map<wire::Address, BondSettings> peers{};

  [[nodiscard]] bool any() const { return everybody.policy != BondPolicy::kNone || !peers.empty(); }
};

/// The reference's names; null for those that are not offered here.
[[nodiscard]] inline const char* name_of(BondPolicy policy) {
  switch (policy) {
    case BondPolicy::kNone:
      return "none";
    case BondPolicy::kActiveBackup:
      return "active-backup";
    case BondPolicy::kBalanceXor:
      return "balance-xor";
  }
  return "";
}

}  // namespace orrery::control
