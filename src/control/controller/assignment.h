// Choosing addresses for a member from a network's pools, in the reference's order so that a
// network moved here keeps giving what it would have given.
// Source: docs/protocol/11-controller.md
// section 3.3.
#pragma once

#include <functional>
#include <optional>

#include "control/controller/registry.h"

namespace orrery::control {

/// An IPv4 address (port 0) that nobody has: the pool is searched from the member's address on,
/// 1000 tries per pool. The last address of a pool of several is never chosen, nor one that ends in
/// 255, nor one outside the routes.
[[nodiscard]] std::optional<wire::Endpoint> free_ipv4(const NetworkEntry& net,
                                                      wire::Address member);

/// An IPv6 address (port 0) that nobody has: start of the pool plus the member's address if the
/// pool has 40 bits, else at random, 1000 tries per pool. Only routes without a gateway count.
[[nodiscard]] std::optional<wire::Endpoint> free_ipv6(const NetworkEntry& net, wire::Address member,
                                                      const std::function<std::uint64_t()>& random);

}  // namespace orrery::control
