#include "control/tcp_relay.h"

#include <algorithm>

#include "wire/header.h"

namespace orrery::control {

namespace {

constexpr std::size_t kLeastPacket = wire::kFragmentHeaderSize + 1;

bool in_one_of(const std::vector<wire::Endpoint>& networks, const wire::Endpoint& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const wire::Endpoint& n) { return wire::contains(n, address); });
}

}  // namespace

const char* label_of(TcpRelayDrop drop) {
  switch (drop) {
#define ORRERY_TCP_RELAY_DROP_LABEL(name, label) \
  case TcpRelayDrop::name:                       \
    return label;
    ORRERY_FOR_EACH_TCP_RELAY_DROP(ORRERY_TCP_RELAY_DROP_LABEL)
#undef ORRERY_TCP_RELAY_DROP_LABEL
    case TcpRelayDrop::kCount:
      break;
  }
  return "unknown";
}

std::optional<TcpRelayDrop> TcpRelayRules::refuse(const wire::Endpoint& destination) const {
  if (destination.family != 4) return TcpRelayDrop::kNotIpv4;
  if (destination.port == 0 || in_one_of(limits_.denied, destination))
    return TcpRelayDrop::kRefused;
  const bool own = std::any_of(own_.begin(), own_.end(), [&](const wire::Endpoint& address) {
    return address.same_ip(destination);
  });
  if (own && destination.port != node_port_) return TcpRelayDrop::kRefused;
  if (in_one_of(limits_.allowed, destination) ||
      wire::scope_of(destination) == wire::IpScope::kGlobal) {
    return std::nullopt;
  }
  return TcpRelayDrop::kRefused;
}

bool TcpRelayClient::make_room(Millis now) {
  if (destinations_.size() < kDestinations) return true;
  // All that is of no use any more, so that the next ones are cheap.
  std::erase_if(destinations_,
                [&](const auto& entry) { return now - entry.second.last_out >= kAnswered; });
  return destinations_.size() < kDestinations;
}

std::optional<TcpRelayDrop> TcpRelayClient::send(Millis now, const wire::Endpoint& destination,
                                                 std::size_t size) {
  last_ = now;
  if (size < kLeastPacket) return TcpRelayDrop::kNoPacket;
  if (!from_node_.any(now)) return TcpRelayDrop::kRateOut;
  auto it = destinations_.find(destination);
  if (it == destinations_.end()) {
    if (!make_room(now) || !news_.take(now)) return TcpRelayDrop::kTooMany;
    it = destinations_.emplace(destination, Destination{}).first;
  }
  Destination& known = it->second;
  const bool answers = known.answered != 0 && now - known.answered < kAnswered;
  if (!answers && !known.trickle.take(now)) return TcpRelayDrop::kUnanswered;
  known.last_out = now;
  from_node_.take_all(size);
  return std::nullopt;
}

std::optional<TcpRelayDrop> TcpRelayClient::receive(Millis now, const wire::Endpoint& source,
                                                    std::size_t size) {
  // Strangers may write to the node as to any other: that is how it is found.
  if (const auto it = destinations_.find(source); it != destinations_.end())
    it->second.answered = now;
  if (size < kLeastPacket) return TcpRelayDrop::kNoPacket;
  if (!to_node_.any(now)) return TcpRelayDrop::kRateIn;
  to_node_.take_all(size);
  return std::nullopt;
}

std::optional<TcpRelayDrop> TcpRelayClient::overdue(Millis now) const {
  if (!greeted_)
    return now - last_ >= kHelloWait ? std::optional(TcpRelayDrop::kNoHello) : std::nullopt;
  return now - last_ >= kIdle ? std::optional(TcpRelayDrop::kIdle) : std::nullopt;
}

}  // namespace orrery::control
