#include "dataplane/stages/stages.h"

namespace orrery::dataplane {
namespace {

Drop drop_of(fib::Refusal refusal) {
  switch (refusal) {
    case fib::Refusal::kRules:
      return Drop::kRules;
    case fib::Refusal::kSourceMac:
    case fib::Refusal::kLoop:
      return Drop::kSourceMac;
    case fib::Refusal::kDestinationMac:
    case fib::Refusal::kMulticastOff:
      return Drop::kDestinationMac;
    default:
      return Drop::kMalformed;
  }
}

}  // namespace

void filter(WorkerContext& w, PacketVector& v) noexcept {
  for (unsigned i = 0; i < v.n; ++i) {
    const NetworkRecord& record = *v.network[i];
    if (v.verb[i] == fib::Carrier::kFrame && record.accepts_all) {
      v.frame[i].destination = record.network.mac;
      v.frame[i].source = wire::mac_of(v.peer[i]->peer.address, record.network.id);
      continue;
    }
    const fib::InboundDecision decision =
        fib::accept_inbound(record.network, *v.member[i], {v.verb[i], v.frame[i]}, w.random());
    if (decision.verdict.emissions != 0) {
      v.punt_lane(i, Message::kAuthenticated);  // copies and redirects are control's
    } else if (!decision.deliver) {
      v.drop_lane(i, drop_of(decision.refusal));
    } else {
      v.frame[i] = decision.frame;
    }
  }
}

}  // namespace orrery::dataplane
