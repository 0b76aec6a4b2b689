#include "sim/nat.h"

namespace orrery::sim {

namespace {

constexpr std::uint16_t kFirstPort = 1'024;  // below are ports that no NAT gives away

}  // namespace

wire::Endpoint Nat::matters(NatBehaviour::Depends depends, const wire::Endpoint& remote) {
  switch (depends) {
    case NatBehaviour::Depends::kOnNothing:
      return {};
    case NatBehaviour::Depends::kOnAddress:
      return remote.with_port(0);
    case NatBehaviour::Depends::kOnAddressAndPort:
      break;
  }
  return remote;
}

std::uint64_t Nat::inside_key(const wire::Endpoint& inside, const wire::Endpoint& remote) const {
  return key_of(key_of(0, matters(behaviour_.mapping, remote)), inside);
}

std::uint64_t Nat::outside_key(std::uint16_t udp_port, const wire::Endpoint& remote) const {
  return key_of(udp_port, matters(behaviour_.mapping, remote));
}

std::optional<std::uint16_t> Nat::choose(Micros now, const wire::Endpoint& inside,
                                         const wire::Endpoint& remote) {
  std::uint16_t port = inside.port;
  if (behaviour_.ports == NatBehaviour::Ports::kSequential) port = next_port_++;
  if (behaviour_.ports == NatBehaviour::Ports::kRandom)
    port = static_cast<std::uint16_t>(random_.between(kFirstPort, 65'535));
  for (std::uint32_t tries = 0; tries < 65'536; ++tries, ++port) {
    if (port < kFirstPort) continue;
    const std::uint64_t key = outside_key(port, remote);
    const std::uint64_t* const taken = by_outside_.find(key);
    if (taken == nullptr) return port;
    if (!expired(*by_inside_.find(*taken), now)) continue;
    by_inside_.erase(*taken);
    by_outside_.erase(key);
    return port;
  }
  return std::nullopt;
}

std::optional<wire::Endpoint> Nat::outbound(Micros now, const wire::Endpoint& inside,
                                            const wire::Endpoint& remote) {
  if (by_inside_.size() >= swept_at_) sweep(now);
  const std::uint64_t key = inside_key(inside, remote);
  Mapping* mapping = by_inside_.find(key);
  if (mapping != nullptr && expired(*mapping, now)) {
    by_outside_.erase(outside_key(mapping->udp_port, remote));
    by_inside_.erase(key);
    mapping = nullptr;
  }
  if (mapping == nullptr) {
    const std::optional<std::uint16_t> port = choose(now, inside, remote);
    if (!port) return std::nullopt;
    mapping = &by_inside_[key];
    mapping->inside = inside;
    mapping->udp_port = *port;
    by_outside_[outside_key(*port, remote)] = key;
  }
  mapping->used = now;
  if (behaviour_.filter != NatBehaviour::Depends::kOnNothing)
    mapping->permitted[key_of(0, matters(behaviour_.filter, remote))] = now;
  return outside_.with_port(mapping->udp_port);
}

std::optional<wire::Endpoint> Nat::inbound(Micros now, std::uint16_t udp_port,
                                           const wire::Endpoint& remote) {
  const std::uint64_t* const known = by_outside_.find(outside_key(udp_port, remote));
  if (known == nullptr) return std::nullopt;
  Mapping& mapping = *by_inside_.find(*known);
  if (expired(mapping, now)) return std::nullopt;
  if (behaviour_.filter != NatBehaviour::Depends::kOnNothing) {
    Micros* const permit = mapping.permitted.find(key_of(0, matters(behaviour_.filter, remote)));
    if (permit == nullptr || now - *permit >= behaviour_.lifetime) return std::nullopt;
    if (behaviour_.refreshed_inbound) *permit = now;
  }
  if (behaviour_.refreshed_inbound) mapping.used = now;
  return mapping.inside;
}

void Nat::readdress(const wire::Endpoint& outside) {
  outside_ = outside;
  forget();
}

void Nat::forget() {
  by_inside_.clear();
  by_outside_.clear();
}

void Nat::sweep(Micros now) {
  by_outside_.erase_if(
      [&](std::uint64_t, std::uint64_t key) { return expired(*by_inside_.find(key), now); });
  by_inside_.erase_if([&](std::uint64_t, const Mapping& mapping) { return expired(mapping, now); });
  by_inside_.for_each([&](std::uint64_t, Mapping& mapping) {
    mapping.permitted.erase_if(
        [&](std::uint64_t, Micros permit) { return now - permit >= behaviour_.lifetime; });
  });
  swept_at_ = std::max<std::size_t>(64, 2 * by_inside_.size());
}

}  // namespace orrery::sim
