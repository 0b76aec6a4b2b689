#include "sim/internet.h"

namespace orrery::sim {

namespace {

constexpr Micros kFirewallMemory = 120'000'000;

std::size_t ip_size(const Flight& flight) {
  return flight.payload.size() + (flight.to.family == 6 ? 48 : 28);
}

}  // namespace

const char* fate_label(Fate fate) {
  static constexpr const char* kLabels[] = {"sent",       "delivered",  "lost",      "queue full",
                                            "cut",        "no route",   "hop limit", "too big",
                                            "no mapping", "no hairpin", "firewall",  "host off"};
  static_assert(std::size(kLabels) == static_cast<std::size_t>(Fate::kEnd));
  return kLabels[static_cast<std::size_t>(fate)];
}

Internet::Internet(EventQueue& queue, Random random) : queue_(queue), random_(random) {
  gateways_.push_back(kNobody);
}

AttachmentId Internet::attach(HostId owner, RealmId realm, const wire::Endpoint& ip,
                              const LinkProfile& up, const LinkProfile& down) {
  const auto id = static_cast<AttachmentId>(attachments_.size());
  Attachment& made = attachments_.emplace_back();
  made.owner = owner;
  made.realm = realm;
  made.ip = ip.with_port(0);
  made.up = Link(up, random_.fork());
  made.down = Link(down, random_.fork());
  made.group = outermost(id);
  note_line(made);
  who_[key_of(realm, made.ip)] = id;
  return id;
}

void Internet::detach(AttachmentId attachment) {
  Attachment& a = attachments_[attachment];
  a.attached = false;
  if (who(a.realm, a.ip) == attachment) who_.erase(key_of(a.realm, a.ip));
}

NatId Internet::add_nat(RealmId outer, const wire::Endpoint& outside, const NatBehaviour& behaviour,
                        const LinkProfile& up, const LinkProfile& down) {
  const auto id = static_cast<NatId>(nats_.size());
  const AttachmentId line = attach(kNobody, outer, outside, up, down);
  attachments_[line].nat = id;
  const auto inner = static_cast<RealmId>(gateways_.size());
  gateways_.push_back(id);
  nats_.push_back({Nat(outside, behaviour, random_.fork()), inner, line});
  return id;
}

void Internet::readdress(NatId nat, const wire::Endpoint& outside) {
  Box& box = nats_[nat];
  Attachment& line = attachments_[box.outside];
  detach(box.outside);
  line.attached = true;
  line.ip = outside.with_port(0);
  who_[key_of(line.realm, line.ip)] = box.outside;
  box.box.readdress(outside);
}

AttachmentId Internet::outermost(AttachmentId line) const {
  while (gateways_[attachments_[line].realm] != kNobody)
    line = nats_[gateways_[attachments_[line].realm]].outside;
  return line;
}

HostId Internet::whose(const wire::Endpoint& ip) const {
  const AttachmentId line = who(kInternet, ip);
  return line == kNobody ? kNobody : attachments_[line].owner;
}

void Internet::set_line(AttachmentId attachment, const LinkProfile& up, const LinkProfile& down) {
  attachments_[attachment].up.set(up);
  attachments_[attachment].down.set(down);
  note_line(attachments_[attachment]);
}

void Internet::note_line(const Attachment& a) {
  if (a.realm != kInternet) return;
  least_up_ = std::min(least_up_, a.up.profile().delay);
  least_down_ = std::min(least_down_, a.down.profile().delay);
}

void Internet::set_firewall(AttachmentId attachment, Firewall firewall) {
  attachments_[attachment].firewall = firewall;
}

void Internet::set_side(AttachmentId attachment, std::uint8_t side) {
  attachments_[attachment].side = side & 63;
}

void Internet::cut(std::uint8_t from, std::uint8_t to, bool on) {
  const std::uint64_t bit = std::uint64_t{1} << (to & 63);
  std::uint64_t& cuts = cuts_[from & 63];
  cuts = on ? cuts | bit : cuts & ~bit;
}

void Internet::cut_pair(AttachmentId from, AttachmentId to, bool on) {
  const std::uint64_t pair = std::uint64_t{from} << 32 | to;
  if (on) {
    cut_pairs_.insert(pair);
  } else {
    cut_pairs_.erase(pair);
  }
}

bool Internet::is_cut(AttachmentId from, AttachmentId to) const {
  if ((cuts_[attachments_[from].side] >> attachments_[to].side & 1) != 0) return true;
  return !cut_pairs_.empty() && cut_pairs_.contains(std::uint64_t{from} << 32 | to);
}

void Internet::tell(const Flight& flight, Fate fate, HostId at) {
  ++counts_[static_cast<std::size_t>(fate)];
  if (observe) observe(flight, fate, at);
}

Fate Internet::pass(Micros now, Link& link, const Flight& flight, Micros& delay,
                    Link::Passage& passage) {
  if (flight.whole && ip_size(flight) > link.profile().mtu) return Fate::kTooBig;
  passage = link.pass(now + delay, ip_size(flight));
  if (passage.lost) return Fate::kLost;
  if (passage.queue_full) return Fate::kQueueFull;
  delay += passage.delay;
  return Fate::kEnd;
}

void Internet::send(Micros now, AttachmentId by, Flight flight) {
  flight.digest = siphash({5, 6}, flight.payload);
  tell(flight, Fate::kSent, flight.origin);
  Micros delay = 0;
  for (;;) {
    Attachment& line = attachments_[by];
    if (!line.attached) return tell(flight, Fate::kOff, kNobody);
    if (line.owner != kNobody && line.firewall != Firewall::kOpen) {
      if (line.firewall == Firewall::kNoUdp) return tell(flight, Fate::kFirewall, line.owner);
      line.conversations[key_of(flight.from.port, flight.to)] = now;
    }
    Link::Passage passage;
    const Fate fate = pass(now, line.up, flight, delay, passage);
    if (fate != Fate::kEnd) return tell(flight, fate, kNobody);
    const AttachmentId there = who(line.realm, flight.to);
    if (there != kNobody) {
      if (line.realm == kInternet && flight.ttl != 0 && flight.ttl <= kHopsAcross)
        return tell(flight, Fate::kExpired, kNobody);
      if (is_cut(by, there)) return tell(flight, Fate::kCut, kNobody);
      if (passage.twice) {
        Flight copy = flight;
        cross(now, by, there, std::move(copy), delay - passage.delay + passage.second_delay);
      }
      return cross(now, by, there, std::move(flight), delay);
    }
    const NatId gateway = gateways_[line.realm];
    if (gateway == kNobody || flight.to.family != 4) return tell(flight, Fate::kNoRoute, kNobody);
    Box& box = nats_[gateway];
    if (flight.ttl != 0 && --flight.ttl == 0) return tell(flight, Fate::kExpired, kNobody);
    const std::optional<wire::Endpoint> seen = box.box.outbound(now, flight.from, flight.to);
    if (!seen) return tell(flight, Fate::kNoMapping, kNobody);
    if (flight.to.same_ip(box.box.outside())) {
      if (!box.box.behaviour().hairpin) return tell(flight, Fate::kNoHairpin, kNobody);
      const auto inside = box.box.inbound(now, flight.to.port, *seen);
      const AttachmentId back = inside ? who(line.realm, *inside) : kNobody;
      if (back == kNobody) return tell(flight, Fate::kNoMapping, kNobody);
      flight.from = *seen;
      flight.to = *inside;
      return cross(now, by, back, std::move(flight), delay);
    }
    flight.from = *seen;
    by = box.outside;
  }
}

void Internet::cross(Micros now, AttachmentId, AttachmentId to, Flight flight, Micros delay) {
  Link::Passage passage;
  const Fate fate = pass(now, attachments_[to].down, flight, delay, passage);
  if (fate != Fate::kEnd) return tell(flight, fate, kNobody);
  flight.at = to;
  if (passage.twice) {
    queue_.push(now + delay - passage.delay + passage.second_delay, Event::Kind::kArrival,
                flights_.put(flight));
  }
  queue_.push(now + delay, Event::Kind::kArrival, flights_.put(std::move(flight)));
}

void Internet::arrive(Micros now, Arrival& arrival) {
  Flight& flight = arrival.flight;
  const auto ends = [&](Fate fate, HostId where = kNobody) {
    arrival.fate = fate;
    arrival.where = where;
  };
  for (;;) {
    Attachment& line = attachments_[flight.at];
    if (!line.attached || !line.ip.same_ip(flight.to)) return ends(Fate::kOff);
    if (line.nat == kNobody) {
      if (line.firewall == Firewall::kOpen) return;
      Micros* const asked = line.conversations.find(key_of(flight.to.port, flight.from));
      if (line.firewall == Firewall::kStateful && asked != nullptr &&
          now - *asked < kFirewallMemory) {
        *asked = now;
        return;
      }
      return ends(Fate::kFirewall, line.owner);
    }
    Box& box = nats_[line.nat];
    const auto inside = box.box.inbound(now, flight.to.port, flight.from);
    const AttachmentId there = inside ? who(box.inner, *inside) : kNobody;
    if (there == kNobody) return ends(Fate::kNoMapping);
    flight.to = *inside;
    Micros delay = 0;
    Link::Passage passage;
    const Fate fate = pass(now, attachments_[there].down, flight, delay, passage);
    if (fate != Fate::kEnd) return ends(fate);
    flight.at = there;
    if (delay == 0 && !passage.twice) continue;
    arrival.again = now + delay;
    if (passage.twice) arrival.second = now + passage.second_delay;
    return;
  }
}

void Internet::conclude(Arrival& arrival) {
  if (arrival.fate != Fate::kEnd) return tell(arrival.flight, arrival.fate, arrival.where);
  if (arrival.again < 0) return;
  if (arrival.second >= 0)
    queue_.push(arrival.second, Event::Kind::kArrival, flights_.put(arrival.flight));
  queue_.push(arrival.again, Event::Kind::kArrival, flights_.put(std::move(arrival.flight)));
}

}  // namespace orrery::sim
