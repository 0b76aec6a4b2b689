#include "control/controller/assignment.h"

#include <algorithm>

namespace orrery::control {
namespace {

constexpr std::uint64_t kTries = 1000;

/// Whether a route's target is exactly the network that `ip` lies in: a target with host bits set
/// matches nothing.
bool routed_v4(const NetworkView& view, std::uint32_t ip) {
  return std::any_of(view.routes.begin(), view.routes.end(), [&](const wire::Route& r) {
    if (r.target.family != 4 || r.target.port == 0) return false;
    const std::uint32_t mask = ~std::uint32_t{0} << (32 - r.target.port);
    return load_be32(r.target.ip.data()) == (ip & mask);
  });
}

bool routed_v6(const NetworkView& view, const wire::Endpoint& ip) {
  return std::any_of(view.routes.begin(), view.routes.end(), [&](const wire::Route& r) {
    return r.target.port > 0 && !r.via && wire::contains(r.target, ip);
  });
}

}  // namespace

std::optional<wire::Endpoint> free_ipv4(const NetworkEntry& net, wire::Address member) {
  for (const AddressPool& pool : net.view->pools) {
    if (pool.first.family != 4) continue;
    const std::uint32_t start = load_be32(pool.first.ip.data());
    const std::uint32_t end = load_be32(pool.last.ip.data());
    if (start == 0 || start > end) continue;
    const std::uint32_t n = end - start;
    auto offset = static_cast<std::uint32_t>(member.value);
    for (std::uint64_t tries = std::min(std::uint64_t{n} + 1, kTries); tries > 0;
         --tries, ++offset) {
      const std::uint32_t ip = n > 0 ? start + offset % n : start;
      if ((ip & 0xff) == 0xff || !routed_v4(*net.view, ip)) continue;
      const wire::Endpoint candidate = wire::Endpoint::v4(ip, 0);
      if (!net.addresses.taken(candidate)) return candidate;
    }
  }
  return std::nullopt;
}

std::optional<wire::Endpoint> free_ipv6(const NetworkEntry& net, wire::Address member,
                                        const std::function<std::uint64_t()>& random) {
  for (const AddressPool& pool : net.view->pools) {
    if (pool.first.family != 6) continue;
    const std::uint64_t start_hi = load_be64(pool.first.ip.data()),
                        start_lo = load_be64(pool.first.ip.data() + 8);
    const std::uint64_t end_hi = load_be64(pool.last.ip.data()),
                        end_lo = load_be64(pool.last.ip.data() + 8);
    const bool roomy = end_lo > start_lo && end_lo - start_lo >= (std::uint64_t{1} << 40) - 1;
    for (std::uint64_t trial = 0; trial < kTries; ++trial) {
      std::uint64_t hi = start_hi, lo = start_lo;
      if (trial == 0 && roomy) {
        lo += member.value;
      } else {
        if (end_hi > start_hi) hi += random() % (end_hi - start_hi);
        if (end_lo > start_lo) lo += random() % (end_lo - start_lo);
      }
      std::array<std::uint8_t, 16> ip;
      store_be64(ip.data(), hi);
      store_be64(ip.data() + 8, lo);
      const wire::Endpoint candidate = wire::Endpoint::v6(ip, 0);
      if (routed_v6(*net.view, candidate) && !net.addresses.taken(candidate)) return candidate;
    }
  }
  return std::nullopt;
}

}  // namespace orrery::control
