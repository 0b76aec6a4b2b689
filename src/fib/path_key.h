// A path: which local socket, which remote endpoint. The same key in both planes.
#pragma once

#include <compare>

#include "wire/endpoint.h"

namespace orrery::fib {

/// Identifies one bound local address and UDP port, of a socket port or of a DPDK port. The service
/// gives the numbers; they are never reused while the daemon runs. 0 means "any" (all of them, when
/// sending).
using LocalSocket = std::uint32_t;

struct PathKey {
  LocalSocket socket = 0;
  wire::Endpoint remote;

  explicit operator bool() const { return static_cast<bool>(remote); }

  friend auto operator<=>(const PathKey&, const PathKey&) = default;
};

}  // namespace orrery::fib
