// HELLO and its OK: who somebody is, whether to believe it, and what follows.
//
// The order is: static checks, rate gate, key agreement, MAC, answer, and only then, off the packet
// path, proof of work. A changed key for an address that we pinned or know is refused, never
// stored. Source: docs/protocol/03-verbs.md 0x01; docs/architecture.md, "Strangers".
#include <algorithm>

#include "control/features.h"
#include "control/node_state.h"
#include "crypto/extended_armor.h"
#include "crypto/kdf.h"

namespace orrery::control {

namespace {

constexpr std::size_t kMostChecks =
    128;  // and above which even those that answered a probe must wait: half of the driver's queue,
          // the rest is for WHOIS answers and moons
constexpr std::size_t kMostToCheck = 65'536;  // who wait for that, half a megabyte
constexpr Millis kStaleAnswer = 1'000;        // between answers to a HELLO whose time went back

}  // namespace

ByteVector accepted_marker(const wire::Identity& self) {
  const std::string text =
      wire::to_string(self.address) + " " + to_hex(crypto::fingerprint(self)) + "\n";
  return ByteVector(text.begin(), text.end());
}

void Node::State::identity_known(Now now, const wire::Identity& identity, Effects& out) {
  lookups.erase(identity.address);
  if (networks != nullptr) networks->on_identity(now, identity, out);
  retry_sends(now, out);
  retry_waiting(now, out);
}

void Node::State::on_extended_hello(Now now, const fib::PathKey& via, MutableBytes packet,
                                    Effects& out) {
  // An agreement before anything is known of the sender: it has the strangers' budget.
  if (!strangers.allow(now.mono, via.remote)) return count(Count::kHelloRate);
  const std::size_t size = crypto::open_extended_armor(packet, options.identity.private_key());
  if (size == 0) return count(Count::kHelloMalformed);
  if (packet[wire::kVerbOffset] != static_cast<std::uint8_t>(wire::Verb::kHello))
    return count(Count::kCipher);
  count(Count::kHelloExtended);
  on_hello(now, via, packet.first(size), false, out);
}

void Node::State::on_hello(Now now, const fib::PathKey& via, MutableBytes packet,
                           bool authenticated, Effects& out) {
  const auto header = wire::decode_packet_header(packet);
  const auto decoded = wire::decode_hello(Bytes(packet).subspan(wire::kHeaderSize));
  if (!header || !decoded) return count(Count::kHelloMalformed);
  const wire::Hello& hello_in = *decoded;
  if (hello_in.version.protocol < wire::kProtocolVersionMin) return count(Count::kHelloVersion);
  const wire::Identity& identity = hello_in.identity;
  if (identity.address != header->source || identity.address.is_reserved())
    return count(Count::kAddress);

  const auto mac_holds = [&](const crypto::PeerKeys& keys) {
    crypto::DearmorJob job{packet.data(), static_cast<std::uint32_t>(packet.size()), &keys, false};
    armorer.dearmor({&job, 1});
    return job.ok;
  };

  // Who is only known from our disk is a stranger until his MAC holds: no work before the gate.
  Peer* peer = topology.find(identity.address);
  std::unique_ptr<Peer> stranger;
  bool newcomer = false;
  const bool collides = peer != nullptr && peer->identity != identity;
  if (peer != nullptr && !collides) {
    if (!authenticated && !mac_holds(peer->keys)) {
      ++peer->counts.refused;
      return count(Count::kMac);
    }
  } else {
    if (authenticated)
      return count(Count::kMac);  // another key inside than the one it was sealed with
    if (!strangers.allow(now.mono, via.remote)) return count(Count::kHelloRate);
    crypto::SharedSecret secret;
    if (!agree(identity.public_key, secret)) {
      return count(Count::kIdentityInvalid);
    }
    stranger = std::make_unique<Peer>(identity, secret);
    burn(secret);
    if (!mac_holds(stranger->keys)) return count(Count::kMac);
  }

  // From here on the sender holds the private key of `identity`; nothing is sent beyond three times
  // its bytes.
  const unsigned hops = header->hops();
  if (hops == 0 && (stranger || !peer->confirmed(via, now.mono))) limit_answer(via, packet.size());
  Incoming in{via,
              identity.address,
              header->id,
              static_cast<std::uint8_t>(hops),
              wire::Verb::kHello,
              packet.size(),
              {},
              nullptr};

  if (collides || (stranger && !pin_allows(now, identity, out))) {
    count(Count::kIdentityCollision);
    if (collides && peer->established()) {
      refuse_key(now, identity, AlarmKind::kOtherKey, {}, "refused another key for known peer ",
                 out);
    }
    if (collides && !peer->established()) {
      check_work(*peer, out);  // the first claim is not proven either; it decides who stays
    } else if (collision_budget.take(now.mono)) {
      std::array<std::uint8_t, 10> payload;
      Writer writer(payload);
      wire::encode_error(writer, {static_cast<std::uint8_t>(wire::Verb::kHello),
                                  header->id,
                                  static_cast<std::uint8_t>(wire::ErrorCode::kIdentityCollision),
                                  {}});
      send_via(now, stranger->keys, identity.address, wire::Suite::kSalsaPoly, via,
               wire::Verb::kError, payload, out);
    }
    return;
  }
  if (stranger) {
    stranger->standing = standing_of(identity);
    newcomer = stranger->established();
    if (!newcomer) make_provisional_room(now, out);
    peer = add_peer(now, std::move(stranger), out);
    if (peer == nullptr) return count(Count::kIgnored);
    if (!newcomer) provisional.push_back(identity.address);
  }
  in.peer = peer;
  verbs_received.add(wire::Verb::kHello, {});
  ++peer->counts.received;

  // A time that went back may be a replay: it teaches nothing and is answered at most once a
  // second.
  const bool stale = hello_in.timestamp < peer->hello_time;
  if (stale) {
    count(Count::kHelloStale);
    if (peer->last_stale_hello != 0 && now.mono - peer->last_stale_hello < kStaleAnswer) {
      return;
    }
    peer->last_stale_hello = now.mono;
    peer->stale_time = hello_in.timestamp;
    peer->stale_path = via;
  } else {
    // The newest HELLO again: copies of several sockets have ids of their own, a replay has not.
    // Each is answered once over each path, and there are not many.
    if (hello_in.timestamp == peer->hello_time && !peer->equal_hellos.take(now.mono))
      return count(Count::kHelloRate);
    if (seen.insert(header->id, identity.address, path_hash(via))) return count(Count::kReplay);
  }
  // How we look from outside is pushed to all peers: only proven ones over proven paths say it.
  if (hops == 0 && !stale && peer->established() && peer->confirmed(via, now.mono))
    surface_report(now, *peer, via, hello_in.sent_to, out);

  ByteVector updates;
  const bool confirmed = hops > 0 || peer->confirmed(via, now.mono);
  if (hello_in.masked_at != 0) {
    const std::size_t start = wire::kHeaderSize + hello_in.masked_at;
    crypto::mask_hello_tail(packet, start, peer->keys.secret().bytes());
    const bool whole =
        wire::for_each_moon(Bytes(packet).subspan(start), [&](const wire::MoonEntry& entry) {
          const ByteVector moon = worlds.moon_update(entry);
          if (updates.size() + moon.size() <= wire::kMaxWorldSize) {
            updates.insert(updates.end(), moon.begin(), moon.end());
          }
        });
    if (!whole) return count(Count::kHelloMalformed);
    const std::size_t listed = 2 + std::size_t{load_be16(packet.data() + start)} * 17;
    if (!stale) learn_features(*peer, read_features(Bytes(packet).subspan(start + listed)));
  }
  const ByteVector planet = worlds.planet_update(hello_in.planet_id, hello_in.planet_timestamp);
  if (updates.size() + planet.size() <= wire::kMaxWorldSize) {
    updates.insert(updates.begin(), planet.begin(), planet.end());
  }
  if (!confirmed || stale) updates.clear();

  ByteVector payload(64 + kFeatureRecordSize + updates.size());
  Writer writer(payload);
  wire::encode_ok(writer, {static_cast<std::uint8_t>(wire::Verb::kHello), header->id, {}});
  wire::Endpoint seen_from = via.remote;
  if (hello_in.version.protocol < 5) seen_from.port = 0;
  wire::encode_hello_ok(writer, {hello_in.timestamp,
                                 {wire::kProtocolVersion, wire::kSoftwareMajor,
                                  wire::kSoftwareMinor, wire::kSoftwareRevision},
                                 seen_from,
                                 updates});
  write_features(writer, own_features());
  reply(now, in, wire::Verb::kOk, writer.written(), out);

  if (stale) {
    // A clock that was set back shows by answering from there; a replay cannot.
    if (hops == 0 && path_allowed(*peer, via.remote)) probe_unknown(now, *peer, via, out);
  } else {
    peer->hello_time = hello_in.timestamp;
    peer->protocol = hello_in.version.protocol;
    peer->version_major = hello_in.version.major;
    peer->version_minor = hello_in.version.minor;
    peer->version_revision = hello_in.version.revision;
    received_step(now, *peer, via, hops, wire::Verb::kHello, false, false, out);
    if (peer->standing == Peer::Standing::kProvisional && idle(now)) check_work(*peer, out);
  }
  if (newcomer) identity_known(now, identity, out);
}

void Node::State::check_work(Peer& peer, Effects& out) {
  if (peer.standing != Peer::Standing::kProvisional) return;
  if (checking >= kMostChecks) {
    // Nothing may come of him for a minute that would remind us.
    if (peer.awaits_check || to_check.size() >= kMostToCheck) return;
    peer.awaits_check = true;
    to_check.push_back(peer.address());
    return;
  }
  peer.standing = Peer::Standing::kChecking;
  ++checking;
  ask_proof(peer.identity, out);
}

void Node::State::check_next(Effects& out) {
  while (!to_check.empty() && checking < kMostChecks) {
    Peer* peer = topology.find(to_check.front());
    to_check.pop_front();
    if (peer == nullptr) continue;
    peer->awaits_check = false;
    check_work(*peer, out);
  }
}

void Node::State::ask_proof(const wire::Identity& identity, Effects& out) {
  count(Count::kProofAsked);
  out.validations.push_back({identity});
}

void Node::State::establish(Now now, Peer& peer, Effects& out) {
  if (peer.established()) return;
  if (peer.standing == Peer::Standing::kChecking && checking > 0) --checking;
  peer.standing = Peer::Standing::kEstablished;
  topology.count_provisional(-1);
  publish(now, peer, out);
}

void Node::State::identity_validated(Now now, const wire::Identity& identity, bool valid,
                                     Effects& out) {
  for (const wire::World& moon : worlds.prove(identity, valid)) world_accepted(now, moon, out);

  // A file of peers.d that names this very identity, in use or not.
  const std::optional<CachedPeer> on_disk = read_cached(identity.address);
  const bool damaged = !valid && on_disk && on_disk->identity == identity;
  if (damaged) cache.erase(identity.address);

  bool known_now = false;
  Peer* peer = topology.find(identity.address);
  if (peer != nullptr && peer->identity == identity) {
    if (valid) {
      known_now = !peer->established();
      establish(now, *peer, out);
    } else if (!peer->established()) {
      count(Count::kIdentityInvalid);
      const bool from_disk = peer->loaded;
      if (from_disk) {
        peer->from_cache.clear();
        out.saves.push_back({StateKind::kPeer, identity.address.value, {}, true});
      }
      forget(now, *peer, out);
      peer = nullptr;
    }
  }
  const auto asked = unproven.find(identity.address);
  if (asked != unproven.end() && asked->second == identity) {
    unproven.erase(asked);
    if (damaged) {
      count(Count::kIdentityInvalid);
      out.saves.push_back({StateKind::kPeer, identity.address.value, {}, true});
    } else if (!valid) {
      count(Count::kIdentityInvalid);
      alarm(
          now, AlarmKind::kRootNamesUnproven, identity.address, {},
          "a root named an identity without proof of work for " + wire::to_string(identity.address),
          out);
    } else if (peer == nullptr) {
      known_now = add_peer(now, identity, Peer::Standing::kEstablished, out) != nullptr;
    }
  }
  if (!valid || !known_now) return;
  if (peer != nullptr && peer->last_receive != 0) pin_first_use(now, *peer, out);
  identity_known(now, identity, out);
}

void Node::State::validation_refused(const wire::Identity& identity) {
  count(Count::kProofRefused);
  worlds.forget_unproven(identity);
  if (Peer* peer = topology.find(identity.address); peer != nullptr && peer->identity == identity &&
                                                    peer->standing == Peer::Standing::kChecking) {
    peer->standing = Peer::Standing::kProvisional;
    if (checking > 0) --checking;
  }
  if (const auto asked = unproven.find(identity.address);
      asked != unproven.end() && asked->second == identity) {
    unproven.erase(asked);
  }
}

void Node::State::probe_succeeded(Now now, Incoming& in, const Expectation& asked, Effects& out) {
  if (in.hops == 0) {
    // Our own record of the sending time, not an echoed one: the monotonic clock does not jump.
    if (Path* path = paths.obtain(in.via)) path->measured.answered(now.mono - asked.sent);
    auto& round_trips = in.peer->counts.round_trips;
    if (!round_trips) round_trips = std::make_unique<RoundTrips>();
    round_trips->add(now.mono - asked.sent);
    path_answered(now, *in.peer, in.via, asked.sent, out);
  }
  Peer& peer = *in.peer;
  if (in.hops > 0) peer.relay_answered = now.mono;
  if (in.hops == 0 && asked.verb == wire::Verb::kHello && topology.is_upstream(peer))
    root_answers[peer.address()].hello = now.mono;
  if (peer.stale_path && peer.stale_path == in.via && in.hops == 0) {
    peer.hello_time = peer.stale_time;
    peer.stale_path = {};
  }
  check_work(peer, out);
}

void Node::State::make_provisional_room(Now now, Effects& out) {
  const std::size_t limit = std::max<std::size_t>(options.limits.peers / 4, 1);
  for (std::size_t i = provisional.size();
       i != 0 && (topology.provisional() >= limit || provisional.size() >= 2 * limit); --i) {
    const wire::Address address = provisional.front();
    provisional.pop_front();
    Peer* oldest = topology.find(address);
    if (oldest == nullptr || oldest->established()) continue;
    if (oldest->standing == Peer::Standing::kChecking) {
      provisional.push_back(address);  // has answered, and there are few
      continue;
    }
    count(Count::kTableFull);
    forget(now, *oldest, out);
  }
}

bool Node::State::idle(Now now) {
  return checking < kIdleChecks && idle_checks.take(now.mono);
}

Handled Node::State::on_hello_ok(Now now, Incoming& in, const wire::Ok& ok, Effects& out) {
  const auto decoded = wire::decode_hello_ok(ok.rest);
  if (!decoded) {
    count(Count::kMalformed);
    return Handled::kIgnored;
  }
  if (decoded->version.protocol < wire::kProtocolVersionMin) {
    count(Count::kHelloVersion);
    return Handled::kIgnored;
  }
  Peer& peer = *in.peer;
  const bool from_root = topology.is_upstream(peer);
  if (from_root || worlds.is_seed(peer.address())) offer_worlds(now, peer, decoded->worlds, out);
  if (decoded->worlds.data() != nullptr) {
    const auto end =
        static_cast<std::size_t>(decoded->worlds.data() - ok.rest.data()) + decoded->worlds.size();
    learn_features(peer, read_features(ok.rest.subspan(end)));
  }
  peer.protocol = decoded->version.protocol;
  peer.version_major = decoded->version.major;
  peer.version_minor = decoded->version.minor;
  peer.version_revision = decoded->version.revision;
  if (probe_answered && peer.established())
    surface_report(now, peer, in.via, decoded->seen_from, out);
  if (from_root && !accepted) {
    accepted = true;
    out.saves.push_back(
        {StateKind::kAccepted, 0, accepted_marker(options.identity.identity()), false});
  }
  return Handled::kDone;
}

void Node::State::on_collision(Now now, const Incoming& in, const Expectation& asked,
                               Effects& out) {
  if (asked.verb != wire::Verb::kHello || !topology.is_upstream(*in.peer)) return;
  count(Count::kIdentityCollision);
  if (accepted) {
    alarm(
        now, AlarmKind::kOurAddressTaken, options.identity.address(), in.source,
        "root " + wire::to_string(in.source) +
            " says that our address belongs to another key; our identity is established and stays",
        out);
    return;
  }
  // The word of one root is not enough while another may still accept us.
  if (collided_by.empty()) collided_at = now.mono;
  if (!collided_by.insert(in.source).second) return;
  alarm(now, AlarmKind::kOurAddressTaken, options.identity.address(), in.source,
        "a root knows our new address with another key", out);
  give_way(now, out);
}

void Node::State::give_way(Now now, Effects& out) {
  constexpr Millis kVerdict = 10'000;  // two rounds of keep-alive for the other roots
  if (collided_by.empty()) return;
  if (accepted) return collided_by.clear();
  const bool all = std::all_of(
      topology.upstreams().begin(), topology.upstreams().end(),
      [&](const Upstream& root) { return collided_by.contains(root.identity.address); });
  if (!all && now.mono - collided_at < kVerdict) return;
  log_key(now, options.identity.address(), KeyEvent::kGivenUp,
          crypto::fingerprint(options.identity.identity()), *collided_by.begin(), out);
  collided_by.clear();
  notice(now, Notice::Level::kAlarm, "our new identity collides with one that roots know", out);
  out.identity_collided = true;
}

void Node::State::offer_worlds(Now now, const Peer& from, Bytes bytes, Effects& out) {
  Reader reader(bytes);
  while (reader.remaining() != 0) {
    const std::optional<wire::World> world = wire::read_world(reader);
    if (!world) return count(Count::kMalformed);
    // A first copy is nobody's successor: at least it must not contradict what we know.
    const bool first =
        !worlds.moons().contains(world->id) && world->type == wire::World::Type::kMoon;
    if (first &&
        !std::all_of(world->roots.begin(), world->roots.end(), [&](const wire::WorldRoot& root) {
          return pin_allows(now, root.identity, out, AlarmKind::kWorldNamesOtherKey,
                            from.address());
        })) {
      count(Count::kWorldRefused);
      continue;
    }
    // Identities of the document are only proven for the first copy of a moon; later ones are
    // signed.
    switch (worlds.offer(*world, now.wall)) {
      case Worlds::Verdict::kAccepted:
        world_accepted(now, *world, out);
        break;
      case Worlds::Verdict::kUnproven:
        if (!signs_itself(*world)) {
          notice(now, Notice::Level::kWarning,
                 "the moon that " + wire::to_string(from.address()) +
                     " offers is not signed by its own key",
                 out);
        }
        for (const wire::WorldRoot& root : world->roots) ask_proof(root.identity, out);
        break;
      case Worlds::Verdict::kRejected:
        count(Count::kWorldRefused);
        break;
    }
  }
}

void Node::State::surface_report(Now now, const Peer& reporter, const fib::PathKey& via,
                                 const wire::Endpoint& reported, Effects& out) {
  if (!reported) return;
  const auto reset =
      surface.observe(now.mono, reporter.address(), via, reported, topology.is_upstream(reporter));
  if (!reset) return;
  topology.for_each([&](Peer& peer) {
    for (PeerPath& entry : peer.paths) {
      const wire::Endpoint& remote = entry.path->key.remote;
      if (remote.family != reset->family || wire::scope_of(remote) != reset->scope) continue;
      contact(now, peer, entry.path->key, false, out);
      entry.last_authenticated = 0;
    }
  });
}

}  // namespace orrery::control
