#include "service/tcp_fallback.h"

#include <algorithm>
#include <cstring>

namespace orrery::service {
namespace {

// Datagrams are those of any other way: what lies behind the relay is not known.
constexpr std::uint16_t kLinkMtu = wire::kDefaultUdpPayload + 28;
constexpr Millis kLook = 200;  // while it connects

}  // namespace

dataplane::PortQueues TcpFallback::queues() const {
  if (port_ == nullptr) return {};
  return {port_};
}

Millis TcpFallback::next_deadline(Millis otherwise) const {
  return port_ != nullptr && !endpoint_ ? std::min(otherwise, opened_ + kLook) : otherwise;
}

void TcpFallback::give_up(Millis now, const std::string& why, Change& change) {
  change.ports |= port_ != nullptr;
  change.sockets |= endpoint_.has_value();
  port_ = nullptr;
  endpoint_.reset();
  next_try_ = now + retry_;
  retry_ = std::min(2 * retry_, kMostRetry);
  const std::string text = "TCP relay " + wire::to_string(config_.relay) + ": " + why;
  if (text != said_) change.text = text;
  said_ = text;
}

void TcpFallback::open(Millis now, const std::function<bool(const wire::Endpoint&)>& ours,
                       Change& change) {
  // Each connection is another socket: the relay lends it another port.
  next_id_ = control::kTunnelSocket | (next_id_ + 1);
  auto port = tap::TunnelPort::open(next_id_, config_.relay, pools_.wire, pools_.frame);
  if (!port) return give_up(now, port.error().text, change);
  if (ours((*port)->local())) return give_up(now, "is reached through a network of ours", change);
  port_ = std::move(*port);
  opened_ = now;
  change.ports = true;
}

TcpFallback::Change TcpFallback::serve(Millis now, bool wanted,
                                       const std::function<bool(const wire::Endpoint&)>& ours) {
  Change change;
  wanted = wanted && config_.usable();
  if (!wanted) {
    if (port_ != nullptr) {
      change = {true, endpoint_.has_value(), "TCP relay is not needed any more"};
      port_ = nullptr;
      endpoint_.reset();
      said_.clear();
    }
    retry_ = kRetry;
    next_try_ = 0;
    return change;
  }
  if (port_ == nullptr) {
    if (now >= next_try_) open(now, ours, change);
    return change;
  }
  using State = tap::TunnelPort::State;
  switch (port_->state()) {
    case State::kConnecting:
      if (now - opened_ >= kConnectWait) give_up(now, "does not answer", change);
      break;
    case State::kOpen:
      if (endpoint_) {
        // One that lasted is taken up again soon.
        if (now - opened_ >= kMostRetry) retry_ = kRetry;
        break;
      }
      endpoint_ = control::LocalEndpoint{next_id_, {}, kLinkMtu};
      change.sockets = true;
      said_ = "TCP relay " + wire::to_string(config_.relay) + " is in use";
      change.text = said_;
      break;
    case State::kClosed:
      give_up(now, port_->error() == 0 ? "closed the connection" : std::strerror(port_->error()),
              change);
      break;
  }
  return change;
}

}  // namespace orrery::service
