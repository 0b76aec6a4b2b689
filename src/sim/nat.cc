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

Nat::Key Nat::outside_key(std::uint16_t udp_port, const wire::Endpoint& remote) const {
  wire::Endpoint port_alone;
  port_alone.port = udp_port;
  return {port_alone, matters(behaviour_.mapping, remote)};
}

std::optional<std::uint16_t> Nat::choose(Micros now, const wire::Endpoint& inside,
                                         const wire::Endpoint& remote) {
  std::uint16_t port = inside.port;
  if (behaviour_.ports == NatBehaviour::Ports::kSequential) port = next_port_++;
  if (behaviour_.ports == NatBehaviour::Ports::kRandom)
    port = static_cast<std::uint16_t>(random_.between(kFirstPort, 65'535));
  for (std::uint32_t tries = 0; tries < 65'536; ++tries, ++port) {
    if (port < kFirstPort) continue;
    const auto taken = by_outside_.find(outside_key(port, remote));
    if (taken == by_outside_.end()) return port;
    if (!expired(by_inside_.at(taken->second), now)) continue;
    by_inside_.erase(taken->second);
    by_outside_.erase(taken);
    return port;
  }
  return std::nullopt;
}

std::optional<wire::Endpoint> Nat::outbound(Micros now, const wire::Endpoint& inside,
                                            const wire::Endpoint& remote) {
  if (by_inside_.size() >= swept_at_) sweep(now);
  const Key key{inside, matters(behaviour_.mapping, remote)};
  auto known = by_inside_.find(key);
  if (known != by_inside_.end() && expired(known->second, now)) {
    by_outside_.erase(outside_key(known->second.udp_port, remote));
    by_inside_.erase(known);
    known = by_inside_.end();
  }
  if (known == by_inside_.end()) {
    const std::optional<std::uint16_t> port = choose(now, inside, remote);
    if (!port) return std::nullopt;
    known = by_inside_.emplace(key, Mapping{inside, *port, now, {}}).first;
    by_outside_.emplace(outside_key(*port, remote), key);
  }
  Mapping& mapping = known->second;
  mapping.used = now;
  if (behaviour_.filter != NatBehaviour::Depends::kOnNothing)
    mapping.permitted[matters(behaviour_.filter, remote)] = now;
  return outside_.with_port(mapping.udp_port);
}

std::optional<wire::Endpoint> Nat::inbound(Micros now, std::uint16_t udp_port,
                                           const wire::Endpoint& remote) {
  const auto known = by_outside_.find(outside_key(udp_port, remote));
  if (known == by_outside_.end()) return std::nullopt;
  Mapping& mapping = by_inside_.at(known->second);
  if (expired(mapping, now)) return std::nullopt;
  if (behaviour_.filter != NatBehaviour::Depends::kOnNothing) {
    const auto permit = mapping.permitted.find(matters(behaviour_.filter, remote));
    if (permit == mapping.permitted.end() || now - permit->second >= behaviour_.lifetime)
      return std::nullopt;
    if (behaviour_.refreshed_inbound) permit->second = now;
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
  std::erase_if(by_outside_, [&](const auto& entry) {
    const auto mapping = by_inside_.find(entry.second);
    if (!expired(mapping->second, now)) return false;
    by_inside_.erase(mapping);
    return true;
  });
  for (auto& [key, mapping] : by_inside_) {
    std::erase_if(mapping.permitted,
                  [&](const auto& permit) { return now - permit.second >= behaviour_.lifetime; });
  }
  swept_at_ = std::max<std::size_t>(64, 2 * by_inside_.size());
}

}  // namespace orrery::sim
