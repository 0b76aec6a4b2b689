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
  realms_.emplace_back();
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
  realms_[realm].who[made.ip] = id;
  return id;
}

void Internet::detach(AttachmentId attachment) {
  Attachment& a = attachments_[attachment];
  a.attached = false;
  const auto there = realms_[a.realm].who.find(a.ip);
  if (there != realms_[a.realm].who.end() && there->second == attachment)
    realms_[a.realm].who.erase(there);
}

NatId Internet::add_nat(RealmId outer, const wire::Endpoint& outside, const NatBehaviour& behaviour,
                        const LinkProfile& up, const LinkProfile& down) {
  const auto id = static_cast<NatId>(nats_.size());
  const AttachmentId line = attach(kNobody, outer, outside, up, down);
  attachments_[line].nat = id;
  const auto inner = static_cast<RealmId>(realms_.size());
  realms_.emplace_back().gateway = id;
  nats_.push_back({Nat(outside, behaviour, random_.fork()), inner, line});
  return id;
}

void Internet::readdress(NatId nat, const wire::Endpoint& outside) {
  Box& box = nats_[nat];
  Attachment& line = attachments_[box.outside];
  detach(box.outside);
  line.attached = true;
  line.ip = outside.with_port(0);
  realms_[line.realm].who[line.ip] = box.outside;
  box.box.readdress(outside);
}

AttachmentId Internet::outermost(AttachmentId line) const {
  while (realms_[attachments_[line].realm].gateway != kNobody)
    line = nats_[realms_[attachments_[line].realm].gateway].outside;
  return line;
}

HostId Internet::whose(const wire::Endpoint& ip) const {
  const auto known = realms_[kInternet].who.find(ip.with_port(0));
  return known == realms_[kInternet].who.end() ? kNobody : attachments_[known->second].owner;
}

void Internet::set_line(AttachmentId attachment, const LinkProfile& up, const LinkProfile& down) {
  attachments_[attachment].up.set(up);
  attachments_[attachment].down.set(down);
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

bool Internet::pass(Micros now, Link& link, const Flight& flight, Micros& delay,
                    Link::Passage& passage) {
  if (flight.whole && ip_size(flight) > link.profile().mtu) {
    tell(flight, Fate::kTooBig, kNobody);
    return false;
  }
  passage = link.pass(now + delay, ip_size(flight));
  if (passage.lost || passage.queue_full) {
    tell(flight, passage.lost ? Fate::kLost : Fate::kQueueFull, kNobody);
    return false;
  }
  delay += passage.delay;
  return true;
}

void Internet::send(Micros now, AttachmentId by, Flight flight) {
  tell(flight, Fate::kSent, flight.origin);
  Micros delay = 0;
  for (;;) {
    Attachment& line = attachments_[by];
    if (!line.attached) return tell(flight, Fate::kOff, kNobody);
    if (line.owner != kNobody && line.firewall != Firewall::kOpen) {
      if (line.firewall == Firewall::kNoUdp) return tell(flight, Fate::kFirewall, line.owner);
      line.conversations[{flight.from.port, flight.to}] = now;
    }
    Link::Passage passage;
    if (!pass(now, line.up, flight, delay, passage)) return;
    Realm& realm = realms_[line.realm];
    const auto known = realm.who.find(flight.to.with_port(0));
    if (known != realm.who.end()) {
      if (line.realm == kInternet && flight.ttl != 0 && flight.ttl <= kHopsAcross)
        return tell(flight, Fate::kExpired, kNobody);
      if (is_cut(by, known->second)) return tell(flight, Fate::kCut, kNobody);
      if (passage.twice) {
        Flight copy = flight;
        cross(now, by, known->second, std::move(copy),
              delay - passage.delay + passage.second_delay);
      }
      return cross(now, by, known->second, std::move(flight), delay);
    }
    if (realm.gateway == kNobody || flight.to.family != 4)
      return tell(flight, Fate::kNoRoute, kNobody);
    Box& box = nats_[realm.gateway];
    if (flight.ttl != 0 && --flight.ttl == 0) return tell(flight, Fate::kExpired, kNobody);
    const std::optional<wire::Endpoint> seen = box.box.outbound(now, flight.from, flight.to);
    if (!seen) return tell(flight, Fate::kNoMapping, kNobody);
    if (flight.to.same_ip(box.box.outside())) {
      if (!box.box.behaviour().hairpin) return tell(flight, Fate::kNoHairpin, kNobody);
      const auto inside = box.box.inbound(now, flight.to.port, *seen);
      const auto there = inside ? realm.who.find(inside->with_port(0)) : realm.who.end();
      if (there == realm.who.end()) return tell(flight, Fate::kNoMapping, kNobody);
      flight.from = *seen;
      flight.to = *inside;
      return cross(now, by, there->second, std::move(flight), delay);
    }
    flight.from = *seen;
    by = box.outside;
  }
}

void Internet::cross(Micros now, AttachmentId, AttachmentId to, Flight flight, Micros delay) {
  Link::Passage passage;
  if (!pass(now, attachments_[to].down, flight, delay, passage)) return;
  flight.at = to;
  if (passage.twice) {
    queue_.push(now + delay - passage.delay + passage.second_delay, Event::Kind::kArrival,
                flights_.put(flight));
  }
  queue_.push(now + delay, Event::Kind::kArrival, flights_.put(std::move(flight)));
}

std::optional<Flight> Internet::arrive(Micros now, std::uint32_t number) {
  Flight flight = flights_.take(number);
  for (;;) {
    Attachment& line = attachments_[flight.at];
    if (!line.attached || !line.ip.same_ip(flight.to)) {
      tell(flight, Fate::kOff, kNobody);
      return std::nullopt;
    }
    if (line.nat == kNobody) {
      if (line.firewall == Firewall::kOpen) return flight;
      const auto asked = line.conversations.find({flight.to.port, flight.from});
      if (line.firewall == Firewall::kStateful && asked != line.conversations.end() &&
          now - asked->second < kFirewallMemory) {
        asked->second = now;
        return flight;
      }
      tell(flight, Fate::kFirewall, line.owner);
      return std::nullopt;
    }
    Box& box = nats_[line.nat];
    const auto inside = box.box.inbound(now, flight.to.port, flight.from);
    const Realm& realm = realms_[box.inner];
    const auto there = inside ? realm.who.find(inside->with_port(0)) : realm.who.end();
    if (there == realm.who.end()) {
      tell(flight, Fate::kNoMapping, kNobody);
      return std::nullopt;
    }
    flight.to = *inside;
    Attachment& next = attachments_[there->second];
    Micros delay = 0;
    Link::Passage passage;
    if (!pass(now, next.down, flight, delay, passage)) return std::nullopt;
    flight.at = there->second;
    if (delay == 0 && !passage.twice) continue;
    if (passage.twice) {
      queue_.push(now + passage.second_delay, Event::Kind::kArrival, flights_.put(flight));
    }
    queue_.push(now + delay, Event::Kind::kArrival, flights_.put(std::move(flight)));
    return std::nullopt;
  }
}

}  // namespace orrery::sim
