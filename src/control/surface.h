// How others see us: external addresses reported by HELLO and OK(HELLO).
//
// Established peers may report over confirmed paths, but only a root's change of mind resets paths,
// at most once a minute, and where roots have told us about a socket, family and scope, nobody else
// is listened to.
// Source: docs/protocol/04-paths-and-roots.md section 10.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "base/time.h"
#include "fib/path_key.h"
#include "wire/address.h"

namespace orrery::control {

class Surface {
 public:
  static constexpr Millis kLifetime = 600'000;
  static constexpr std::size_t kMaxReports = 512;  // oldest gives way: a peer has few reports

  /// Family and scope whose paths must be tested again because our address changed.
  struct Reset {
    std::uint8_t family = 0;
    wire::IpScope scope = wire::IpScope::kNone;
  };

  std::optional<Reset> observe(Millis now, wire::Address reporter, const fib::PathKey& via,
                               const wire::Endpoint& reported, bool from_root);
  void expire(Millis now);
  /// What was said of other local sockets than these is no use any more.
  void forget_others(const std::set<fib::LocalSocket>& present);
  /// Distinct endpoints, as they were first reported; of others than roots only where no root
  /// speaks.
  [[nodiscard]] std::vector<wire::Endpoint> endpoints() const;

 private:
  struct Report {
    wire::Address reporter;
    fib::PathKey via;
    wire::Endpoint reported;
    Millis at = 0;
    bool from_root = false;
  };

  std::vector<Report> reports_;
  Millis last_reset_ = 0;
};

}  // namespace orrery::control
